"""Match the faces that two detectors find in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..runtime.boxes import iou
from ..runtime.detector import DetectedFace

#: Boxes that overlap by at least this IoU are taken for the same face.
SAME_FACE = 0.5


@dataclass(frozen=True)
class Matches:
    """How two lists of faces agree.

    Attributes:
        found: number of faces in the first.
        missed: faces that only one of the two has.
        box_iou: smallest IoU of a pair; 1 if there is none.
        landmarks_px: largest distance of a landmark of a pair, in pixels of the picture; 0 if there is none.

    """

    found: int
    missed: int
    box_iou: float
    landmarks_px: float


def match_faces(a: Sequence[DetectedFace], b: Sequence[DetectedFace], unsure_below: float) -> Matches:
    """Pair each face of ``a`` with the one of ``b`` that overlaps it most, and count those without a partner.

    Args:
        a: the faces that count as right.
        b: the others.
        unsure_below: a lonely face with a lower score is so near the threshold that it is not held against anyone.

    """
    lonely = [*a, *b]
    ious, distances = [1.0], [0.0]
    if a and b:
        overlaps = iou(np.stack([f.box for f in a]), np.stack([f.box for f in b]))
        lonely = [f for f, o in zip(a, overlaps, strict=True) if o.max() < SAME_FACE]
        lonely += [f for f, o in zip(b, overlaps.T, strict=True) if o.max() < SAME_FACE]
        for face, row in zip(a, overlaps, strict=True):
            if row.max() >= SAME_FACE:
                ious.append(float(row.max()))
                partner = b[int(row.argmax())]
                distances.append(float(np.linalg.norm(face.landmarks - partner.landmarks, axis=1).max()))
    missed = sum(f.score >= unsure_below for f in lonely)
    return Matches(len(a), missed, min(ious), max(distances))


def join(matches: Sequence[Matches]) -> Matches:
    """The agreement over several pictures."""
    return Matches(
        sum(m.found for m in matches),
        sum(m.missed for m in matches),
        min(m.box_iou for m in matches),
        max(m.landmarks_px for m in matches),
    )
