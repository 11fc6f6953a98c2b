"""Pictures with the faces that are known to be in them, as every reader of a detection data set gives them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidData

Boxes = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AnnotatedPicture:
    """A picture and its faces, in pixels of the picture.

    Attributes:
        name: as the annotations have it, with its folder.
        path: of the file.
        boxes: ``(n, 4) float64`` xyxy.
        ignore: ``(n,) bool``: faces that need not be found, and cost nothing if they are.
        landmarks: ``(n, 5, 2) float64``, NaN where a face has none; None if no face of the set has any.
        subsets: name of a subset -> ``(n,) bool``: the faces that count there; all others are ignored there.
    """

    name: str
    path: Path
    boxes: Boxes
    ignore: NDArray[np.bool_]
    landmarks: NDArray[np.float64] | None = None
    subsets: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class DetectionSet:
    """A detection data set.

    Attributes:
        name: of the set, for tables.
        pictures: those that are there.
        problems: a sentence for everything that had to be left out.
        official: whether the lists of WIDER FACE's own evaluation are there, so that its protocol can be followed.
        notes: what a reader of the numbers must know about the annotations.
    """

    name: str
    pictures: tuple[AnnotatedPicture, ...]
    problems: tuple[str, ...] = ()
    official: bool = False
    notes: tuple[str, ...] = ()

    @property
    def faces(self) -> int:
        """Number of faces that are to be found."""
        return sum(int((~picture.ignore).sum()) for picture in self.pictures)

    @cached_property
    def fingerprint(self) -> str:
        """Hex SHA-256 over names, annotations and contents of the files: what the numbers were measured on."""
        digest = hashlib.sha256()
        for picture in self.pictures:
            with picture.path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{picture.name}\0{content}\0".encode())
            arrays = (picture.boxes, picture.ignore, picture.landmarks, *picture.subsets.values())
            digest.update(b"".join(a.tobytes() for a in arrays if a is not None))
        return digest.hexdigest()


def gather(
    name: str,
    pictures: Iterable[AnnotatedPicture],
    problems: Sequence[str] = (),
    *,
    official: bool = False,
    notes: Sequence[str] = (),
) -> DetectionSet:
    """A data set of those pictures whose files are there; the others are problems.

    Raises:
        InvalidData: none is there, or there is no face to find.
    """
    wanted = list(pictures)
    there = tuple(picture for picture in wanted if picture.path.is_file())
    missing = [f"no such picture: {picture.path}" for picture in wanted if not picture.path.is_file()]
    if not there:
        first = f", not even {wanted[0].path}" if wanted else ""
        raise InvalidData(
            f"{name}: none of its {len(wanted)} pictures is there{first}; name their folder with --images"
        )
    gathered = DetectionSet(name, there, (*problems, *missing), official, tuple(notes))
    if not gathered.faces:
        raise InvalidData(f"{name}: no face to be found in its {len(there)} pictures; are all of them ignored?")
    return gathered


def inside(folder: Path, name: str) -> Path:
    """The path of a picture that an annotation names.

    Raises:
        InvalidData: the name leads out of the folder.
    """
    relative = Path(name)
    if relative.is_absolute() or ".." in relative.parts or "\0" in name:
        raise InvalidData(f"{name!r} leads out of the folder of the pictures; expected a name inside it")
    return folder / relative


def from_xywh(boxes: NDArray[Any]) -> Boxes:
    """``(n, 4)`` boxes given as left, top, width, height, as xyxy."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def degenerate(boxes: Boxes) -> NDArray[np.bool_]:
    """Which boxes have no area or are not finite: nothing can overlap them, so they cannot be held against anyone."""
    sound: NDArray[np.bool_] = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return ~sound
