"""Average precision, and its interval when other pictures had been drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .matching import IGNORED, TRUE, Matching
from .searched import Search

Floats = NDArray[np.float64]
_DRAWS, _SEED = 200, 0


@dataclass(frozen=True)
class AveragePrecision:
    """An average precision and what it rests on.

    Attributes:
        subset: its name.
        ap: area under the curve of precision over recall, 0..1.
        low, high: 95 % interval, by drawing the pictures again with replacement 200 times.
        faces: number of faces to be found.
        pictures: number of pictures, those without such a face included.
        method: how it was computed.
    """

    subset: str
    ap: float
    low: float
    high: float
    faces: int
    pictures: int
    method: str


def area_under(recall: Floats, precision: Floats) -> float:
    """Area under the curve of precision over recall, at all points, after precision was made falling.

    Precision at a recall is the best precision at that recall or any higher one; beyond the highest recall it is 0.
    Where nothing was proposed (0 of 0, NaN) it counts as 0. Source: PASCAL VOC development kit since 2010.

    Args:
        recall: (n,) rising, 0..1.
        precision: (n,) at these.
    """
    best = np.maximum.accumulate(np.nan_to_num(precision)[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * best))


def all_points(searches: Sequence[Search], matchings: Sequence[Matching], subset: str = "all") -> AveragePrecision:
    """AP at IoU 0.5 over all detections of all pictures, ranked by score; detections of one score enter together."""
    picture = np.repeat(np.arange(len(searches)), [len(s.scores) for s in searches])
    scores = np.concatenate([s.scores for s in searches])
    outcome = np.concatenate([m.outcome for m in matchings])
    counted = outcome != IGNORED
    order = np.argsort(-scores[counted], kind="stable")
    picture, scores, true = (a[counted][order] for a in (picture, scores, outcome == TRUE))
    last = np.flatnonzero(np.diff(scores, append=-np.inf))  # where a score ends
    faces = np.array([(~s.picture.ignore).sum() for s in searches])

    def area(weights: Floats) -> float:
        if not weights @ faces:
            return float("nan")
        found = np.cumsum(weights[picture] * true)[last]
        proposed = np.cumsum(weights[picture])[last]
        with np.errstate(invalid="ignore"):
            return area_under(found / (weights @ faces), found / proposed)

    low, high = interval(area, len(searches))
    everything = area(np.ones(len(searches)))
    return AveragePrecision(subset, everything, low, high, int(faces.sum()), len(searches), "all points, IoU 0.5")


def interval(area: Callable[[Floats], float], pictures: int) -> tuple[float, float]:
    """95 % interval of a figure that is computed from how often each picture was drawn."""
    draws = np.random.default_rng(_SEED).multinomial(pictures, np.full(pictures, 1 / pictures), _DRAWS)
    areas = np.array([area(draw.astype(np.float64)) for draw in draws])
    if np.isnan(areas).all():
        return float("nan"), float("nan")
    low, high = np.nanpercentile(areas, [2.5, 97.5])
    return float(low), float(high)
