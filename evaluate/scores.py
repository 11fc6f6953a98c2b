"""Scores of pairs: a list of pairs, or every pair of a set by blocked matrix products that never hold N x N scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .metrics import Curve, may_pass, roc, threshold_at_far

Vectors = NDArray[np.float32]
Indices = NDArray[np.integer[Any]]

#: Histogram bins per unit of cosine. At an edge of a bin the counts are exact, and an edge lies every 1/32768.
BINS_PER_UNIT = 1 << 15
#: Of all pairs, so many of the highest impostor scores are kept with their identities: twice FAR 1e-2, up to a million.
KEPT_SHARE, KEPT_MOST = 2e-2, 1_000_000
_AT_ONCE = 1 << 21  # scores in one block: 8 MB


@dataclass(frozen=True, eq=False)
class PairScores:
    """What the figures need to know of the pairs of one model.

    Attributes:
        genuine: (G,) cosines of pairs of one person; ``-inf`` if a picture could not be used.
        genuine_units: (G,) whose pair it is: number of the unit that the bootstrap draws.
        impostor: (K,) cosines of the most alike pairs of two people, falling.
        impostor_units: (K, 2) the two units; the second is -1 where a pair is a unit of its own.
        impostors: number of impostor pairs; K of them are kept.
        units: number of units.
        unit: what they are: ``identity``, or ``pair`` where the data name no identities.
        pictures: (units,) pictures of each identity, where all pairs were formed; None for a list of pairs.
        histogram: (bins,) impostor pairs by score over -1..1, where not all are kept.
        unusable: number of impostor pairs with a picture that could not be used; they pass no threshold.
    """

    genuine: Vectors
    genuine_units: Indices
    impostor: Vectors
    impostor_units: Indices
    impostors: int
    units: int
    unit: Literal["identity", "pair"]
    pictures: Indices | None = None
    histogram: NDArray[np.int64] | None = None
    unusable: int = 0

    def holds(self, far: float) -> bool:
        """Whether enough impostor scores are kept for the threshold at a FAR."""
        return may_pass(self.impostors, far) < len(self.impostor) or len(self.impostor) == self.impostors

    def threshold(self, far: float) -> float:
        """The lowest threshold that keeps to a FAR: exact, or a bin's edge where too few scores are kept."""
        if self.holds(far) or self.histogram is None:
            return threshold_at_far(self.impostor, far, self.impostors)
        above = np.cumsum(self.histogram[::-1])[::-1]
        return float(np.count_nonzero(above > may_pass(self.impostors, far))) / BINS_PER_UNIT - 1

    @cached_property
    def curve(self) -> Curve:
        """ROC over all pairs; of a histogram, at the lower edges of its bins, where it is exact."""
        if self.histogram is None:
            return roc(self.genuine, self.impostor)
        edges = np.arange(len(self.histogram)) / BINS_PER_UNIT - 1
        filled = self.histogram > 0
        levels, counts = np.append(-np.inf, edges[filled]), np.append(self.unusable, self.histogram[filled])
        return roc(self.genuine, levels, counts)


def score_pairs(
    vectors: Vectors,
    failed: NDArray[np.bool_],
    pairs: Indices,
    same: NDArray[np.bool_],
    identities: Sequence[str | None] | None = None,
) -> tuple[Vectors, PairScores]:
    """Score a list of pairs.

    Args:
        vectors: (N, D) of length 1.
        failed: (N,) pictures that gave no embedding; their pairs score ``-inf``.
        pairs: (P, 2) rows of ``vectors``.
        same: (P,) whether a pair shows one person.
        identities: (N,) who is in each picture; where any is unknown, pairs are the units of the bootstrap.

    Returns:
        (P,) scores in the order of the pairs, and the same sorted out.
    """
    scores = np.concatenate([np.empty(0, np.float32), *(_cosines(vectors, part) for part in _parts(pairs))])
    usable = ~failed[pairs].any(axis=1)
    scores[~usable] = -np.inf
    of_pairs, units, unit = units_of_pairs(pairs, identities)
    falling = np.argsort(-scores[~same], kind="stable")
    return scores, PairScores(
        genuine=scores[same],
        genuine_units=of_pairs[same, 0],
        impostor=scores[~same][falling],
        impostor_units=of_pairs[~same][falling],
        impostors=len(falling),
        units=units,
        unit=unit,
        unusable=int(np.count_nonzero(~usable & ~same)),
    )


def score_all_pairs(vectors: Vectors, failed: NDArray[np.bool_], identities: Sequence[str]) -> PairScores:
    """Score every pair of pictures: of one identity they are genuine, of two impostors.

    Two passes of blocked products. The first counts impostor scores in a histogram and keeps every genuine score, the
    second keeps the highest impostor scores with their identities, for exact thresholds and the bootstrap.

    Args:
        vectors: (N, D) of length 1.
        failed: (N,) pictures that gave no embedding; their pairs are counted, and score ``-inf``.
        identities: (N,) who is in each picture.
    """
    of = owners_of(identities)
    usable = np.flatnonzero(~failed)
    kept = usable[np.argsort(of[usable], kind="stable")]
    vectors, owners = np.ascontiguousarray(vectors[kept]), of[kept]
    genuine, genuine_units, histogram = _count(vectors, owners)
    pictures, sound = np.bincount(of), np.bincount(owners, minlength=int(of.max(initial=-1)) + 1)
    lost = _genuine_pairs(pictures) - _genuine_pairs(sound)
    impostors, scored = _impostor_pairs(pictures), int(histogram.sum())
    impostor, impostor_units = _highest(vectors, owners, _lowest_kept(histogram, impostors))
    return PairScores(
        genuine=np.append(genuine, np.full(lost.sum(), -np.inf, np.float32)),
        genuine_units=np.append(genuine_units, np.repeat(np.arange(len(lost)), lost)),
        impostor=impostor,
        impostor_units=impostor_units,
        impostors=impostors,
        units=len(pictures),
        unit="identity",
        pictures=pictures,
        histogram=histogram,
        unusable=impostors - scored,
    )


