"""Scenes from data sets: any that ``evaluate detection`` reads, tar files with a JSON of boxes, marked portraits.

A picture that cannot be read is named among the problems, and the rest goes on.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from ...errors import InvalidData, InvalidImage
from ...evaluate.data.shelf import Read
from ...evaluate.data.tar_shards import TarShelf
from ...evaluate.detection import open_detection_set
from ...runtime.images import load_image
from .scenes import Scene, scene

ANNOTATIONS = "annotations.json"
PORTRAITS = "portraits"
#: The source of the pictures that ``pocketface people --whole`` makes, and their tars.
GENERATED, SHARDS = "generated", "people_*.tar"


class Face(msgspec.Struct, frozen=True, omit_defaults=True):
    """A face as annotations have it, in pixels of the picture: its box, and five landmarks if they are known."""

    bbox_xywh: tuple[float, float, float, float]
    ignore: bool = False
    landmarks5_yunet: Annotated[list[tuple[float, float]], msgspec.Meta(min_length=5, max_length=5)] | None = None


class Picture(msgspec.Struct, frozen=True):
    """A picture as annotations have it: the data set it is from, its name in the tar, and its faces."""

    source: str
    file: str
    faces: list[Face]


def read_set(data: Path, problems: list[str]) -> Iterator[Scene]:
    """The pictures of VOC, WIDER FACE or JSON annotations, in any layout that ``evaluate detection`` knows.

    Raises:
        InvalidData: there is no such data set.
    """
    found = open_detection_set(data)
    problems += found.problems
    for picture in found.pictures:
        try:
            image = load_image(picture.path)
        except InvalidImage as e:
            problems.append(f"{picture.name}: {e}")
            continue
        yield scene(picture.name, found.name, image, picture.boxes, picture.ignore, picture.landmarks)


def read_tars(folder: Path, problems: list[str]) -> Iterator[Scene]:
    """``annotations.json`` with ``source``, ``file`` and ``faces``, and a tar of pictures for each source.

    Without it the tars that ``pocketface people --whole`` made, each with its own ``annotations.json``.

    Raises:
        InvalidData: the annotations or a tar cannot be read.
    """
    tars = _by_source(folder) if (folder / ANNOTATIONS).is_file() else _by_shard(folder)
    for tar, pictures in tars:
        for name, image in _members(tar, problems):
            known = pictures.pop(name, None)
            if known is None:
                problems.append(f"{tar.stem}: {name} is not in {ANNOTATIONS}")
            else:
                yield _annotated(known, image)
        problems += [f"{tar.stem}: {name} is not in its tar" for name in pictures]


def _by_source(folder: Path) -> Iterator[tuple[Path, dict[str, Picture]]]:
    tars: dict[Path, dict[str, Picture]] = {}
    for picture in _pictures(folder, (folder / ANNOTATIONS).read_bytes):
        tars.setdefault(folder / f"{picture.source}.tar", {})[picture.file] = picture
    yield from tars.items()


def _by_shard(folder: Path) -> Iterator[tuple[Path, dict[str, Picture]]]:
    for tar in sorted(folder.glob(SHARDS)):
        read = TarShelf(tar, [tar]).find(ANNOTATIONS)
        if read is None:
            raise InvalidData(f"{tar}: no {ANNOTATIONS} in it; a detector learns from what people --whole makes")
        yield tar, {picture.file: picture for picture in _pictures(tar, read)}


def _pictures(place: Path, read: Read) -> list[Picture]:
    try:
        return msgspec.json.decode(read(), type=list[Picture])
    except (OSError, InvalidImage, msgspec.MsgspecError, UnicodeError) as e:
        raise InvalidData(f"{place / ANNOTATIONS}: expected a list of pictures with their faces: {e}") from e


def read_portraits(folder: Path, problems: list[str]) -> Iterator[tuple[str, Any, Any]]:
    """Name, image and (49, 2) points of each portrait in ``allage_portraits_1000.tar``, marked in ``allage_49.npz``."""
    try:
        with np.load(folder / "allage_49.npz", allow_pickle=False) as marked:
            points = dict(zip(map(str, marked["files"]), marked["points_xy"], strict=True))
    except (OSError, KeyError, ValueError) as e:
        raise InvalidData(f"{folder / 'allage_49.npz'}: expected files and points_xy: {e}") from e
    for name, image in _members(folder / "allage_portraits_1000.tar", problems):
        if name in points:
            yield name, image, points[name]
        else:
            problems.append(f"{name}: not marked")


def _members(file: Path, problems: list[str]) -> Iterator[tuple[str, Any]]:
    try:
        with tarfile.open(file) as archive:
            for member in archive:
                if not member.isfile() or member.name.endswith(".json"):
                    continue
                stream = archive.extractfile(member)
                assert stream is not None
                try:
                    yield member.name, load_image(stream.read())
                except InvalidImage as e:
                    problems.append(f"{file.name}: {member.name}: {e}")
    except (OSError, tarfile.TarError) as e:
        raise InvalidData(f"{file}: cannot be read as a tar: {e}") from e


def _annotated(picture: Picture, image: Any) -> Scene:
    xywh = np.array([face.bbox_xywh for face in picture.faces], np.float64).reshape(-1, 4)
    boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    none = [(np.nan, np.nan)] * 5
    landmarks = np.array([face.landmarks5_yunet or none for face in picture.faces], np.float64).reshape(-1, 5, 2)
    degenerate = ~(boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    ignore = np.array([face.ignore for face in picture.faces], bool) | degenerate
    return scene(picture.file, picture.source, image, boxes, ignore, landmarks)
