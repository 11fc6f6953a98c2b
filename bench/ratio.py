"""How many times as long does one take as the other, and can the noise be told from it?

A busy machine slows the runs that stand next to each other together, so single runs are no independent samples. What is
drawn again and again (a bootstrap, percentile intervals; Efron and Tibshirani, 1993) are therefore medians of rounds:
pairs of them where both ran in the same rounds, which cancels what the machine did, else those of each by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..evaluate.bootstrap import interval
from .perf import Measurement

Floats = NDArray[np.float64]
Verdict = Literal["faster", "slower", "cannot be told apart"]

#: Pieces that times without rounds are cut into, the fewest that an interval may rest on, and the most that it needs.
PIECES, FEWEST, MOST = 20, 5, 500
#: What two processes with one file may differ by, for their code and data lie elsewhere in memory and in the caches.
LIKENESS = 1.02

_DRAWS = 2000


class Ratio(NamedTuple):
    """How many times as long the second takes as the first: of medians, and where that lies with 95 % confidence."""

    value: float
    low: float = 0.0
    high: float = float("inf")

    @property
    def verdict(self) -> Verdict:
        """The second beside the first; a difference of less than ``LIKENESS`` is none."""
        if self.low > 1 and self.value >= LIKENESS:
            return "slower"
        if self.high < 1 and self.value <= 1 / LIKENESS:
            return "faster"
        return "cannot be told apart"

    @property
    def known(self) -> bool:
        """Whether there is an interval at all."""
        return self.high < float("inf")

    def widened(self, drift: float) -> Ratio:
        """The same with more room, where the machine itself was this many times as slow, either way, for the second."""
        room = max(drift, 1 / drift)
        return Ratio(self.value, self.low / room, self.high * room)


def ratio_of(first: Measurement, second: Measurement, *, paired: bool) -> Ratio | None:
    """The second's median latency by the first's.

    Args:
        first: what is compared with.
        second: what is compared.
        paired: whether they ran in the same rounds, as those of one file do that have as many.

    Returns:
        None if either has no time above zero. Without single times, or with too few, the interval holds everything.
    """
    medians = first.percentile_ms(50), second.percentile_ms(50)
    if not all(medians):
        return None
    a, b = _rounds(first), _rounds(second)
    if min(len(a), len(b)) < FEWEST or min(a.min(), b.min()) <= 0:
        return Ratio(float(medians[1] or 0) / float(medians[0] or 1))
    return _paired(a, b) if paired and first.rounds == second.rounds > 0 else _apart(a, b)


def ratio_to_sum(parts: Sequence[Measurement], whole: Measurement) -> Ratio | None:
    """How many times as long a whole takes as its parts together, all of the same rounds; None if they are not."""
    if not whole.rounds or any(part.rounds != whole.rounds for part in parts):
        return None
    return _paired(np.sum([_rounds(part) for part in parts], axis=0), _rounds(whole))


def _rounds(measurement: Measurement) -> Floats:
    """The median of each round; of times without rounds, that of each of some pieces."""
    times = np.asarray(measurement.times_ms, np.float64)
    pieces = min(measurement.rounds, MOST) or min(PIECES, len(times) // 2)
    return np.array([np.median(piece) for piece in np.array_split(times, pieces)]) if pieces else times[:0]


def _paired(a: Floats, b: Floats) -> Ratio:
    logs = np.log(b) - np.log(a)
    drawn = np.median(logs[_draws(len(logs))], axis=1)
    return _ratio(float(np.median(logs)), drawn)


def _apart(a: Floats, b: Floats) -> Ratio:
    logs = np.log(a), np.log(b)
    drawn = np.median(logs[1][_draws(len(b), 1)], axis=1) - np.median(logs[0][_draws(len(a))], axis=1)
    return _ratio(float(np.median(logs[1]) - np.median(logs[0])), drawn)


def _draws(count: int, seed: int = 0) -> NDArray[np.intp]:
    return np.random.default_rng(seed).integers(count, size=(_DRAWS, count))


def _ratio(value: float, drawn: Floats) -> Ratio:
    ends = interval(drawn)
    assert ends is not None
    return Ratio(*(float(np.exp(log)) for log in (value, ends.low, ends.high)))


def ranks(measurements: Sequence[Measurement]) -> list[int]:
    """Places of what ran in the same rounds: 1 and how many are told to be faster, so that what cannot be told ties."""
    return [1 + sum(_faster(other, one) for other in measurements if other is not one) for one in measurements]


def _faster(one: Measurement, other: Measurement) -> bool:
    ratio = ratio_of(other, one, paired=True)
    return ratio is not None and ratio.verdict == "faster"
