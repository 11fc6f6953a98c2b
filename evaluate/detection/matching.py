"""Which detection is which face: greedy, best score first, as the COCO evaluation does it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.boxes import iou
from .annotations import Boxes

#: Least IoU of a detection and the face that it has found.
FOUND = 0.5

TRUE, FALSE, DUPLICATE, IGNORED = 1, 0, -1, -2


@dataclass(frozen=True, eq=False)
class Matching:
    """How the detections of a picture relate to its faces.

    Attributes:
        outcome: ``(n,)`` for each detection ``TRUE``, ``FALSE``, ``DUPLICATE`` (it lies on a face that a better one
            has found; false as well) or ``IGNORED`` (it lies on a face that need not be found).
        partner: ``(n,)`` index of the face that a true detection has found, else -1.
        finder: ``(m,)`` index of the detection that has found a face, else -1.
    """

    outcome: NDArray[np.int8]
    partner: NDArray[np.int64]
    finder: NDArray[np.int64]


def match(boxes: Boxes, truth: Boxes, ignore: NDArray[np.bool_], least: float = FOUND) -> Matching:
    """Give each detection the free face that it overlaps most.

    A detection that no free face is left for is ignored if it lies on an ignored face; those take any number.

    Args:
        boxes: (n, 4) xyxy of the detections, best first. Leaving out the worst does not change the others.
        truth: (m, 4) xyxy of the faces.
        ignore: (m,), the faces that need not be found.
        least: least IoU to have found a face.
    """
    overlaps = iou(boxes, truth)
    outcome, partner = np.full(len(boxes), FALSE, np.int8), np.full(len(boxes), -1)
    finder = np.full(len(truth), -1)
    for i in np.flatnonzero((overlaps >= least).any(axis=1)):
        near = overlaps[i] >= least
        free = np.where(near & ~ignore & (finder < 0), overlaps[i], -1.0)
        face = int(free.argmax())
        if free[face] >= least:
            outcome[i], partner[i], finder[face] = TRUE, face, i
        else:
            outcome[i] = IGNORED if (near & ignore).any() else DUPLICATE
    return Matching(outcome, partner, finder)
