"""Between which values a tensor lies: measured on pictures, by one rule for every format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
#: Largest finite number in half.
HALF_MAX = 65504.0
#: Share of it that a tensor may reach on the calibration pictures: other pictures go further, and so do partial sums.
HALF_SHARE = 0.25


@dataclass(frozen=True)
class Range:
    """The least and the greatest value of a tensor."""

    low: float
    high: float

    @property
    def peak(self) -> float:
        """Greatest absolute value."""
        return float(np.abs([self.low, self.high]).max())  # NaN stays NaN


class Extremes:
    """Collects least and greatest values, tensor by tensor and picture by picture."""

    def __init__(self) -> None:
        self._seen: dict[str, list[tuple[float, float]]] = {}

    def see(self, name: str, values: NDArray[np.generic]) -> None:
        """Take note of a tensor's values for one picture; integers and empty tensors have no range to find."""
        if values.dtype.kind == "f" and values.size:
            self._seen.setdefault(name, []).append((float(values.min()), float(values.max())))

    def ranges(self) -> dict[str, Range]:
        """The range of each tensor over all pictures: from the least value of any to the greatest of any."""
        found = {name: np.array(pairs) for name, pairs in self._seen.items()}
        return {name: Range(float(pairs[:, 0].min()), float(pairs[:, 1].max())) for name, pairs in found.items()}


def observe(runs: Iterable[Mapping[str, NDArray[np.generic]]]) -> dict[str, Range]:
    """Ranges from the tensors of one run per picture."""
    extremes = Extremes()
    for run in runs:
        for name, values in run.items():
            extremes.see(name, values)
    return extremes.ranges()


def at_risk(ranges: Mapping[str, Range], layer_of: Callable[[str], str]) -> dict[str, float]:
    """The layers that half might overflow in -> their greatest absolute value, the greatest first."""
    peaks: dict[str, float] = {}
    for name, found in ranges.items():
        if not found.peak <= HALF_SHARE * HALF_MAX:
            peaks[layer_of(name)] = max(found.peak, peaks.get(layer_of(name), 0.0))
    return dict(sorted(peaks.items(), key=lambda item: -item[1]))