def owners_of(identities: Sequence[str]) -> Indices:
    """(N,) a number for each identity, in the order of their names."""
    numbers: Indices = np.unique(np.asarray(identities, dtype=str), return_inverse=True)[1]
    return numbers


def all_pairs(owners: Indices) -> Iterator[tuple[slice, slice, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Blocks that together cover every pair i < j once: rows, columns, which are genuine, which are impostors.

    Args:
        owners: (N,) number of the identity of each picture.
    """
    count = len(owners)
    step = max(1, _AT_ONCE // max(count, 1))
    for start in range(0, count, step):
        rows, columns = slice(start, min(start + step, count)), slice(start, count)
        above = np.arange(columns.start, count) > np.arange(rows.start, rows.stop)[:, None]
        same = owners[rows, None] == owners[None, columns]
        yield rows, columns, same & above, ~same & above


def _count(vectors: Vectors, owners: Indices) -> tuple[Vectors, Indices, NDArray[np.int64]]:
    histogram = np.zeros(2 * BINS_PER_UNIT + 1, np.int64)
    genuine: list[Vectors] = [np.empty(0, np.float32)]
    units: list[Indices] = [np.empty(0, np.int64)]
    for rows, columns, same, other in all_pairs(owners):
        scores = vectors[rows] @ vectors[columns].T
        histogram += np.bincount(_bins(scores[other]), minlength=len(histogram))
        genuine.append(scores[same])
        units.append(owners[rows][np.nonzero(same)[0]])
    return np.concatenate(genuine), np.concatenate(units), histogram


def _highest(vectors: Vectors, owners: Indices, lowest: float) -> tuple[Vectors, Indices]:
    """Impostor scores of at least ``lowest``, falling, and their identities."""
    found, units = [np.empty(0, np.float32)], [np.empty((0, 2), np.int32)]
    for rows, columns, _, other in all_pairs(owners):
        scores = vectors[rows] @ vectors[columns].T
        row, column = np.nonzero((scores >= lowest) & other)
        found.append(scores[row, column])
        units.append(np.stack([owners[rows][row], owners[columns][column]], axis=1).astype(np.int32))
    scores, of = np.concatenate(found), np.concatenate(units)
    falling = np.argsort(-scores, kind="stable")
    return scores[falling], of[falling]


def _lowest_kept(histogram: NDArray[np.int64], impostors: int) -> float:
    """The edge above which there are about as many pairs as are to be kept."""
    wanted = min(may_pass(impostors, KEPT_SHARE) + 1, KEPT_MOST)
    above = np.cumsum(histogram[::-1])[::-1]
    bin = int(np.count_nonzero(above >= wanted)) - 1
    return bin / BINS_PER_UNIT - 1 if bin > 0 else -np.inf


def _bins(scores: Vectors) -> NDArray[np.intp]:
    """Bin b holds -1 + b / 32768 up to the next; rounding may take a cosine beyond ±1."""
    return ((np.clip(scores, -1, 1) + 1) * BINS_PER_UNIT).astype(np.intp)


def _genuine_pairs(pictures: Indices) -> Indices:
    return pictures * (pictures - 1) // 2


def _impostor_pairs(pictures: Indices) -> int:
    total = int(pictures.sum())
    return total * (total - 1) // 2 - int(_genuine_pairs(pictures).sum())


def _parts(pairs: Indices) -> Iterator[Indices]:
    """Pairs in portions, because both vectors of each are copied."""
    for start in range(0, len(pairs), 1 << 14):
        yield pairs[start : start + (1 << 14)]


def _cosines(vectors: Vectors, pairs: Indices) -> Vectors:
    products: Vectors = np.einsum("pd,pd->p", vectors[pairs[:, 0]], vectors[pairs[:, 1]])
    return products


def units_of_pairs(
    pairs: Indices, identities: Sequence[str | None] | None
) -> tuple[Indices, int, Literal["identity", "pair"]]:
    """(P, 2) units as in :class:`PairScores`, how many there are, and what they are."""
    used = [] if identities is None else [identities[i] for i in np.unique(pairs)]
    if identities is None or any(name is None for name in used):
        own = np.stack([np.arange(len(pairs)), np.full(len(pairs), -1)], axis=1)
        return own, len(pairs), "pair"
    number = {name: i for i, name in enumerate(dict.fromkeys(used))}
    of = np.array([number.get(name, -1) for name in identities], dtype=np.int64)
    return of[pairs].reshape(-1, 2), len(number), "identity"
