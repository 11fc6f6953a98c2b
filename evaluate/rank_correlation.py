"""Do two measures of quality put pictures into the same order?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
_ROUNDS, _SEED = 200, 0


def spearman(a: Floats, b: Floats) -> float:
    """Spearman's rank correlation, -1..1: the correlation of the ranks, where equal values share their mean rank.

    Args:
        a: (n,) one value for each picture.
        b: (n,) the other.

    Returns:
        NaN if there are fewer than two values, or all of one are equal.

    Raises:
        ValueError: different lengths, or NaN.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"expected two values for each picture, got shapes {a.shape} and {b.shape}")
    if np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("a value is NaN")
    x, y = (ranks - ranks.mean() for ranks in (mean_ranks(a), mean_ranks(b))) if len(a) else (a, b)
    spread = float(np.sqrt((x @ x) * (y @ y)))
    return float(np.clip(x @ y / spread, -1, 1)) if spread > 0 else float("nan")


def spearman_interval(a: Floats, b: Floats) -> tuple[float, float]:
    """95 % interval of :func:`spearman`, by drawing the pictures again with replacement 200 times."""
    rng = np.random.default_rng(_SEED)
    drawn = [rng.integers(0, len(a), len(a)) for _ in range(_ROUNDS)]
    values = np.array([spearman(a[i], b[i]) for i in drawn])
    if np.isnan(values).all():
        return float("nan"), float("nan")
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def mean_ranks(values: Floats) -> NDArray[np.float64]:
    """Ranks from 1, equal values sharing the mean of theirs."""
    _, of, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[of]
    return ranks
