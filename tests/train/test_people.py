"""People by seeds: shards that are whole or not there, whoever makes them and however often it is stopped."""

from __future__ import annotations

import errno
import io
import json
import tarfile
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from pocketface.cli import cli
from pocketface.errors import InvalidData, OutputError, UnsupportedModel
from pocketface.evaluate.data.opening import open_images
from pocketface.evaluate.faces import bundled_portraits
from pocketface.runtime.align import align_face
from pocketface.runtime.detector import Detector
from pocketface.train.crops import pack_crops
from pocketface.train.detect.scenes import SceneStore
from pocketface.train.people import Origin, write_people

GREY = np.full((384, 384, 3), 128, np.uint8)


class Album:
    """A generator whose people are the bundled portraits; it keeps which seeds it was asked for."""

    def __init__(
        self, *, name: str = "album", faceless: Collection[int] = (), failing: Mapping[int, BaseException] | None = None
    ):
        self.name, self.faceless, self.failing, self.asked = name, faceless, failing or {}, []

    def person(self, seed: int) -> np.ndarray:
        self.asked.append(seed)
        if seed in self.failing:
            raise self.failing[seed]
        return GREY if seed in self.faceless else bundled_portraits()[seed].image


@pytest.fixture(scope="module")
def detector(bundled_exports):
    return Detector(bundled_exports["mos_xs", "onnx", "float32"].artifact, threads=1)


