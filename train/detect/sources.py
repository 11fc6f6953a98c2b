"""Scenes from data sets: any that ``evaluate detection`` reads, tar files with a JSON of boxes, marked portraits.

A picture that cannot be read is named among the problems, and the rest goes on.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ...errors import InvalidData, InvalidImage
from ...evaluate.detection import open_detection_set
from ...runtime.images import load_image
from .scenes import Scene, scene

ANNOTATIONS = "annotations.json"
PORTRAITS = "portraits"


class _Face(msgspec.Struct, frozen=True):
    bbox_xywh: tuple[float, float, float, float]
    ignore: bool = False
    landmarks5_yunet: list[tuple[float, float]] | None = None


class _Picture(msgspec.Struct, frozen=True):
    source: str
    file: str
    faces: list[_Face]


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

    Raises:
        InvalidData: the annotations cannot be read.
    """
    try:
        listed = msgspec.json.decode((folder / ANNOTATIONS).read_bytes(), type=list[_Picture])
    except (OSError, msgspec.MsgspecError) as e:
        raise InvalidData(f"{folder / ANNOTATIONS}: expected a list of pictures with their faces: {e}") from e
    by_source: dict[str, dict[str, _Picture]] = {}
    for picture in listed:
        by_source.setdefault(picture.source, {})[picture.file] = picture
    for source, pictures in by_source.items():
        for name, image in _members(folder / f"{source}.tar", problems):
            known = pictures.pop(name, None)
            if known is None:
                problems.append(f"{source}: {name} is not in {ANNOTATIONS}")
            else:
                yield _annotated(known, image)
        problems += [f"{source}: {name} is not in its tar" for name in pictures]


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
                if not member.isfile():
                    continue
                stream = archive.extractfile(member)
                assert stream is not None
                try:
                    yield member.name, load_image(stream.read())
                except InvalidImage as e:
                    problems.append(f"{file.name}: {member.name}: {e}")
    except (OSError, tarfile.TarError) as e:
        raise InvalidData(f"{file}: cannot be read as a tar: {e}") from e


def _annotated(picture: _Picture, image: Any) -> Scene:
    xywh = np.array([face.bbox_xywh for face in picture.faces], np.float64).reshape(-1, 4)
    boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    none = [(np.nan, np.nan)] * 5
    landmarks = np.array([face.landmarks5_yunet or none for face in picture.faces], np.float64).reshape(-1, 5, 2)
    degenerate = ~(boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    ignore = np.array([face.ignore for face in picture.faces], bool) | degenerate
    return scene(picture.file, picture.source, image, boxes, ignore, landmarks)
