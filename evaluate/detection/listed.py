"""Annotations as JSON: the simplest way to bring one's own pictures, with landmarks if there are any."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np

from ...contract import FivePoints
from ...errors import InvalidData
from .annotations import AnnotatedPicture, DetectionSet, degenerate, gather, inside


class _Face(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    box: tuple[float, float, float, float]
    landmarks: FivePoints | None = None
    ignore: bool = False


class _Picture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    file: str
    faces: list[_Face]


def read_json(file: Path, images: Path | None = None) -> DetectionSet:
    """A JSON list of ``{"file", "faces": [{"box": [x1, y1, x2, y2], "landmarks": [[x, y] x 5], "ignore": false}]}``.

    Landmarks and ``ignore`` may be left out. Pictures lie in ``images``, or beside the file.

    Raises:
        InvalidData: the file is missing or malformed, names a picture outside its folder, or no picture is there.
    """
    try:
        listed = msgspec.json.decode(file.read_bytes(), type=list[_Picture])
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError) as e:
        raise InvalidData(f"{file}: expected a list of pictures with their faces: {e}") from e
    folder = images or file.parent
    with_points = any(face.landmarks for picture in listed for face in picture.faces)
    return gather(file.stem, [_annotated(folder, picture, with_points) for picture in listed])


def _annotated(folder: Path, picture: _Picture, with_points: bool) -> AnnotatedPicture:
    boxes = np.array([face.box for face in picture.faces], np.float64).reshape(-1, 4)
    none = ((math.nan, math.nan),) * 5
    points = np.array([face.landmarks or none for face in picture.faces], np.float64).reshape(-1, 5, 2)
    ignore = degenerate(boxes) | np.array([face.ignore for face in picture.faces], bool)
    return AnnotatedPicture(picture.file, inside(folder, picture.file), boxes, ignore, points if with_points else None)
