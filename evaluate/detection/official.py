"""The official WIDER FACE evaluation: easy, medium and hard.

Followed to the letter, since published numbers are made so, and where it differs from the plain average precision:

- all scores are moved to 0..1 by the smallest and the largest of the whole set, and the curve is sampled at the 1000
  thresholds 1 - t/1000, t = 1..1000;
- a box of width w is taken to cover w + 1 pixels, in overlaps as in areas;
- a detection belongs to the face that it overlaps most, even if that one is taken; on a face outside the subset it
  counts neither as right nor as wrong;
- a picture in which nothing was found, or which has no faces at all, adds nothing, not even false detections.

What the MATLAB code leaves to MATLAB: where nothing was proposed, precision 0/0 counts as 0. Where the lists hold
boxes in whole-number types, MATLAB also rounds overlaps to whole numbers, which leaves the threshold where it is and
only breaks ties between two faces that one detection covers by half; here they are compared unrounded.

Source: ``eval_tools.zip`` of WIDER FACE, ``evaluation.m`` and ``norm_score.m``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...runtime.boxes import iou
from .matching import FOUND
from .precision import AveragePrecision, Floats, area_under, interval
from .searched import Search

THRESHOLDS = 1 - np.arange(1, 1001) / 1000
_COVERED = np.array([0, 0, 1, 1])  # a pixel more to the right and to the bottom


def official_ap(searches: Sequence[Search], subset: str) -> AveragePrecision:
    """Average precision on a subset that every picture names.

    Returns:
        NaN as its area if the subset has no faces.
    """
    faces = np.array([s.picture.subsets[subset].sum() for s in searches])
    counts = np.stack([_counts(s, scores, subset) for s, scores in zip(searches, normalised(searches), strict=True)])

    def area(weights: Floats) -> float:
        wanted = weights @ faces
        proposed, found = np.tensordot(weights.astype(np.float32), counts, 1).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            return area_under(found / wanted, found / proposed) if wanted else float("nan")

    low, high = interval(area, len(searches))
    method = "official: 1000 thresholds, IoU 0.5"
    everything = area(np.ones(len(searches)))
    return AveragePrecision(subset, everything, low, high, int(faces.sum()), len(searches), method)


def normalised(searches: Sequence[Search]) -> list[Floats]:
    """The scores of each picture, moved to 0..1 by the smallest and largest of the set; all 1 if they are all equal."""
    scores = [s.scores for s in searches if len(s.scores)]
    low, high = (f(list(map(f, scores))) for f in (min, max)) if scores else (0.0, 1.0)
    return [(s.scores - low) / (high - low) if high > low else np.ones_like(s.scores) for s in searches]


def _counts(search: Search, scores: Floats, subset: str) -> NDArray[np.float32]:
    """``(2, 1000)`` at each threshold: detections that count, and faces of the subset that they have found."""
    if not len(scores) or not len(search.picture.boxes):
        return np.zeros((2, len(THRESHOLDS)), np.float32)
    overlaps = iou(search.boxes + _COVERED, search.picture.boxes + _COVERED)
    face, hit = overlaps.argmax(axis=1), overlaps.max(axis=1) >= FOUND
    wanted = search.picture.subsets[subset][face]
    first = np.zeros(len(face), bool)  # the first detection of each face
    first[np.flatnonzero(hit)[np.unique(face[hit], return_index=True)[1]]] = True
    curves = np.cumsum([~hit | wanted, first & wanted], axis=1)
    shown = np.searchsorted(-scores, -THRESHOLDS, side="right")  # detections at or above each threshold
    sampled: NDArray[np.float32] = np.concatenate([np.zeros((2, 1)), curves], axis=1)[:, shown].astype(np.float32)
    return sampled
