"""The verb that makes people: one summary, and one line for whatever is wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from pocketface.cli import cli
from pocketface.runtime import detector
from pocketface.train import generator


class Lamp:
    """A generator of bright pictures, and of a dark one for seed 1."""

    name = "lamp"

    def __init__(self, networks: Path, threads: int | None) -> None:
        assert (networks, threads) == (Path("a.whl"), 2)

    def person(self, seed: int) -> np.ndarray:
        return np.full((200, 200, 3), 0 if seed == 1 else 200, np.uint8)


class Finder:
    """A detector that sees a face wherever it is bright."""

    def __init__(self, file: Path, *, threads: int | None) -> None:
        self.artifact = SimpleNamespace(path=file, sha256="ab" * 32)

    def detect(
        self, image: np.ndarray, *, score_threshold: float | None = None, max_faces: int | None = None
    ) -> list[SimpleNamespace]:
        five = np.array([[70, 80], [120, 80], [95, 110], [75, 140], [115, 140]], np.float32)
        box = np.array([60, 60, 130, 150], np.float32)
        return [SimpleNamespace(landmarks=five, box=box, score=0.9)][:max_faces] if image.any() else []


@pytest.fixture(autouse=True)
def finder(monkeypatch):
    monkeypatch.setattr(detector, "Detector", Finder)


def run(*arguments, status=0):
    done = CliRunner().invoke(cli, ["people", *map(str, arguments)])
    assert done.exit_code == status, done.output
    return done.stdout if status == 0 else done.stderr


@pytest.mark.parametrize(("option", "kind"), [((), "crops"), (("--whole",), "pictures")])
def test_the_summary_tells_what_is_there(tmp_path, monkeypatch, option, kind):
    monkeypatch.setattr(generator, "RandomFace", Lamp)
    told = ("a.whl", "--detector", "d.onnx", "--count", 3, "--threads", 2, *option, "--out", tmp_path / "people")
    first = json.loads(run(*told, "--json"))
    assert first.pop(f"{kind}_per_second") > 0
    assert first == {"people": str(tmp_path / "people"), kind: 2, "without_face": 1, "made_now": 2}
    again = json.loads(run(*told, "--json"))
    assert again == {**first, "made_now": 0, f"{kind}_per_second": None}
    assert f"{kind}: 2\nwithout_face: 1\n" in run(*told)


def test_help_tells_where_the_generator_comes_from():
    assert "pip download --no-deps random-face==2021.7.21.0" in run("--help")


def test_without_openvino_one_line_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    said = run("a.whl", "--detector", "d.onnx", "--out", tmp_path / "people", status=1)
    assert said.splitlines()[-1].startswith("pocketface: openvino is needed")
    assert "pip install 'pocketface[generate]'" in said
    assert not (tmp_path / "people").exists()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("--count", 0, "1<=x<=1000000"), ("--count", 10**9, "1<=x<=1000000"), ("--first", -1, "x>=0")],
)
def test_a_bad_number_is_a_wrong_call(option, value, said):
    assert said in run("a.whl", "--detector", "d.onnx", "--out", "out", option, value, status=2)


def test_what_is_no_wheel_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", SimpleNamespace())
    (tmp_path / "a.whl").write_bytes(b"no wheel")
    said = run(tmp_path / "a.whl", "--detector", "d.onnx", "--out", tmp_path / "people", status=1)
    assert "a.whl: not the wheel of random-face 2021.7.21.0" in said
    assert "pip download" in said
