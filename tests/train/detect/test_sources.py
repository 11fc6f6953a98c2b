"""Scenes from data sets: what is damaged or missing is named, and the rest is read."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pocketface.cli import cli
from pocketface.errors import InvalidData
from pocketface.train.detect.scenes import SceneStore
from pocketface.train.detect.sources import read_portraits, read_set, read_tars


def picture(side: int = 40) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), (90, 120, 30)).save(stream, "PNG")
    return stream.getvalue()


def pack(file: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(file, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def face(*xywh: float, ignore: bool = False, landmarks: list[list[float]] | None = None) -> dict[str, object]:
    known = {"landmarks5_yunet": landmarks} if landmarks else {}
    return {"bbox_xywh": xywh, "ignore": ignore, **known}


@pytest.fixture
def tars(tmp_path: Path) -> Path:
    five = [[1.0, 2], [3, 4], [5, 6], [7, 8], [9, 10]]
    faces = {"a.png": [face(1, 2, 10, 20, landmarks=five), face(5, 5, 8, 8, ignore=True), face(3, 3, 0, 5)]}
    listed = [
        {"source": "one", "file": name, "faces": faces.get(name, [])} for name in ("a.png", "bad.png", "missing.png")
    ]
    (tmp_path / "annotations.json").write_text(json.dumps(listed))
    pack(tmp_path / "one.tar", {"a.png": picture(), "bad.png": picture()[:60], "more.png": picture()})
    return tmp_path


def test_tars_with_annotations(tars: Path) -> None:
    problems: list[str] = []
    (read,) = read_tars(tars, problems)
    assert (read.name, read.source, read.image.shape) == ("a.png", "one", (40, 40, 3))
    assert read.boxes.tolist() == [[1, 2, 11, 22], [5, 5, 13, 13], [3, 3, 3, 8]]
    assert read.ignore.tolist() == [False, True, True]
    assert read.landmarks[0, 4].tolist() == [9, 10]
    assert np.isnan(read.landmarks[1:]).all()
    assert np.isnan(read.rotations).all()
    assert len(problems) == 4  # damaged, so never seen; one too many; two that are not there
    assert all(any(name in problem for problem in problems) for name in ("bad.png", "more.png", "missing.png"))


GARBLED = {
    "no JSON": b"[{]",
    "no text": b"\xff\xfe",
    "no list": b"{}",
    "three landmarks": json.dumps(
        [{"source": "one", "file": "a.png", "faces": [face(1, 2, 3, 4, landmarks=[[1, 2]] * 3)]}]
    ).encode(),
}


@pytest.mark.parametrize("content", GARBLED.values(), ids=GARBLED)
def test_garbled_annotations_are_refused(tars: Path, content: bytes) -> None:
    (tars / "annotations.json").write_bytes(content)
    with pytest.raises(InvalidData, match=r"annotations\.json"):
        list(read_tars(tars, []))
    (tars / "annotations.json").unlink()
    pack(tars / "people_000000.tar", {"a.png": picture(), "annotations.json": content})
    with pytest.raises(InvalidData, match=r"people_000000\.tar/annotations\.json"):
        list(read_tars(tars, []))


def test_tars_with_annotations_of_their_own(tars: Path) -> None:
    """Like one tar with annotations beside it, and the same of it is named as missing."""
    problems: list[str] = []
    listed = (tars / "annotations.json").read_bytes()
    (tars / "annotations.json").unlink()
    pack(tars / "people_000500.tar", {"a.png": picture(), "annotations.json": listed})
    pack(tars / "people_000000.tar", {"bad.png": picture()[:60], "annotations.json": listed, "missing.png": picture()})
    read = list(read_tars(tars, problems))
    assert [(one.name, one.source, len(one.boxes)) for one in read] == [("missing.png", "one", 0), ("a.png", "one", 3)]
    assert [problem.split(": ")[1].split()[0] for problem in problems] == [
        *("bad.png", "a.png", "bad.png"),
        *("bad.png", "missing.png"),
    ]


def test_a_truncated_tar_is_refused(tars: Path) -> None:
    (tars / "annotations.json").unlink()
    pack(tars / "people_000000.tar", {"a.png": picture(), "annotations.json": b"[]"})
    (tars / "people_000000.tar").write_bytes((tars / "people_000000.tar").read_bytes()[:700])
    with pytest.raises(InvalidData, match=r"people_000000\.tar"):
        list(read_tars(tars, []))


def test_portraits(tmp_path: Path) -> None:
    np.savez(tmp_path / "allage_49.npz", files=np.array(["a.png"]), points_xy=np.ones((1, 49, 2), np.float32))
    pack(tmp_path / "allage_portraits_1000.tar", {"a.png": picture(), "b.png": picture(), "c.png": b"no picture"})
    problems: list[str] = []
    ((name, image, points),) = read_portraits(tmp_path, problems)
    assert (name, image.shape, points.shape) == ("a.png", (40, 40, 3), (49, 2))
    assert len(problems) == 2


def test_wider_text_goes_through_the_readers_of_evaluate(tmp_path: Path) -> None:
    (tmp_path / "images" / "0--Parade").mkdir(parents=True)
    (tmp_path / "images" / "0--Parade" / "a.png").write_bytes(picture())
    (tmp_path / "images" / "0--Parade" / "b.png").write_bytes(b"no picture")
    line = "5 6 10 12 0 0 0 0 0 0\n"
    text = "".join(f"0--Parade/{name}.png\n1\n{line}" for name in "abc")
    (tmp_path / "wider_face_train_bbx_gt.txt").write_text(text)
    problems: list[str] = []
    (read,) = read_set(tmp_path, problems)
    assert read.boxes.tolist() == [[5, 6, 15, 18]]
    assert len(problems) == 2


def test_the_command_makes_a_store(tars: Path, tmp_path: Path) -> None:
    command = ["scenes", "label", str(tars), "--out", str(tmp_path / "scenes")]
    told = json.loads(CliRunner().invoke(cli, [*command, "--json"]).stdout)
    assert (told["scenes"], len(told["problems"])) == (1, 4)
    assert SceneStore(tmp_path / "scenes").names == ["a.png"]
    assert "left out: 4" in CliRunner().invoke(cli, command).stdout
    pack(tars / "one.tar", {"a.png": picture()[:60]})
    empty = CliRunner().invoke(cli, [*command[:-1], str(tmp_path / "none")])
    assert (empty.exit_code, "not one scene" in empty.stderr) == (1, True)
    assert not list((tmp_path / "none").iterdir())
    np.savez(tars / "allage_49.npz", files=np.array(["a.png"]), points_xy=np.ones((1, 49, 2), np.float32))
    refused = CliRunner().invoke(cli, command)
    assert refused.exit_code == 1
    assert "--facemesh" in refused.stderr