def contents(folder: Path) -> dict[str, bytes]:
    """Everything in a folder, hidden files as well."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def members(file: Path) -> list[str]:
    with tarfile.open(file) as tar:
        return tar.getnames()


def test_a_crop_is_of_the_person_that_the_seed_stands_for(detector, tmp_path):
    """Landmarks that YuNet found and a person looked at make nearly the same crop, and that of nobody else."""
    write_people(Album(), detector, tmp_path / "people", count=6)
    store = pack_crops(open_images(tmp_path / "people", aligned=True), tmp_path / "store")
    known = np.stack([align_face(p.image, p.landmarks) for p in bundled_portraits()]).astype(float)
    assert store.names == tuple(f"person_{seed:06d}.png" for seed in range(6))
    assert [int(np.abs(known - crop).mean(axis=(1, 2, 3)).argmin()) for crop in store.pixels] == list(range(6))


def test_shards_hold_their_seeds_and_only_those_with_a_face(detector, tmp_path):
    done = []
    made = write_people(
        Album(faceless={1}), detector, tmp_path, count=5, shard=2, progress=lambda *told: done.append(told)
    )
    assert {name: members(tmp_path / name) for name in contents(tmp_path)} == {
        "people_000000.tar": ["people_000000.json", "person_000000.png"],
        "people_000002.tar": ["people_000002.json", "person_000002.png", "person_000003.png"],
        "people_000004.tar": ["people_000004.json", "person_000004.png"],
    }
    assert (made.pictures, made.without_face, made.made) == (4, 1, 4)
    assert done == [(i, 5) for i in range(1, 6)]
    assert open_images(tmp_path, aligned=True).problems == ()


def label(*arguments: object) -> str:
    done = CliRunner().invoke(cli, ["scenes", "label", *map(str, arguments)])
    return done.stdout if done.exit_code == 0 else done.stderr


def test_whole_pictures_become_scenes_with_the_faces_that_are_in_them(detector, tmp_path):
    """Landmarks that YuNet found and a person looked at are the yardstick; two detectors differ a little."""
    made = write_people(Album(faceless={1}), detector, tmp_path / "people", count=5, shard=2, whole=True)
    assert (made.pictures, made.without_face, made.made) == (4, 1, 4)
    assert members(tmp_path / "people" / "people_000002.tar") == [
        "people_000002.json",
        "person_000002.jpg",
        "person_000003.jpg",
        "annotations.json",
    ]
    told = json.loads(label(tmp_path / "people", "--out", tmp_path / "scenes", "--json"))
    assert (told["scenes"], told["problems"]) == (4, [])
    assert {name.split()[0] for name in told["counts"]} == {"generated"}
    for scene, seed in zip(SceneStore(tmp_path / "scenes"), (0, 2, 3, 4), strict=True):
        known = bundled_portraits()[seed]
        assert (scene.name, scene.source) == (f"person_{seed:06d}.jpg", "generated")
        assert np.abs(scene.image.astype(float) - known.image).mean() < 3  # JPEG's own loss
        assert scene.ignore.tolist() == [False]
        found = detector.detect(scene.image, score_threshold=0.5)
        assert np.abs(scene.landmarks - [face.landmarks for face in found]).max() < 0.01  # hundredths are kept
        five, eyes = scene.landmarks[0], np.linalg.norm(known.landmarks[1] - known.landmarks[0])
        assert np.linalg.norm(five - known.landmarks, axis=1).max() < 0.15 * eyes
        assert (five > scene.boxes[0, :2]).all()
        assert (five < scene.boxes[0, 2:]).all()


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (UnsupportedModel("the engine fails"), UnsupportedModel),
        (OSError(errno.ENOSPC, "No space left on device"), OutputError),
    ],
)
def test_what_stops_it_leaves_whole_shards_and_it_goes_on_there(detector, tmp_path, error, raised, whole):
    with pytest.raises(raised):
        write_people(Album(failing={3: error}), detector, tmp_path / "a", count=5, shard=2, whole=whole)
    assert list(contents(tmp_path / "a")) == ["people_000000.tar"]
    assert len(list((tmp_path / "a").iterdir())) == 1
    again = Album()
    made = write_people(again, detector, tmp_path / "a", count=5, shard=2, whole=whole)
    assert again.asked == [2, 3, 4]
    assert (made.pictures, made.made) == (5, 3)
    write_people(Album(), detector, tmp_path / "b", count=5, shard=2, whole=whole)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_full_disk_is_one_clear_error(detector, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(OutputError, match=r"people_000000.tar: No space left on device"):
        write_people(Album(), detector, tmp_path, count=1)
    assert list(tmp_path.iterdir()) == []


def test_processes_share_the_work_by_their_first_seeds(detector, tmp_path):
    write_people(Album(), detector, tmp_path / "two", first=2, count=2, shard=2)
    write_people(Album(), detector, tmp_path / "two", first=0, count=2, shard=2)
    write_people(Album(), detector, tmp_path / "one", count=4, shard=2)
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_a_greater_count_adds_people_and_a_smaller_one_none(detector, tmp_path):
    write_people(Album(faceless={0}), detector, tmp_path, count=3, shard=2)
    more = Album(faceless={0})
    assert write_people(more, detector, tmp_path, count=4, shard=2).pictures == 3
    assert more.asked == [2, 3]
    fewer = Album(faceless={0})
    made = write_people(fewer, detector, tmp_path, count=3, shard=2)
    assert (made.pictures, made.without_face, made.made, fewer.asked) == (2, 1, 0, [])


@pytest.mark.parametrize(("first", "count"), [(0, 0), (0, -1), (1, 2), (-2, 2)])
def test_seeds_that_make_no_shards_are_refused(detector, tmp_path, first, count):
    with pytest.raises(InvalidData, match=r"a first seed that 2 divides"):
        write_people(Album(), detector, tmp_path, first=first, count=count, shard=2)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_people_is_refused(detector, tmp_path):
    write_people(Album(), detector, tmp_path, count=1)
    before = contents(tmp_path)
    with pytest.raises(InvalidData, match=r"by album, .*asked for crops by another album, .*another folder"):
        write_people(Album(name="another album"), detector, tmp_path, count=2)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("whole", [False, True])
def test_a_folder_holds_crops_or_whole_pictures(detector, tmp_path, whole):
    write_people(Album(), detector, tmp_path, count=1, whole=whole)
    before, kinds = contents(tmp_path), ["crops", "whole pictures"]
    with pytest.raises(InvalidData, match=rf"{kinds[whole]} by album.*asked for {kinds[not whole]} by album"):
        write_people(Album(), detector, tmp_path, count=2, whole=not whole)
    assert contents(tmp_path) == before


def test_crops_are_nothing_to_make_scenes_of(detector, tmp_path):
    write_people(Album(), detector, tmp_path / "people", count=1)
    said = label(tmp_path / "people", "--out", tmp_path / "scenes")
    assert "people_000000.tar: no annotations.json in it" in said
    assert "people --whole" in said


def origin(by: Detector, **changes: object) -> bytes:
    told = Origin("album", by.artifact.sha256, 0, 1)
    return msgspec.json.encode(msgspec.structs.replace(told, **changes))


def tar_of(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


DAMAGED = {
    "by another detector": lambda d: tar_of("people_000000.json", origin(d, detector="ab" * 32)),
    "from another seed on": lambda d: tar_of("people_000000.json", origin(d, first=500)),
    "by nobody": lambda d: tar_of("person_000000.png", b""),
    "by what is no JSON": lambda d: tar_of("people_000000.json", b"\xff{"),
    "by more than is known": lambda d: tar_of("people_000000.json", origin(d)[:-1] + b',"more":1}'),
    "no tar": lambda d: b"no tar" * 200,
    "empty": lambda d: b"",
    "truncated": lambda d: tar_of("people_000000.json", origin(d))[:600],
}


@pytest.mark.parametrize("made", DAMAGED.values(), ids=DAMAGED)
def test_a_tar_that_is_not_of_these_people_is_named_and_stands(detector, tmp_path, made):
    (tmp_path / "people_000000.tar").write_bytes(made(detector))
    before, album = contents(tmp_path), Album()
    with pytest.raises(InvalidData, match=r"people_000000\.tar"):
        write_people(album, detector, tmp_path, count=1)
    assert contents(tmp_path) == before
    assert album.asked == []


@pytest.mark.parametrize(("whole", "which"), [(False, ""), (True, " of score 0.8")])
def test_a_detector_that_finds_nobody_leaves_nothing(detector, tmp_path, whole, which):
    with pytest.raises(InvalidData, match=rf"finds no face{which} in any picture of seeds 2 to 3"):
        write_people(Album(faceless={2, 3}), detector, tmp_path, count=4, shard=2, whole=whole)
    assert list(contents(tmp_path)) == ["people_000000.tar"]
