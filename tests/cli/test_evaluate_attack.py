"""`evaluate attack` on the default recogniser: made on torch, judged by the exported file."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from PIL import Image

from pocketface.cli import cli
from pocketface.evaluate.faces import bundled_portraits
from pocketface.runtime.align import align_face


@pytest.fixture
def people(tmp_path, monkeypatch):
    """Three people with two pictures each; the second is the first, mirrored."""
    monkeypatch.setenv("POCKETFACE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "people"
    for i, portrait in enumerate(bundled_portraits()[:3]):
        (folder / f"p{i}").mkdir(parents=True)
        crop = align_face(portrait.image, portrait.landmarks)
        for k, image in enumerate((crop, crop[:, ::-1])):
            Image.fromarray(image).save(folder / f"p{i}" / f"{k}.png")
    return folder


def test_pictures_made_on_torch_are_judged_by_the_file(exports, people, tmp_path):
    file = exports["facelivtv2_xs", "onnx", "float32"].artifact.path
    arguments = ["attack", str(people), "--aligned", "--pairs", "2", "--iterations", "3", "--threshold", "0.9995"]
    arguments += ["--model", str(file)]
    done = CliRunner().invoke(cli.commands["evaluate"], [*arguments, "--goal", "dodging", "--json"])
    assert done.exit_code == 0, done.output
    results = json.loads(done.stdout)["results"]
    assert [r["engine"] for r in results] == ["torch", "onnxruntime"]
    assert all(r["after"] < r["before"] for r in results)
    assert results[1]["after"] == pytest.approx(results[0]["after"], abs=1e-3)
    patch = ["--goal", "impersonation", "--attack", "mask", "--universal", "--out", str(tmp_path / "report")]
    done = CliRunner().invoke(cli.commands["evaluate"], [*arguments, *patch])
    assert done.exit_code == 0, done.output
    assert "impersonation" in done.stdout
    assert "is not trained: its figures mean nothing" in " ".join(done.stdout.split())
    assert (tmp_path / "report" / "report.html").is_file()
