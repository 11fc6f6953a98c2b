"""PASCAL VOC annotations: an XML file per picture. Source: VOC2012 development kit, section 2."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.parsers import expat

import numpy as np

from ...errors import InvalidData
from .annotations import AnnotatedPicture, DetectionSet, degenerate, gather

MAX_BYTES = 16 << 20
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def read_voc(annotations: Path, images: Path | None = None) -> DetectionSet:
    """A folder of XML files; every object counts as a face, those marked difficult are ignored.

    Coordinates are taken as they stand: labelling tools disagree on whether the first pixel is 0 or 1.

    Args:
        annotations: the folder with the XML files.
        images: folder of the pictures; None to look beside the XML files and in ``../JPEGImages``.

    Raises:
        InvalidData: no XML file, a malformed one, or no picture is there.
    """
    files = sorted(annotations.glob("*.xml"))
    if not files:
        raise InvalidData(f"{annotations}: no .xml file in it; expected an annotation for each picture")
    folders = [images] if images else [annotations, annotations.parent / "JPEGImages", annotations.parent / "images"]
    read = [_read(file, folders) for file in files]
    kinds = sorted({kind for _, found in read for kind in found})
    notes = [f"Every object counts as a face: {', '.join(kinds)}."] if len(kinds) > 1 else []
    return gather(annotations.parent.name or "VOC", [picture for picture, _ in read], notes=notes)


def _read(file: Path, folders: list[Path]) -> tuple[AnnotatedPicture, list[str]]:
    root = parse_xml(file)
    objects = root.findall("object")
    try:
        sides = [[float(_text(o.find("bndbox"), side)) for side in _SIDES] for o in objects]
        if not all(math.isfinite(side) for box in sides for side in box):
            raise ValueError("a coordinate is not finite")
    except ValueError as e:
        raise InvalidData(f"{file}: expected numbers {', '.join(_SIDES)} in every bndbox: {e}") from e
    boxes = np.array(sides, np.float64).reshape(-1, 4)
    difficult = np.array([_text(o, "difficult", "0") == "1" for o in objects], bool)
    path = _picture(file, _text(root, "filename", ""), folders)
    kinds = [_text(o, "name", "unnamed") for o in objects]
    return AnnotatedPicture(path.name, path, boxes, degenerate(boxes) | difficult), kinds


def _picture(file: Path, name: str, folders: list[Path]) -> Path:
    """The picture that a file speaks of; only the last part of the name that it gives is looked at."""
    names = [Path(name.replace("\\", "/")).name, *(file.stem + ending for ending in _ENDINGS)]
    places = [folder / name for folder in folders for name in names if name]
    return next((place for place in places if place.is_file()), places[0])


def _text(element: Element | None, tag: str, default: str | None = None) -> str:
    found = None if element is None else element.findtext(tag, default)
    if found is None:
        raise ValueError(f"no {tag}")
    return found.strip()


def parse_xml(file: Path) -> Element:
    """The root of an XML file. One with a DTD is refused: annotations need none, and bombs are made of their entities.

    Raises:
        InvalidData: unreadable, larger than ``MAX_BYTES``, malformed, or with a DTD.
    """
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = builder.data, _refuse
    try:
        if file.stat().st_size > MAX_BYTES:
            raise InvalidData(f"more than {MAX_BYTES} bytes")
        parser.Parse(file.read_bytes(), True)
        return builder.close()
    except (OSError, expat.ExpatError, ParseError, InvalidData, ValueError, AssertionError) as e:
        raise InvalidData(f"{file}: not an annotation in XML: {e}") from e


def _refuse(*_: object) -> NoReturn:
    raise InvalidData("it brings a document type; remove the DOCTYPE")
