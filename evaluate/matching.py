"""Match the faces that one detector finds in a picture with what another one sees there."""

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
    """How one detector's faces agree with another's candidates.

    Attributes:
        found: number of faces.
        missed: faces that are not among the candidates.
        box_iou: smallest IoU of a pair; 1 if there is none.
        landmarks_px: largest distance of a landmark of a pair, in pixels of the picture; 0 if there is none.
        score: largest difference of the scores of a pair; 0 if there is none.
    """

    found: int
    missed: int
    box_iou: float
    landmarks_px: float
    score: float


def match_faces(faces: Sequence[DetectedFace], candidates: Sequence[DetectedFace]) -> Matches:
    """Pair each face with the candidate that overlaps it most.

    Args:
        faces: what is left after suppression.
        candidates: what the other one sees before it. Which of two equally good places survives suppression hangs on
            the last bit of a score, so a survivor is looked for among all.
    """
    if not faces or not candidates:
        return Matches(len(faces), len(faces), 1.0, 0.0, 0.0)
    overlaps = iou(np.stack([f.box for f in faces]), np.stack([c.box for c in candidates]))
    best = overlaps.max(1)
    pairs = [(f, candidates[int(j)]) for f, j, o in zip(faces, overlaps.argmax(1), best, strict=True) if o >= SAME_FACE]
    distances = [float(np.linalg.norm(a.landmarks - b.landmarks, axis=1).max()) for a, b in pairs]
    return Matches(
        found=len(faces),
        missed=len(faces) - len(pairs),
        box_iou=float(best[best >= SAME_FACE].min(initial=1.0)),
        landmarks_px=max(distances, default=0.0),
        score=max((abs(a.score - b.score) for a, b in pairs), default=0.0),
    )


def join(matches: Sequence[Matches]) -> Matches:
    """The agreement over several pictures."""
    return Matches(
        sum(m.found for m in matches),
        sum(m.missed for m in matches),
        min(m.box_iou for m in matches),
        max(m.landmarks_px for m in matches),
        max(m.score for m in matches),
    )
