"""Errors per slice at one common threshold: is a recogniser as right about one group as about another?

A pair is in a slice if both its pictures are. FMR (false match rate) is the share of impostor pairs that pass the
threshold, FNMR (false non-match rate) that of genuine pairs that do not. The threshold is that of a stated FAR over
all pairs, and stays as it is in every round of the bootstrap, which draws identities. After FR-NAS (Dooley et al.
2022) and the fairness discrepancy rate of de Freitas Pereira and Marcel 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from .bootstrap import ROUNDS, Floats, Interval, draws, interval, pair_weights
from .data import ImageSet, PairSet
from .embeddings import Embedded
from .metrics import enough_impostors
from .scores import Indices, all_pairs, owners_of, score_pairs, units_of_pairs
from .slices import Slices
from .verification import Data

#: Fewest genuine pairs for a slice to be named best or worst: rule of 30.
FEWEST_GENUINE = 30


class SliceRate(msgspec.Struct, frozen=True, kw_only=True):
    """One file's errors on one slice; a rate is None where there is no pair to measure it on.

    Attributes:
        name: of the slice.
        pictures: in it; 0 where pairs were cut.
        genuine, impostors: pairs in it.
        rejected, accepted: of them decided wrongly.
        fnmr, fmr: their shares.
        fnmr_interval, fmr_interval: 95 %, over identities.
        notes: a sentence for each rate that rests on too few pairs.
    """

    name: str
    pictures: int
    genuine: int
    impostors: int
    rejected: int
    accepted: int
    fnmr: float | None = None
    fmr: float | None = None
    fnmr_interval: Interval | None = None
    fmr_interval: Interval | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class SliceRates:
    """One file's errors on every slice.

    Attributes:
        threshold: cosine from which on a pair passes, on every slice.
        far: that it stands for, over all pairs.
        slices: S of them.
        across: genuine and impostor pairs whose pictures are in two slices: in none of these figures.
        fnmr, fmr: (rounds, S) in every round of the bootstrap; NaN where a round has no such pair.
    """

    threshold: float
    far: float
    slices: tuple[SliceRate, ...]
    across: tuple[int, int]
    fnmr: Floats
    fmr: Floats


@dataclass(frozen=True, eq=False)
class _Counts:
    """Pairs of each slice: (S, U) by unit, or as lists of slice and units."""

    genuine: Floats
    rejected: Floats
    accepted: tuple[Indices, Indices]
    impostors: tuple[Indices, Indices] | Floats  # (S, U) pictures where all pairs are formed
    across: tuple[int, int]

    def impostor_weights(self, drawn: Floats) -> Floats:
        """(S,) impostor pairs of a round; copies of one identity make none of each other."""
        if isinstance(self.impostors, tuple):
            return _spread(self.impostors, drawn, len(self.genuine))
        pictures = self.impostors * drawn
        weights: Floats = (pictures.sum(axis=1) ** 2 - (pictures**2).sum(axis=1)) / 2
        return weights


def slice_rates(
    data: Data,
    embedded: Embedded,
    slices: Slices,
    *,
    threshold: float,
    far: float,
    probes: Embedded | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> SliceRates:
    """FMR and FNMR of every slice.

    Args:
        data: what was embedded: pairs, or pictures that all have an identity.
        embedded: in the order of its pictures. A picture that failed has its genuine pairs rejected.
        slices: of the same data.
        threshold: common to all slices.
        far: that it stands for.
        probes: the same pictures embedded otherwise, to stand for the second of every pair; by default they are the
            same.
        rounds: of the bootstrap.
        seed: of the bootstrap.
    """
    both = embedded, probes or embedded
    if isinstance(data, PairSet):
        counts = _of_list(data, both, slices, threshold)
    else:
        counts = _of_all(data, both, slices, threshold)
    units = counts.genuine.shape[1]
    sampled = np.array([_rates(counts, drawn) for drawn in draws(units, rounds, seed)])
    whole = np.ones(units)
    totals = [counts.genuine.sum(axis=1), counts.rejected.sum(axis=1), counts.impostor_weights(whole)]
    totals.append(_spread(counts.accepted, whole, len(slices.names)))
    pictures = np.bincount(slices.of, minlength=len(slices.names)) * (not slices.by_pair)
    found = tuple(
        _slice(name, int(pictures[s]), [int(total[s]) for total in totals], far, sampled[:, :, s])
        for s, name in enumerate(slices.names)
    )
    return SliceRates(threshold, far, found, counts.across, sampled[:, 0], sampled[:, 1])


def _slice(name: str, pictures: int, totals: list[int], far: float, sampled: Floats) -> SliceRate:
    genuine, rejected, impostors, accepted = totals
    notes = []
    if genuine < FEWEST_GENUINE:
        notes.append(f"{name}: {genuine} genuine pairs say little of FNMR; {FEWEST_GENUINE} are needed")
    if not impostors:
        notes.append(f"{name}: no impostor pairs, so no FMR")
    elif few := enough_impostors(impostors, far):
        notes.append(f"{name}: {few}")
    return SliceRate(
        name=name,
        pictures=pictures,
        genuine=genuine,
        impostors=impostors,
        rejected=rejected,
        accepted=accepted,
        fnmr=rejected / genuine if genuine else None,
        fmr=accepted / impostors if impostors else None,
        fnmr_interval=interval(sampled[:, 0]) if genuine else None,
        fmr_interval=interval(sampled[:, 1]) if impostors else None,
        notes=tuple(notes),
    )


def _rates(counts: _Counts, drawn: Floats) -> Floats:
    """(2, S) FNMR and FMR of one round."""
    wrong = np.stack([counts.rejected @ drawn, _spread(counts.accepted, drawn, len(counts.genuine))])
    every = np.stack([counts.genuine @ drawn, counts.impostor_weights(drawn)])
    return np.where(every > 0, wrong / np.where(every > 0, every, 1), np.nan)


def _spread(pairs: tuple[Indices, Indices], drawn: Floats, slices: int) -> Floats:
    """(S,) weights of the pairs of each slice."""
    return np.bincount(pairs[0], pair_weights(drawn, pairs[1]), minlength=slices).astype(np.float64)


def _of_list(data: PairSet, both: tuple[Embedded, Embedded], slices: Slices, threshold: float) -> _Counts:
    identities = [sample.identity for sample in data.images.samples]
    units, number, _ = units_of_pairs(data.pairs, identities)
    vectors, failed = (np.concatenate([getattr(e, part) for e in both]) for part in ("vectors", "failed"))
    second = np.array([0, len(data.images)])  # where the vectors of the pairs' second pictures begin
    passed = score_pairs(vectors, failed, data.pairs + second, data.same)[0] >= threshold
    of = slices.of if slices.by_pair else _of_both(slices.of[data.pairs])
    inside, shape = of >= 0, (len(slices.names), number)
    genuine, impostor = inside & data.same, inside & ~data.same

    def chosen(which: NDArray[np.bool_]) -> tuple[Indices, Indices]:
        return of[which], units[which]

    return _Counts(
        _matrix(of[genuine], units[genuine, 0], shape),
        _matrix(of[genuine & ~passed], units[genuine & ~passed, 0], shape),
        chosen(impostor & passed),
        chosen(impostor),
        (int((~inside & data.same).sum()), int((~inside & ~data.same).sum())),
    )


def _of_both(ends: Indices) -> Indices:
    """(P,) the slice of pairs whose pictures (P, 2) are in one; else -1."""
    return np.where(ends[:, 0] == ends[:, 1], ends[:, 0], -1)


def _of_all(data: ImageSet, both: tuple[Embedded, Embedded], slices: Slices, threshold: float) -> _Counts:
    owners, of = owners_of([str(sample.identity) for sample in data.samples]), slices.of
    (first, second), shape = both, (len(slices.names), int(owners.max()) + 1)
    genuine, rejected, across = np.zeros(shape), np.zeros(shape), [0, 0]
    places, units = [np.empty(0, np.int64)], [np.empty((0, 2), np.int64)]
    for rows, columns, same, different in all_pairs(owners):
        scores = first.vectors[rows] @ second.vectors[columns].T
        usable = ~(first.failed[rows, None] | second.failed[None, columns])
        passed, inside = (scores >= threshold) & usable, of[rows, None] == of[None, columns]
        for into, which in ((genuine, same & inside), (rejected, same & inside & ~passed)):
            row = np.nonzero(which)[0]
            into += _matrix(of[rows][row], owners[rows][row], shape)
        row, column = np.nonzero(different & inside & passed)
        places.append(of[rows][row])
        units.append(np.stack([owners[rows][row], owners[columns][column]], axis=1))
        across = [n + int((kind & ~inside).sum()) for n, kind in zip(across, (same, different), strict=True)]
    accepted = np.concatenate(places), np.concatenate(units)
    return _Counts(genuine, rejected, accepted, _matrix(of, owners, shape), (across[0], across[1]))


def _matrix(slices: Indices, units: Indices, shape: tuple[int, int]) -> Floats:
    """(S, U) how often each slice and unit come together."""
    return np.bincount(slices * shape[1] + units, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
