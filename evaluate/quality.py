"""The protocol of quality: error-versus-discard curves of one or more measures, and how alike they rank pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidData
from .data import ImageSet, PairSet
from .discard import (
    DiscardCurve,
    Floats,
    Impostors,
    ListedImpostors,
    discard_curve,
    oracle_curve,
    random_curves,
    supported,
)
from .embeddings import Embedded
from .metrics import enough_impostors
from .rank_correlation import spearman, spearman_interval
from .scores import PairScores, all_pairs, owners_of, score_all_pairs, score_pairs

FMRS = (1e-2, 1e-3, 1e-4)
#: Shares up to which the area under a curve is given: beyond, no application would go.
MOST = (0.2, 0.3)


@dataclass(frozen=True)
class Area:
    """Partial area under a curve, and under those of the controls.

    Attributes:
        most: share up to which.
        area: of the measure.
        normalised: as a share of no discarding; 1 knows nothing. NaN if there is no error.
        random, random_std: normalised, mean and deviation over 20 random orders. NaN where re-estimated.
        oracle: normalised, of the best order there is. NaN where re-estimated.
        avoided: share of all false non-matches that is among the pairs discarded. With a re-estimated threshold, how
            much fewer there are.
        avoided_random, avoided_oracle: the same by a random order, on average, and by the best order.
    """

    most: float
    area: float
    normalised: float
    random: float
    random_std: float
    oracle: float
    avoided: float
    avoided_random: float = float("nan")
    avoided_oracle: float = float("nan")


@dataclass(frozen=True, eq=False)
class Discarding:
    """What discarding by one measure does at one FMR.

    Attributes:
        measure: its name.
        curve: FNMR over the share discarded.
        areas: for each share of ``MOST``.
        genuine, impostors: number of pairs.
        note: why so many impostor pairs do not support the FMR; empty if they do.
    """

    measure: str
    curve: DiscardCurve
    areas: tuple[Area, ...]
    genuine: int
    impostors: int
    note: str


@dataclass(frozen=True)
class Agreement:
    """Spearman's rank correlation of two measures over the pictures that both know, with its 95 % interval."""

    a: str
    b: str
    pictures: int
    correlation: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class AllImpostors:
    """Every pair of pictures of two people, scored again for each quality that is asked for, block by block.

    Attributes:
        vectors: ``(N, D)`` of length 1.
        failed: ``(N,)`` pictures without an embedding.
        identities: ``(N,)`` who is in each.
        quality: ``(N,)`` of each picture: a pair is left if both are.
    """

    vectors: NDArray[np.float32]
    failed: NDArray[np.bool_]
    identities: Sequence[str]
    quality: Floats
    _scored: dict[float, PairScores] = field(default_factory=dict)

    def count(self, lowest: float) -> int:
        """How many pairs have at least that quality."""
        pictures = np.unique(np.array(self.identities)[self.quality >= lowest], return_counts=True)[1]
        total = int(pictures.sum())
        return (total * total - int((pictures**2).sum())) // 2

    def threshold(self, fmr: float, lowest: float) -> float:
        """The lowest threshold at which no more than ``fmr`` of these pass."""
        if lowest not in self._scored:
            left = np.flatnonzero(self.quality >= lowest)
            who = [self.identities[i] for i in left]
            self._scored[lowest] = score_all_pairs(self.vectors[left], self.failed[left], who)
        return self._scored[lowest].threshold(fmr)


def discard_all(
    measure: str, genuine: Floats, quality: Floats, impostors: Impostors, *, re_estimated: bool = False
) -> list[Discarding]:
    """The curves of a measure at every FMR of ``FMRS`` that the impostor pairs support at all.

    Args:
        measure: its name.
        genuine: (G,) scores.
        quality: (G,) of the pairs.
        impostors: the impostor pairs.
        re_estimated: whether to draw the curves with a re-estimated threshold as well.
    """
    count, results = impostors.count(-np.inf), []
    for fmr in FMRS:
        note = enough_impostors(count, fmr) or ""
        fixed = discard_curve(genuine, quality, impostors, fmr)
        areas = _areas(fixed, genuine, impostors) if supported(count, fmr) else ()
        results.append(Discarding(measure, fixed, areas, len(genuine), count, note))
        if re_estimated and supported(count, fmr):
            again = discard_curve(genuine, quality, impostors, fmr, "re-estimated")
            none = (float("nan"),) * 3
            areas = tuple(
                Area(most, again.area(most), again.normalised_area(most), *none, again.avoided(most)) for most in MOST
            )
            results.append(Discarding(measure, again, areas, len(genuine), count, note))
    return results


