"""Open a detection data set by what is there."""

from __future__ import annotations

from pathlib import Path

from ...errors import InvalidData
from .annotations import DetectionSet
from .listed import read_json
from .voc import read_voc
from .wider import LISTS, images_of, read_wider_mat, read_wider_text

_TEXT = "wider_face_*_bbx_gt.txt"


def open_detection_set(data: Path, images: Path | None = None, *, strict: bool = False) -> DetectionSet:
    """Read WIDER FACE (lists or text), a folder of VOC annotations, or a JSON list.

    Args:
        data: a folder with ``wider_face_val.mat`` in it, with a ``wider_face_*_bbx_gt.txt``, or with VOC's XML files
            in it or in ``Annotations``; or one of these files, or a ``.json``. Lists are preferred to text.
        images: folder of the pictures; None to look for it around the annotations.
        strict: refuse a set with anything missing.

    Raises:
        InvalidData: nothing that is known is there, it is malformed, or ``strict`` and something is missing.
    """
    found = _read(data, images)
    if strict and found.problems:
        more = f", and {len(found.problems) - 1} more" if len(found.problems) > 1 else ""
        raise InvalidData(f"{data}: {found.problems[0]}{more}; leave out --strict to go on without")
    return found


def _read(data: Path, images: Path | None) -> DetectionSet:
    if data.suffix == ".json":
        return read_json(data, images)
    if lists := _find(data, LISTS):
        return read_wider_mat(lists, images or _around(data, lists, "0--Parade"))
    if text := _find(data, _TEXT if data.is_dir() else "*.txt"):
        return read_wider_text(text, images or _around(data, text, _first_line(text)))
    for folder in (data / "Annotations", data):
        if any(folder.glob("*.xml")):
            return read_voc(folder, images)
    raise InvalidData(
        f"{data}: no {LISTS}, no {_TEXT}, no .xml annotations in it; expected a folder with one of them, or a .json"
    )


def _find(data: Path, pattern: str) -> Path | None:
    """A file of that name: the given one, or the first in the folder or up to two folders down."""
    if data.is_file():
        return data if data.match(pattern) else None
    places = (sorted(data.glob(folder + pattern)) for folder in ("", "*/", "*/*/"))
    return next((file for files in places for file in files), None)


def _around(data: Path, file: Path, example: str) -> Path:
    """The pictures' folder, looked for in what was given and beside the annotations."""
    near = images_of(data if data.is_dir() else data.parent, example)
    return near if (near / example).exists() else images_of(file.parent, example)


def _first_line(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as lines:
            return next(lines, "").strip()
    except (OSError, UnicodeError):
        return ""
