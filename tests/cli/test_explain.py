"""`pocketface explain` on a real export: maps, pictures and a report that begins with its command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pocketface.cli import cli
from pocketface.evaluate.faces import bundled_portraits, inputs_for

if TYPE_CHECKING:
    from pocketface.export import Exported


@pytest.fixture(scope="module")
def recognizer(exports: dict[tuple[str, str, str], Exported]) -> Path:
    return exports["facelivtv2_xs", "onnx", "float32"].artifact.path


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory, exports: dict[tuple[str, str, str], Exported]) -> list[str]:
    """Three aligned crops as files."""
    folder = tmp_path_factory.mktemp("crops")
    contract = exports["facelivtv2_xs", "onnx", "float32"].artifact.contract
    paths = [folder / f"{i}.png" for i in range(3)]
    for path, crop in zip(paths, inputs_for(contract, bundled_portraits()[:3]), strict=True):
        Image.fromarray(crop).save(path)
    return [str(path) for path in paths]


def explain(*arguments: object, status: int = 0):
    done = CliRunner().invoke(cli, ["explain", *map(str, arguments)])
    assert done.exit_code == status, done.output
    return done


def test_a_match_is_explained_twice_alike(
    recognizer: Path, crops: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = (*crops[:2], "--recognizer", recognizer, "--masks", 24, "--threads", 1)
    monkeypatch.setattr(sys, "argv", ["/somewhere/pocketface", "explain", "A B.jpg"])
    first = json.loads(explain(*call, "--out", tmp_path / "one", "--json").stdout)
    explain(*call, "--out", tmp_path / "two", "--against", crops[2])
    explain(*call, "--out", tmp_path / "three")
    assert [row["masks"] for row in first["sections"][0]["rows"]] == [24, 24]
    assert len(first["sections"][0]["pictures"]) == 2
    assert first["command"] == "pocketface explain 'A B.jpg'"
    maps = {name: np.load(tmp_path / name / "saliency.npz") for name in ("one", "two", "three")}
    assert maps["one"]["a"].shape == (112, 112)
    assert 0 <= maps["one"]["b"].min() < maps["one"]["b"].max() == 1
    assert all(np.array_equal(maps["one"][k], maps["three"][k]) for k in "ab")
    assert not np.array_equal(maps["one"]["a"], maps["two"]["a"])
    assert {p.name for p in (tmp_path / "one").iterdir()} == {
        "a.png",
        "b.png",
        "report.html",
        "report.json",
        "saliency.npz",
    }


def test_a_picture_that_is_no_crop_asks_for_a_detector(recognizer: Path, crops: list[str], tmp_path: Path) -> None:
    wide = tmp_path / "wide.png"
    Image.new("RGB", (90, 60)).save(wide)
    done = explain(crops[0], wide, "--recognizer", recognizer, "--out", tmp_path / "out", status=1)
    assert "--detector" in done.stderr
    assert "wide.png" in done.stderr
    assert not (tmp_path / "out").exists()