def _areas(curve: DiscardCurve, genuine: Floats, impostors: Impostors) -> tuple[Area, ...]:
    random, oracle = random_curves(genuine, impostors, curve.fmr), oracle_curve(genuine, impostors, curve.fmr)
    areas = []
    for most in MOST:
        chance = [one.normalised_area(most) for one in random]
        mean, std = float(np.mean(chance)), float(np.std(chance))
        found = (curve.area(most), curve.normalised_area(most), mean, std, oracle.normalised_area(most))
        kept = (curve.avoided(most), float(np.mean([one.avoided(most) for one in random])), oracle.avoided(most))
        areas.append(Area(most, *found, *kept))
    return tuple(areas)


def pairs_of(data: PairSet | ImageSet, embedded: Embedded, quality: Floats) -> tuple[Floats, Floats, Impostors]:
    """Scores and qualities of the genuine pairs, and the impostor pairs: of the list, or all that identities make.

    Args:
        data: pairs, or pictures with identities.
        embedded: in the order of its pictures.
        quality: (N,) of each picture.

    Raises:
        InvalidData: a picture without identity and no list of pairs, or no genuine pair.
    """
    if isinstance(data, PairSet):
        scores, _ = score_pairs(embedded.vectors, embedded.failed, data.pairs, data.same)
        worse = quality[data.pairs].min(axis=1)
        impostors: Impostors = ListedImpostors(scores[~data.same], worse[~data.same])
        genuine, worse = scores[data.same], worse[data.same]
    else:
        genuine, worse, impostors = _every_pair(data, embedded, quality)
    if not len(genuine):
        raise InvalidData("no genuine pair: no two pictures show one person, so no FNMR can be measured")
    return genuine, worse, impostors


def _every_pair(data: ImageSet, embedded: Embedded, quality: Floats) -> tuple[Floats, Floats, Impostors]:
    if unknown := [sample.name for sample in data.samples if sample.identity is None]:
        raise InvalidData(
            f"{data.name}: {len(unknown)} pictures name no identity, first {unknown[0]}; give pairs instead"
        )
    identities = [str(sample.identity) for sample in data.samples]
    scores, worse = [np.empty(0)], [np.empty(0)]
    for rows, columns, same, _ in all_pairs(owners_of(identities)):
        row, column = np.nonzero(same)
        a, b = row + rows.start, column + columns.start
        cosine = np.einsum("pd,pd->p", embedded.vectors[a], embedded.vectors[b])
        scores.append(np.where(embedded.failed[a] | embedded.failed[b], -np.inf, cosine))
        worse.append(np.minimum(quality[a], quality[b]))
    everyone = AllImpostors(embedded.vectors, embedded.failed, identities, quality)
    return np.concatenate(scores), np.concatenate(worse), everyone


def agreements(measures: Mapping[str, Mapping[str, float]]) -> list[Agreement]:
    """How alike every two measures rank the pictures that both know.

    Args:
        measures: name of a measure -> name of a picture -> its quality.

    Raises:
        InvalidData: two measures have no two pictures in common.
    """
    found = []
    for (a, of_a), (b, of_b) in combinations(measures.items(), 2):
        both = sorted(name for name in of_a.keys() & of_b.keys() if np.isfinite([of_a[name], of_b[name]]).all())
        if len(both) < 2:
            raise InvalidData(f"{a} and {b} have {len(both)} pictures in common; expected qualities of the same ones")
        x, y = (np.array([of[name] for name in both]) for of in (of_a, of_b))
        found.append(Agreement(a, b, len(both), spearman(x, y), *spearman_interval(x, y)))
    return found
