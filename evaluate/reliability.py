"""Does a score keep its word? Cosines turned into probabilities, and how often those come true.

A cosine is no probability: 0.4 may be certain for one network and a guess for another. Platt's logistic calibration
(1999), p = 1 / (1 + exp(-(slope s + offset))), makes it one, for a stated share of genuine pairs: a data set has
a thousand impostor pairs to each genuine one, and an unlocking phone has not. What is left when p is compared with the
observed share, bin by bin, is the expected calibration error (Naeini, Cooper and Hauskrecht 2015).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidData
from .plots import Curve, curve_plot

Floats = NDArray[np.floating[Any]]
BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Cosine to probability.

    Attributes:
        slope: of the log-odds, per unit of cosine.
        offset: log-odds at cosine 0.
        prior: share of genuine pairs that it holds for, 0..1.
    """

    slope: float
    offset: float
    prior: float

    def probability(self, scores: Floats) -> Floats:
        """That a pair with such a score shows one person, 0..1."""
        result: Floats = 1 / (1 + np.exp(-np.clip(self.slope * scores + self.offset, -500, 500)))
        return result

    def score(self, probability: float) -> float:
        """The cosine from which on a pair is genuine with this probability, 0..1 exclusive."""
        return float((np.log(probability / (1 - probability)) - self.offset) / self.slope)


@dataclass(frozen=True, eq=False)
class Reliability:
    """Probabilities against what was observed, by bins of probability.

    Attributes:
        calibration: what made the probabilities.
        edges: ``(BINS + 1,)`` 0..1.
        predicted: ``(BINS,)`` mean probability of a bin's pairs; NaN where it has none.
        observed: ``(BINS,)`` share of genuine pairs among them, at the prior.
        share: ``(BINS,)`` of all pairs, at the prior.
        genuine: ``(BINS,)`` number of pairs.
        impostor: ``(BINS,)`` number of pairs.
    """

    calibration: Calibration
    edges: Floats
    predicted: Floats
    observed: Floats
    share: Floats
    genuine: NDArray[np.int64]
    impostor: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of prediction and observation, by the bins' shares, 0..1."""
        return float(np.nansum(self.share * np.abs(self.predicted - self.observed)))

    def plot(self) -> bytes:
        """Observed share over predicted probability, PNG; on the dotted line every probability comes true."""
        there = self.share > 0
        line = np.array([0.0, 1.0])
        curves = [Curve("every probability comes true", line, line, control=True)]
        curves.append(Curve("observed", self.predicted[there], self.observed[there]))
        names = {"x": "predicted probability of one person", "y": "observed share of one person"}
        return curve_plot(curves, **names, marks=True, x_range=(0, 1), y_range=(0, 1))  # type: ignore[arg-type]


def fit_calibration(
    genuine: Floats, impostor: Floats, *, counts: NDArray[np.integer[Any]] | None = None, prior: float = 0.5
) -> Calibration:
    """Fit Platt's logistic by Newton's method, genuine pairs together weighing as much as the prior says.

    Args:
        genuine: ``(G,)`` cosines; those that are not finite, of failed pictures, are left out.
        impostor: ``(I,)`` likewise.
        counts: ``(I,)`` how many impostor pairs have each score, for a histogram; one each by default.
        prior: share of genuine pairs where the probabilities will be used, between 0 and 1.

    Raises:
        InvalidData: no pairs of a kind, or kinds that are apart altogether, which no logistic can fit.
        ValueError: a prior that is not between 0 and 1.
    """
    scores, same, weights = _weighed(genuine, impostor, counts, prior)
    if scores[same].min() > scores[~same].max():
        raise InvalidData("every genuine score is above every impostor's; more pairs are needed to fit a calibration")
    design = np.stack([scores, np.ones_like(scores)], axis=1)
    weight, step = np.zeros(2), np.ones(2)
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(design @ weight, -500, 500)))
        gradient = design.T @ (weights * (same - p))
        curvature = (design * (weights * p * (1 - p))[:, None]).T @ design + 1e-12 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weight = weight + step * min(1, 20 / max(np.abs(step).max(), 1e-300))
        if np.abs(step).max() < 1e-9:
            break
    return Calibration(float(weight[0]), float(weight[1]), prior)


def reliability(
    calibration: Calibration, genuine: Floats, impostor: Floats, *, counts: NDArray[np.integer[Any]] | None = None
) -> Reliability:
    """Compare a calibration's probabilities with what is observed; arguments as in :func:`fit_calibration`."""
    scores, same, weights = _weighed(genuine, impostor, counts, calibration.prior)
    p, edges = calibration.probability(scores), np.linspace(0, 1, BINS + 1)
    bins = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, BINS - 1)
    share = np.bincount(bins, weights, BINS).astype(np.float64)
    with np.errstate(invalid="ignore"):
        predicted = np.bincount(bins, weights * p, BINS) / share
        observed = np.bincount(bins, weights * same, BINS) / share
    pairs = np.ones(len(impostor)) if counts is None else counts
    number = np.r_[np.ones(same.sum()), pairs[np.isfinite(impostor)]]
    ours, others = (np.bincount(bins[kind], number[kind], BINS).astype(np.int64) for kind in (same, ~same))
    return Reliability(calibration, edges, predicted, observed, share, ours, others)


def _weighed(
    genuine: Floats, impostor: Floats, counts: NDArray[np.integer[Any]] | None, prior: float
) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """All finite scores, which are genuine, and weights of sum 1 that make the genuine share the prior."""
    if not 0 < prior < 1:
        raise ValueError(f"the prior must be between 0 and 1, got {prior}")
    pairs = np.ones(len(impostor)) if counts is None else counts.astype(np.float64)
    genuine, there = genuine[np.isfinite(genuine)].astype(np.float64), np.isfinite(impostor)
    if not len(genuine) or not pairs[there].sum():
        raise InvalidData(
            f"{len(genuine)} genuine and {pairs[there].sum():.0f} impostor scores; a calibration needs both"
        )
    scores = np.r_[genuine, impostor[there].astype(np.float64)]
    weights = np.r_[np.full(len(genuine), prior / len(genuine)), (1 - prior) * pairs[there] / pairs[there].sum()]
    return scores, np.arange(len(scores)) < len(genuine), weights
