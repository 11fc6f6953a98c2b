"""Error versus discard: what a quality score is worth, measured by the errors that refusing the worst pictures avoids.

A pair is as good as its worse picture: quality = min(q_a, q_b). The worst pairs are discarded, and the FNMR of those
left is drawn over the share discarded. A good measure lets it fall fast; a measure that knows nothing leaves it level.

- Discarded is a share of the genuine pairs, since they are what the FNMR is a share of. (Some code takes the share of
  genuine and impostor pairs together, which moves every point sideways.)
- Pairs of equal quality are discarded in random order; the curve is the expectation over such orders, so that it does
  not depend on how the data are sorted.
- The threshold is fixed at what the FMR asks for before anything is discarded, as a deployed system's is. Or it is
  re-estimated on the impostor pairs that are left: those at least as good as the worst genuine pair that is left.

Source: Grother and Tabassi 2007, "Performance of Biometric Quality Measures"; Schlett et al. 2023, "Considerations on
the Evaluation of Biometric Quality Assessment Algorithms"; re-estimated, CR-FIQA (Boutros et al. 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .metrics import threshold_at_far

Floats = NDArray[np.floating[Any]]

#: Shares of genuine pairs that are discarded.
SHARES = np.arange(20) / 20
_FEWEST = 3  # impostor pairs that must be expected to pass: below, the FMR cannot be measured (rule of 3)
_SHUFFLES, _SEED = 20, 0

Threshold = Literal["fixed", "re-estimated"]


class Impostors(Protocol):
    """Impostor pairs, of which only those of at least some quality may be left."""

    def count(self, lowest: float) -> int:
        """How many have at least that quality."""

    def threshold(self, fmr: float, lowest: float) -> float:
        """The lowest threshold at which no more than ``fmr`` of these pass."""


@dataclass(frozen=True, eq=False)
class ListedImpostors:
    """Impostor pairs from a list: ``scores`` and ``quality``, each ``(I,)``."""

    scores: Floats
    quality: Floats

    def count(self, lowest: float) -> int:
        """How many have at least that quality."""
        return int(np.count_nonzero(self.quality >= lowest))

    def threshold(self, fmr: float, lowest: float) -> float:
        """The lowest threshold at which no more than ``fmr`` of these pass."""
        return threshold_at_far(self.scores[self.quality >= lowest], fmr)


@dataclass(frozen=True, eq=False)
class DiscardCurve:
    """FNMR over the share of genuine pairs that is discarded.

    Attributes:
        fmr: that the threshold was set for.
        threshold: how it was set.
        discarded: ``(n,)`` shares, from 0 on.
        fnmr: ``(n,)`` of the genuine pairs left; NaN where too few impostor pairs are left to set a threshold.
        left: ``(n,)`` number of genuine pairs left.
    """

    fmr: float
    threshold: Threshold
    discarded: Floats
    fnmr: Floats
    left: NDArray[np.int64]

    def area(self, most: float) -> float:
        """Area under the curve up to a share, by trapezoids: the partial AUC of the field."""
        inside = self.discarded < most
        x = np.append(self.discarded[inside], most)
        y = np.append(self.fnmr[inside], np.interp(most, self.discarded, self.fnmr))
        return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))

    def avoided(self, share: float) -> float:
        """Share of all false non-matches that is among the pairs discarded up to a share of ``SHARES``; NaN if none."""
        at = int(np.abs(self.discarded - share).argmin())
        errors = self.fnmr * self.left
        return float(1 - errors[at] / errors[0]) if errors[0] > 0 else float("nan")

    def normalised_area(self, most: float) -> float:
        """The area as a share of what it would be if discarding changed nothing; NaN if there is no error at all."""
        return self.area(most) / (float(self.fnmr[0]) * most) if self.fnmr[0] > 0 else float("nan")


def supported(impostors: int, fmr: float) -> bool:
    """Whether there are impostor pairs enough to set a threshold for an FMR at all."""
    return fmr * impostors >= _FEWEST - 1e-9


def discard_curve(
    genuine: Floats, quality: Floats, impostors: Impostors, fmr: float, threshold: Threshold = "fixed"
) -> DiscardCurve:
    """FNMR of the pairs left when the worst are discarded.

    Args:
        genuine: (G,) scores of genuine pairs, higher is more alike.
        quality: (G,) of these pairs, higher is better; ``-inf`` for a pair without any, discarded first.
        impostors: the impostor pairs.
        fmr: false match rate of the threshold.
        threshold: whether it stays or is set again on what is left.

    Raises:
        ValueError: no genuine pair, shapes that do not fit, or NaN.
    """
    genuine, quality = _checked(genuine, quality)
    gone = _discarded(len(genuine))
    lowest = np.where(gone > 0, np.sort(quality)[gone], -np.inf)
    if threshold == "fixed":
        lowest = np.full(len(gone), -np.inf)
    fnmr = np.full(len(gone), np.nan)
    for q in np.unique(lowest):
        if supported(impostors.count(q), fmr):
            here, wrong = lowest == q, genuine < impostors.threshold(fmr, q)
            fnmr[here] = _errors_left(wrong, quality, gone[here]) / (len(genuine) - gone[here])
    return DiscardCurve(fmr, threshold, SHARES, fnmr, len(genuine) - gone)


def oracle_curve(genuine: Floats, impostors: Impostors, fmr: float) -> DiscardCurve:
    """The best that any measure can do at a fixed threshold: every error is discarded before any right pair."""
    wrong = genuine < impostors.threshold(fmr, -np.inf)
    return discard_curve(genuine, np.where(wrong, 0.0, 1.0), impostors, fmr)


def random_curves(genuine: Floats, impostors: Impostors, fmr: float) -> list[DiscardCurve]:
    """What a measure that knows nothing does at a fixed threshold: 20 random orders, always the same."""
    rng = np.random.default_rng(_SEED)
    return [
        discard_curve(genuine, rng.permutation(len(genuine)).astype(np.float64), impostors, fmr)
        for _ in range(_SHUFFLES)
    ]


def _discarded(pairs: int) -> NDArray[np.int64]:
    """How many pairs each share is, rounded down; the addition is for products like 0.35 * 20 = 6.999999999999999."""
    gone: NDArray[np.int64] = np.floor(SHARES * pairs + 1e-9).astype(np.int64)
    return gone


def _errors_left(wrong: NDArray[np.bool_], quality: Floats, gone: NDArray[np.int64]) -> Floats:
    """Expected numbers of errors among the pairs left when so many of the worst are gone, ties in random order."""
    levels, of = np.unique(quality, return_inverse=True)
    pairs = np.append(0, np.cumsum(np.bincount(of, minlength=len(levels))))
    errors = np.append(0, np.cumsum(np.bincount(of, wrong, minlength=len(levels))))
    left: Floats = errors[-1] - np.interp(gone, pairs, errors)
    return left


def _checked(genuine: Floats, quality: Floats) -> tuple[Floats, Floats]:
    genuine, quality = np.asarray(genuine, np.float64), np.asarray(quality, np.float64)
    if genuine.ndim != 1 or genuine.shape != quality.shape or not len(genuine):
        raise ValueError(f"expected a quality for each genuine pair, got {quality.shape} for {genuine.shape}")
    if np.isnan(genuine).any() or np.isnan(quality).any():
        raise ValueError("a score or a quality is NaN")
    return genuine, quality
