"""The interval of a share of independent trials, which stays honest where none or all succeed."""

from __future__ import annotations

import math

from .bootstrap import Interval

_Z = 1.959964  # the normal quantile of 97.5 %


def wilson(successes: int, trials: int) -> Interval | None:
    """95 % interval of a share (Wilson 1927); None of no trials. A bootstrap of all successes would say 1 to 1.

    Centre (s + z²/2) / (n + z²), half width z / (n + z²) · sqrt(s (n - s) / n + z²/4).
    """
    if not trials:
        return None
    square = _Z * _Z
    centre = (successes + square / 2) / (trials + square)
    half = _Z / (trials + square) * math.sqrt(successes * (trials - successes) / trials + square / 4)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))
