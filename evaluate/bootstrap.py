"""Confidence intervals by drawing identities, not pairs: pairs that share a face rise and fall together.

Each round draws as many identities as there are, with replacement. An identity drawn m times counts m times in its
genuine pairs, and an impostor pair of identities drawn m and n times counts m n times; copies of one identity make no
impostors of each other (the "subsets bootstrap" of Bolle, Ratha and Pankanti, 2004). The threshold is set again in
every round, so that its own uncertainty is in the interval, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .metrics import Scores
from .scores import Indices, PairScores

ROUNDS = 500
CONFIDENCE = 0.95

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """Where the true value lies with 95 % confidence (percentiles of the bootstrap)."""

    low: float
    high: float


class Resampled(NamedTuple):
    """One row per round, one column per FAR."""

    threshold: Floats
    tar: Floats


def interval(values: Scores) -> Interval | None:
    """The percentiles that hold 95 % of the finite values; None if there are fewer than half of them."""
    finite = values[np.isfinite(values)]
    if 2 * len(finite) <= len(values):
        return None
    tail = 50 * (1 - CONFIDENCE)
    return Interval(*map(float, np.percentile(finite, [tail, 100 - tail])))


def draws(units: int, rounds: int = ROUNDS, seed: int = 0) -> Iterator[Floats]:
    """How often each unit was drawn, one (units,) array per round; the same for the same arguments."""
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        yield np.bincount(rng.integers(units, size=units), minlength=units).astype(np.float64)


def pair_weights(drawn: Floats, units: Indices) -> Floats:
    """How often each pair counts in a round; ``units`` (P, 2) as in :class:`PairScores`."""
    first, second = units[:, 0], units[:, 1]
    if len(second) and second[0] < 0:
        weights: Floats = drawn[first]
    else:
        weights = drawn[first] * drawn[second]
    return weights


def impostor_weight(drawn: Floats, scores: PairScores) -> float:
    """How many impostor pairs there are in a round, kept or not."""
    if scores.pictures is None:
        return float(pair_weights(drawn, scores.impostor_units).sum())
    pictures = drawn * scores.pictures
    return float(pictures.sum() ** 2 - (pictures**2).sum()) / 2


def resample(scores: PairScores, fars: Sequence[float], *, rounds: int = ROUNDS, seed: int = 0) -> Resampled:
    """Thresholds and TAR at each FAR in every round.

    A FAR that needs more impostor scores than are kept has one threshold in all rounds. Where a round needs a few more,
    the lowest that is kept stands for its threshold.
    """
    rising = np.argsort(scores.genuine, kind="stable")
    genuine, owners = scores.genuine[rising], scores.genuine_units[rising].astype(np.intp)
    units = np.asfortranarray(scores.impostor_units, dtype=np.intp)  # each column in one piece: twice as fast
    kept, overall = [scores.holds(far) for far in fars], [scores.threshold(far) for far in fars]
    thresholds, tars = np.full((2, rounds, len(fars)), np.nan)
    for i, drawn in enumerate(draws(scores.units, rounds, seed)):
        passed = np.cumsum(pair_weights(drawn, units))
        allowed = np.asarray(fars) * impostor_weight(drawn, scores) * (1 + 1e-12)
        thresholds[i] = np.where(kept, _thresholds(scores.impostor, passed, allowed), overall)
        below = np.append(0, np.cumsum(drawn[owners]))
        if below[-1]:
            tars[i] = 1 - below[np.searchsorted(genuine, thresholds[i])] / below[-1]
    return Resampled(thresholds, tars)


def _thresholds(falling: Scores, passed: Floats, allowed: Floats) -> Floats:
    """Just above the first score with which more weight passes than is allowed; -inf if all may pass."""
    refused = np.searchsorted(passed, allowed, side="right")
    if not len(falling):
        return np.full(len(allowed), -np.inf)
    lowest = falling[np.minimum(refused, len(falling) - 1)]
    above: Floats = np.nextafter(lowest, np.float32(np.inf)).astype(np.float64)
    return above


def linear_interval(
    sums: Floats, counts: Floats, total: float, *, rounds: int = ROUNDS, seed: int = 0
) -> Interval | None:
    """Interval of a mean over pairs or pictures, from what each identity takes part in.

    A pair of identities drawn m and n times is weighted m + n - 1 instead of m n: the first order of the same draws,
    which is all that matters for a mean to which every pair contributes, and needs no list of the pairs.

    Args:
        sums: (units,) sum of the values that each unit takes part in; an impostor pair is in the sums of both.
        counts: (units,) number of those values.
        total: number of values, each counted once.
        rounds: of the bootstrap.
        seed: of its draws.
    """
    if not total:
        return None
    mean = sums.sum() / max(counts.sum(), 1)
    influence = (sums - mean * counts) / total
    return interval(np.array([mean + influence @ (drawn - 1) for drawn in draws(len(sums), rounds, seed)]))
