"""`evaluate verification --out`: the report begins with its command, and has faces only with --pictures."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pocketface.cli import cli
from pocketface.evaluate.faces import bundled_portraits, inputs_for
from pocketface.runtime.embedder import Embedder

if TYPE_CHECKING:
    from pocketface.export import Exported

TITLES = ["Scores", "Reliability", "Genuine pairs that are least alike", "Impostor pairs that are most alike"]


@pytest.fixture(scope="module")
def recognizer(exports: dict[tuple[str, str, str], Exported]) -> Path:
    return exports["facelivtv2_xs", "onnx", "float32"].artifact.path


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, exports: dict[tuple[str, str, str], Exported]) -> Path:
    """Ten portraits, each in its natural light, darker, and mirrored: a folder per person of aligned crops."""
    folder = tmp_path_factory.mktemp("people")
    contract = exports["facelivtv2_xs", "onnx", "float32"].artifact.contract
    for i, crop in enumerate(inputs_for(contract, bundled_portraits()[:10])):
        (folder / f"p{i}").mkdir()
        for name, made in (("a", crop), ("b", crop // 2), ("c", np.ascontiguousarray(crop[:, ::-1]))):
            Image.fromarray(made).save(folder / f"p{i}" / f"{name}.png")
    return folder


@pytest.mark.parametrize("pictures", [False, True])
def test_the_report_is_whole_and_shows_faces_only_if_asked(
    recognizer: Path, people: Path, tmp_path: Path, pictures: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POCKETFACE_CACHE", str(tmp_path / "cache"))
    call = ["evaluate", "verification", str(people), "--aligned", "--model", str(recognizer), "--threads", "1"]
    call += ["--out", str(tmp_path / "out"), *(["--pictures"] if pictures else [])]
    monkeypatch.setattr(sys, "argv", ["/somewhere/pocketface", *call])
    done = CliRunner().invoke(cli, call)
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert shlex.split(told["command"]) == ["pocketface", *call]
    sections = {section["title"]: section for section in told["sections"]}
    assert set(TITLES) <= sections.keys()
    assert [picture["title"] for picture in sections["Curves"]["pictures"]] == ["ROC", "DET"]
    assert all(picture["plot"] for title in ("Curves", "Scores") for picture in sections[title]["pictures"])
    for title in TITLES[2:]:
        assert len(sections[title]["rows"]) == 12
        assert len(sections[title]["pictures"]) == pictures
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert ("data:image/jpeg" in page) == pictures
    assert page.index("pocketface ") < page.index("<section")


def test_a_report_without_a_cache_embeds_each_picture_once_and_keeps_nothing(
    recognizer: Path, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POCKETFACE_CACHE", str(tmp_path / "cache"))
    embedded, raw = [], Embedder.raw
    monkeypatch.setattr(Embedder, "raw", lambda self, crops: embedded.extend(crops) or raw(self, crops))
    call = ["evaluate", "verification", str(people), "--aligned", "--model", str(recognizer), "--no-cache"]
    done = CliRunner().invoke(cli, [*call, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert len(embedded) == 30
    assert not (tmp_path / "cache").exists()


def test_without_matplotlib_a_report_is_refused_before_the_work(
    recognizer: Path, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POCKETFACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    call = ["evaluate", "verification", str(people), "--aligned", "--model", str(recognizer)]
    done = CliRunner().invoke(cli, [*call, "--out", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "pip install 'pocketface[plots]'" in done.stderr
    assert not (tmp_path / "cache").exists()
