"""WIDER FACE: the lists of its official evaluation (``.mat``), and its annotations as text.

Source: http://shuoyang1213.me/WIDERFACE, ``eval_tools.zip`` and ``wider_face_split.zip``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidData
from ..matfile import MatValue, read_mat
from .annotations import AnnotatedPicture, DetectionSet, degenerate, from_xywh, gather, inside

#: The subsets of the official evaluation, each with the faces of the one before it.
LEVELS = ("easy", "medium", "hard")
LISTS = "wider_face_val.mat"
_WHOLE = ("event_list", "file_list", "face_bbx_list")
_FOLDERS = ("", "images", "WIDER_val/images", "WIDER_train/images", "val/images")
_INVALID = 7  # column of a line of text: x y w h blur expression illumination invalid occlusion pose


def read_wider_mat(lists: Path, images: Path) -> DetectionSet:
    """WIDER FACE val as its official evaluation has it.

    Args:
        lists: ``wider_face_val.mat``; ``wider_easy_val.mat``, ``wider_medium_val.mat`` and ``wider_hard_val.mat``
            must lie beside it.
        images: folder with a folder per event.

    Raises:
        InvalidData: a list is missing or malformed, or no picture is there.
    """
    whole = read_mat(lists, _WHOLE)
    levels = [read_mat(lists.with_name(f"wider_{level}_val.mat"), ("gt_list",))["gt_list"] for level in LEVELS]
    try:
        pictures = list(_pictures(images, *(whole[name] for name in _WHOLE), *levels))
    except (TypeError, ValueError, IndexError) as e:
        raise InvalidData(f"{lists}: its lists do not fit together: {e}; fetch eval_tools again") from e
    note = "Easy, medium and hard as the official lists have them: a face that is not in a subset is ignored there."
    return gather("WIDER FACE val", pictures, official=True, notes=(note,))


def _pictures(
    images: Path, events: MatValue, files: MatValue, boxes: MatValue, *levels: MatValue
) -> Iterator[AnnotatedPicture]:
    for event, names, faces, *indices in zip(events, files, boxes, *levels, strict=True):
        for name, xywh, *kept in zip(names, faces, *indices, strict=True):
            found = from_xywh(np.asarray(xywh))
            subsets = {level: _mask(index, len(found)) for level, index in zip(LEVELS, kept, strict=True)}
            ignore = ~np.any(list(subsets.values()), axis=0)
            path = inside(images, f"{event}/{name}.jpg")
            yield AnnotatedPicture(f"{event}/{name}", path, found, ignore, subsets=subsets)


def _mask(index: Any, count: int) -> Any:
    """Which of ``count`` faces a list of numbers from 1 names."""
    numbers = np.asarray(index, np.int64).reshape(-1)
    if len(numbers) and not (numbers.min() >= 1 and numbers.max() <= count):
        raise IndexError(f"face {numbers.max()} of {count}")
    return np.isin(np.arange(1, count + 1), numbers)


def read_wider_text(file: Path, images: Path) -> DetectionSet:
    """A ``wider_face_*_bbx_gt.txt``: per picture its name, the number of faces, and a line for each.

    Faces flagged invalid, and boxes without area, are ignored. A picture without faces has either no line or one of
    zeros.

    Raises:
        InvalidData: the file is missing or malformed, or no picture is there.
    """
    try:
        lines = [line.strip() for line in file.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeError) as e:
        raise InvalidData(f"{file}: cannot be read as text: {e}") from e
    pictures, at = [], 0
    while at < len(lines):
        picture, at = _read_picture(file, lines, at, images)
        pictures.append(picture)
    return gather(file.stem, pictures)


def _read_picture(file: Path, lines: Sequence[str], at: int, images: Path) -> tuple[AnnotatedPicture, int]:
    name = lines[at]
    try:
        count = int(lines[at + 1])
        if not 0 <= count <= len(lines) - at - 2:
            raise ValueError(f"{count} faces where {len(lines) - at - 2} lines are left")
        rows = [[float(word) for word in line.split()] for line in lines[at + 2 : at + 2 + count]]
        values = np.array([row + [0.0] * (10 - len(row)) for row in rows]).reshape(-1, 10)
        if any(len(row) < 4 for row in rows):
            raise ValueError("a face needs x, y, width and height")
    except (ValueError, IndexError) as e:
        raise InvalidData(f"{file}: {name!r}: expected a name, a number of faces and a line for each: {e}") from e
    end = at + 2 + count
    if count == 0 and end < len(lines) and set(lines[end].split()) == {"0"}:
        end += 1
    boxes = from_xywh(values[:, :4])
    ignore = degenerate(boxes) | (values[:, _INVALID] == 1)
    return AnnotatedPicture(name, inside(images, name), boxes, ignore), end


def images_of(data: Path, example: str) -> Path:
    """The folder under or beside which a picture or folder of that name lies; ``data`` itself if it is nowhere."""
    roots = [root / folder for root in (data, data.parent) for folder in _FOLDERS]
    return next((root for root in roots if (root / example).exists()), data)
