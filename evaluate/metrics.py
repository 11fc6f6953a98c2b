"""The figures of the verification protocols, in numpy alone. One rule: a pair passes if ``score >= threshold``.

Scores are cosines, higher is more alike; a pair of which a picture could not be used has the score ``-inf`` and passes
no threshold. Papers that speak of the squared Euclidean distance d of unit vectors mean the same order:
d = 2 - 2 cos, so d <= 1.2 is cos >= 0.4.

FAR (false accept rate) is the share of impostor pairs that pass, TAR (true accept rate) that of genuine pairs.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating[Any]]

#: The candidates of the InsightFace protocol, squared distances 0, 0.01 ... 3.99, as cosines.
FIELD_GRID: Scores = 1 - np.arange(0, 4, 0.01) / 2


class Curve(NamedTuple):
    """A ROC curve; a DET curve shows the same FAR against 1 - TAR.

    Attributes:
        threshold: (n,) falling; the first is above every impostor.
        far, tar: (n,) rising, the shares that pass at each threshold.
    """

    threshold: Scores
    far: Scores
    tar: Scores

    @property
    def eer(self) -> float:
        """Equal error rate: where FAR and 1 - TAR meet; the mean of the two at the threshold where they are nearest."""
        nearest = int(np.argmin(np.abs(self.far - (1 - self.tar))))
        return float(self.far[nearest] + 1 - self.tar[nearest]) / 2


class Folds(NamedTuple):
    """Accuracy over folds.

    Attributes:
        accuracy: (k,) share of right decisions in each fold, at a threshold chosen on the others.
        threshold: (k,) those thresholds.
    """

    accuracy: Scores
    threshold: Scores

    @property
    def mean(self) -> float:
        """Over the folds."""
        return float(self.accuracy.mean())

    @property
    def std(self) -> float:
        """Over the folds, dividing by their number, as the field prints it behind ±."""
        return float(self.accuracy.std())


def roc(genuine: Scores, impostor: Scores, counts: NDArray[np.int64] | None = None) -> Curve:
    """FAR and TAR at every distinct impostor score, and above all of them.

    Args:
        genuine: (G,) scores.
        impostor: (I,) scores, in any order.
        counts: (I,) how many pairs have each score, for a histogram; one each by default.
    """
    levels, of = np.unique(impostor, return_inverse=True)
    pairs = np.bincount(of.ravel(), None if counts is None else counts.astype(np.float64))
    threshold = np.append(levels, np.nextafter(levels[-1], np.inf, dtype=levels.dtype))[::-1]
    far = np.append(0, np.cumsum(pairs[::-1])) / pairs.sum()
    passed = len(genuine) - np.searchsorted(np.sort(genuine), threshold)
    return Curve(threshold, far, passed / len(genuine))


def threshold_at_far(impostor: Scores, far: float, pairs: int | None = None) -> float:
    """The lowest threshold at which no more than ``far`` of the impostor pairs pass.

    With n pairs, k = floor(far * n) may pass, so the threshold is the next number above the (k+1)-th highest score. Of
    pairs that tie there, none passes: the FAR that is reached may be lower than the one asked for, never higher. (Some
    code takes the point of the ROC curve whose FAR is nearest, which may exceed what was asked for.)

    Args:
        impostor: (I,) scores in any order; where ``pairs`` is given, only the highest of them are needed.
        far: 0..1.
        pairs: number of impostor pairs, of which ``impostor`` holds the highest scores; by default, it holds all.

    Raises:
        ValueError: more pairs may pass than there are scores for.
    """
    pairs = len(impostor) if pairs is None else pairs
    allowed = may_pass(pairs, far)
    if allowed >= pairs:
        return -math.inf
    if allowed >= len(impostor):
        raise ValueError(f"FAR {far:g} lets {allowed} of {pairs} pairs pass, but only {len(impostor)} scores are known")
    at = len(impostor) - allowed - 1
    highest_refused = np.partition(impostor, at)[at]
    return float(np.nextafter(highest_refused, np.inf, dtype=impostor.dtype))


def may_pass(pairs: int, far: float) -> int:
    """How many impostor pairs may pass; the small addition is for products like 0.29 * 100 = 28.999999999999996."""
    return math.floor(far * pairs * (1 + 1e-12))


def tar_at_far(genuine: Scores, impostor: Scores, far: float) -> float:
    """Share of genuine pairs that pass at :func:`threshold_at_far`."""
    return accepted(genuine, threshold_at_far(impostor, far))


def accepted(scores: Scores, threshold: float) -> float:
    """Share of scores that pass; NaN if there are none."""
    return float(np.mean(scores >= threshold)) if len(scores) else math.nan


def kfold_accuracy(
    scores: Scores, same: NDArray[np.bool_], folds: NDArray[np.integer[Any]], candidates: Scores | None = None
) -> Folds:
    """Accuracy in each fold at the threshold that was best on all the others.

    LFW's protocol (Huang et al. 2007). The field tries :data:`FIELD_GRID`; by default every threshold that makes a
    difference is tried instead: of those that decide the most training pairs rightly the highest, and of the equal ones
    between two neighbouring scores the middle.

    Args:
        scores: (P,) cosines.
        same: (P,) whether the pair is genuine.
        folds: (P,) number of the pair's fold.
        candidates: thresholds to try, instead of all.
    """
    choose = _best_threshold if candidates is None else lambda s, y: _best_of(candidates, s, y)
    numbers = np.unique(folds)
    thresholds = np.array([choose(scores[folds != k], same[folds != k]) for k in numbers])
    passed = scores >= thresholds[np.searchsorted(numbers, folds)]
    right = passed == same
    return Folds(np.array([right[folds == k].mean() for k in numbers]), thresholds)


def _best_threshold(scores: Scores, same: NDArray[np.bool_]) -> float:
    usable = np.isfinite(scores)
    order = np.argsort(-scores[usable], kind="stable")
    falling, gain = scores[usable][order].astype(np.float64), np.where(same[usable][order], 1, -1)
    if not len(falling):
        return math.inf
    right = np.append(0, np.cumsum(gain))  # if the first k pass, less what is right if none does
    between = np.append(True, np.append(falling[1:] != falling[:-1], True))
    k = int(np.argmax(np.where(between, right, -len(right) - 1)))
    edges = np.concatenate([[max(falling[0], 1.0)], falling, [falling[-1]]])
    return float((edges[k] + edges[k + 1]) / 2) if k else float(np.nextafter(edges[0], np.inf))


def _best_of(candidates: Scores, scores: Scores, same: NDArray[np.bool_]) -> float:
    right = [np.count_nonzero((scores >= t) == same) for t in candidates]
    return float(candidates[int(np.argmax(right))])


def enough_impostors(pairs: int, far: float) -> str | None:
    """Why so many impostor pairs cannot support a FAR, in one sentence; None if they can.

    Rule of 3 (Hanley and Lippman-Hand 1983): if none of n passes, the rate is below 3/n with 95 % confidence. Rule of
    30 (Doddington et al. 2000; ISO/IEC 19795-1): from 30 errors on, the true rate is within ±30 % of the observed one
    with 90 % confidence. Both take the pairs for independent; pairs that share an identity are not, and support less.
    """
    expected = far * pairs
    if expected < 3 - 1e-9:
        return (
            f"FAR {_rate(far)} cannot be measured on {pairs:,} impostor pairs: even if none of them passes, the FAR "
            f"may be {_rate(min(3 / max(pairs, 1), 1))} (rule of 3); {math.ceil(30 / far - 1e-6):,} are needed"
        )
    if expected < 30 - 1e-9:
        return (
            f"FAR {_rate(far)} rests on {may_pass(pairs, far)} of {pairs:,} impostor pairs, fewer than 30, so the true "
            f"FAR may be off by more than 30 % (rule of 30); {math.ceil(30 / far - 1e-6):,} are needed"
        )
    return None


def _rate(far: float) -> str:
    """0.001 as ``1e-3``."""
    mantissa, _, exponent = f"{far:.1e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}"
