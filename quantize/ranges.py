"""Between which values a tensor lies: measured on pictures, by one rule for every format.

256 steps are shared out over a tensor's range, so every outlier makes all steps coarser. From the least value of any
picture to the greatest of any, ranges therefore grow with the number of pictures, and answers get worse. Here a range
reaches as far as all but a fifth of the pictures do. What lies beyond is clipped: few values, even of those pictures.
Percentiles over all values were tried, and ranges that round with the least squared error (Nagel et al. 2021, arXiv
2106.08295, section 3.1): the best of them gained no more, and they need a histogram of each tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Share of the pictures whose least value, and whose greatest, lies within a range. From 0.7 to 0.95 it made little
#: difference, and neither did 32 or 512 pictures.
REACHED = 0.8
#: Largest finite number in half.
HALF_MAX = 65504.0
#: Share of it that a tensor may reach on the calibration pictures: other pictures go further, and so do partial sums.
HALF_SHARE = 0.25


@dataclass(frozen=True)
class Range:
    """The least and the greatest value of a tensor that 8 bits are to tell from their neighbours."""

    low: float
    high: float


class Extremes:
    """Collects least and greatest values, tensor by tensor and picture by picture."""

    def __init__(self) -> None:
        self._seen: dict[str, list[tuple[float, float]]] = {}

    def see(self, name: str, values: NDArray[np.generic]) -> None:
        """Take note of a tensor's values for one picture; integers and empty tensors have no range to find."""
        if values.dtype.kind == "f" and values.size:
            self._seen.setdefault(name, []).append((float(values.min()), float(values.max())))

    def ranges(self, whole: Collection[str] = ()) -> dict[str, Range]:
        """The range of each tensor: as low as ``REACHED`` of the pictures go, and as high.

        Args:
            whole: tensors of which nothing is to be clipped.
        """
        return {name: _within(ends, 1.0 if name in whole else REACHED) for name, ends in self.ends().items()}

    def ends(self) -> dict[str, NDArray[np.float64]]:
        """Tensor -> ``(pictures, 2)`` its least and greatest value in each."""
        return {name: np.array(pairs) for name, pairs in self._seen.items()}

    def peaks(self) -> dict[str, float]:
        """The greatest absolute value of each tensor in any picture; NaN where a picture has one."""
        return {name: float(np.abs(ends).max()) for name, ends in self.ends().items()}


def _within(ends: NDArray[np.float64], share: float) -> Range:
    return Range(float(np.quantile(ends[:, 0], 1 - share)), float(np.quantile(ends[:, 1], share)))


def observe(runs: Iterable[Mapping[str, NDArray[np.generic]]]) -> Extremes:
    """What the tensors of one run per picture hold."""
    extremes = Extremes()
    for run in runs:
        for name, values in run.items():
            extremes.see(name, values)
    return extremes


def at_risk(peaks: Mapping[str, float], layer_of: Callable[[str], str]) -> dict[str, float]:
    """The layers that half might overflow in -> their greatest absolute value, the greatest first."""
    found: dict[str, float] = {}
    for name, peak in peaks.items():
        if not peak <= HALF_SHARE * HALF_MAX:
            found[layer_of(name)] = max(peak, found.get(layer_of(name), 0.0))
    return dict(sorted(found.items(), key=lambda item: -item[1]))
