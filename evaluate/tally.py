"""What two models say of the same pairs, added up block by block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .bootstrap import Floats, Interval, linear_interval
from .data import ImageSet, PairSet
from .embeddings import Embedded
from .scores import Indices, Vectors, all_pairs, owners_of, score_pairs, units_of_pairs


class Scored(NamedTuple):
    """Pairs of one kind as two models score them; ``-inf`` where a model could not use a picture.

    Attributes:
        genuine: whether they show one person each.
        first, other: (n,) cosines of the two models.
        units: (n, 2) whose pairs they are, as in :class:`~.scores.PairScores`.
    """

    genuine: bool
    first: Vectors
    other: Vectors
    units: Indices


def scored_by_both(data: PairSet | ImageSet, first: Embedded, other: Embedded) -> Iterator[Scored]:
    """Every pair of the data, in blocks: those of its list, or all that its identities make."""
    if isinstance(data, PairSet):
        identities = [sample.identity for sample in data.images.samples]
        units, _, _ = units_of_pairs(data.pairs, identities)
        a, b = (score_pairs(e.vectors, e.failed, data.pairs, data.same)[0] for e in (first, other))
        for kind in (True, False):
            chosen = data.same == kind
            yield Scored(kind, a[chosen], b[chosen], units[chosen])
        return
    owners = owners_of([str(sample.identity) for sample in data.samples])
    for rows, columns, same, different in all_pairs(owners):
        a, b = (_block(e, rows, columns) for e in (first, other))
        for kind, chosen in ((True, same), (False, different)):
            row, column = np.nonzero(chosen)
            units = np.stack([owners[rows][row], owners[columns][column]], axis=1)
            yield Scored(kind, a[row, column], b[row, column], units)


def _block(embedded: Embedded, rows: slice, columns: slice) -> Vectors:
    scores = embedded.vectors[rows] @ embedded.vectors[columns].T
    scores[embedded.failed[rows]] = -np.inf
    scores[:, embedded.failed[columns]] = -np.inf
    return scores


class Tally:
    """Differences and flipped decisions of pairs of one kind.

    Args:
        units: number of units, as in :class:`~.scores.PairScores`.
        threshold: of the first model's decisions; the other is held to it.
    """

    def __init__(self, units: int, threshold: float) -> None:
        self.threshold = threshold
        self.pairs = 0
        self.largest = 0.0
        self._scored, self._sum, self._squares = 0, 0.0, 0.0
        self._sums, self._counts = np.zeros(units), np.zeros(units)
        self._flips = [np.empty((0, 2), np.int64)]

    def add(self, pairs: Scored) -> None:
        """Count some more."""
        self.pairs += len(pairs.first)
        flipped = (pairs.first >= self.threshold) != (pairs.other >= self.threshold)
        self._flips.append(pairs.units[flipped].astype(np.int64))
        usable = np.isfinite(pairs.first) & np.isfinite(pairs.other)
        shift = pairs.other[usable].astype(np.float64) - pairs.first[usable]
        self._scored += len(shift)
        self._sum += float(shift.sum())
        self._squares += float(shift @ shift)
        self.largest = max(self.largest, float(np.abs(shift).max(initial=0)))
        for side in (0,) if pairs.genuine else (0, 1):
            of = pairs.units[usable, side]
            if len(of) and of[0] >= 0:  # a pair that is a unit of its own has no second
                self._sums += np.bincount(of, shift, minlength=len(self._sums))
                self._counts += np.bincount(of, minlength=len(self._sums))

    @property
    def flips(self) -> Indices:
        """(n, 2) units of the pairs on which the two decide differently."""
        return np.concatenate(self._flips)

    @property
    def mean(self) -> float:
        """Of other's score less the first's."""
        return self._sum / self._scored if self._scored else math.nan

    @property
    def spread(self) -> float:
        """Standard deviation of that difference."""
        return math.sqrt(max(self._squares / self._scored - self.mean**2, 0)) if self._scored else math.nan

    def mean_interval(self, *, rounds: int, seed: int) -> Interval | None:
        """Of the mean, 95 % over units."""
        sums: Floats = self._sums
        return linear_interval(sums, self._counts, self._scored, rounds=rounds, seed=seed)
