"""How far slices lie apart, and what another file of the network changes on each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from .bootstrap import ROUNDS, Floats, Interval, interval, linear_interval
from .data import ImageSet
from .embeddings import Embedded
from .scores import Indices, all_pairs, owners_of
from .slice_rates import FEWEST_GENUINE, SliceRate, SliceRates
from .slices import Slices

_Block = tuple[NDArray[np.float32], Indices, Indices, NDArray[np.bool_], NDArray[np.bool_]]


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """The worst slice against the best in one rate.

    Attributes:
        rate: which.
        worst, best: names of the slices.
        ratio: of their rates; where the best has no error, of the worst's rate to 3/n (rule of 3), and so only a least.
        least: whether it is only a least.
        ratio_interval: 95 %, over identities, for these two slices; None where it is only a least.
        left_out: slices with too few pairs to be named best or worst.
    """

    rate: Literal["fmr", "fnmr"]
    worst: str
    best: str
    ratio: float
    least: bool
    ratio_interval: Interval | None
    left_out: tuple[str, ...]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Another file's rates less the first's on one slice, each at its own threshold of the same FAR; None: no pairs."""

    name: str
    fnmr: float | None
    fmr: float | None
    fnmr_interval: Interval | None = None
    fmr_interval: Interval | None = None


class SliceTurn(msgspec.Struct, frozen=True, kw_only=True):
    """Cosine between two files' embeddings of the pictures of one slice; None where it holds no picture of both."""

    name: str
    pictures: int
    mean: float | None = None
    mean_interval: Interval | None = None
    p1: float | None = None
    min: float | None = None


def gaps(rates: SliceRates) -> tuple[Gap, ...]:
    """Worst against best in FMR and in FNMR; none for a rate that fewer than two slices can speak of."""
    return tuple(gap for rate in ("fmr", "fnmr") if (gap := _gap(rates, rate)))


def _gap(rates: SliceRates, rate: Literal["fmr", "fnmr"]) -> Gap | None:
    enough = [_pairs(s, rate) >= (3 / rates.far if rate == "fmr" else FEWEST_GENUINE) - 1e-9 for s in rates.slices]
    values = np.array([getattr(s, rate) if ok else np.nan for s, ok in zip(rates.slices, enough, strict=True)], float)
    if np.count_nonzero(enough) < 2 or not np.nanmax(values):
        return None
    worst, best = int(np.nanargmax(values)), int(np.nanargmin(values))
    least = not values[best]
    sampled: Floats = getattr(rates, rate)
    with np.errstate(divide="ignore", invalid="ignore"):
        around = None if least else interval(sampled[:, worst] / sampled[:, best])
    return Gap(
        rate=rate,
        worst=rates.slices[worst].name,
        best=rates.slices[best].name,
        ratio=float(values[worst] / (3 / _pairs(rates.slices[best], rate) if least else values[best])),
        least=least,
        ratio_interval=around,
        left_out=tuple(s.name for s, ok in zip(rates.slices, enough, strict=True) if not ok),
    )


def _pairs(found: SliceRate, rate: str) -> int:
    return found.impostors if rate == "fmr" else found.genuine


def fairness_discrepancy(rates: SliceRates, alpha: float = 0.5) -> float | None:
    """1 - (alpha ΔFMR + (1 - alpha) ΔFNMR), with Δ the largest difference between two slices; 1 is fair.

    Every slice with pairs counts, also one with few. None where fewer than two have both rates. Source: de Freitas
    Pereira and Marcel 2021, "Fairness in Biometrics".
    """
    both = [s for s in rates.slices if s.fmr is not None and s.fnmr is not None]
    if len(both) < 2:
        return None
    spread = [float(np.ptp([getattr(s, rate) for s in both])) for rate in ("fmr", "fnmr")]
    return 1 - (alpha * spread[0] + (1 - alpha) * spread[1])


def changes(first: SliceRates, other: SliceRates) -> tuple[Change, ...]:
    """What another file changes on each slice; both from the same data, slices, rounds and seed."""
    found = []
    for s, (a, b) in enumerate(zip(first.slices, other.slices, strict=True)):
        fnmr = None if a.fnmr is None or b.fnmr is None else b.fnmr - a.fnmr
        fmr = None if a.fmr is None or b.fmr is None else b.fmr - a.fmr
        around = [interval(other.fnmr[:, s] - first.fnmr[:, s]), interval(other.fmr[:, s] - first.fmr[:, s])]
        found.append(Change(name=a.name, fnmr=fnmr, fmr=fmr, fnmr_interval=around[0], fmr_interval=around[1]))
    return tuple(found)


def slice_turns(
    images: ImageSet, slices: Slices, first: Embedded, other: Embedded, *, rounds: int = ROUNDS, seed: int = 0
) -> tuple[SliceTurn, ...]:
    """How far another file turns embeddings, slice by slice; needs no identities.

    The interval is over identities, or over pictures where those are not known.
    """
    names = [sample.identity or f"\0{i}" for i, sample in enumerate(images.samples)]
    owners, usable = owners_of(names), ~(first.failed | other.failed)
    cosines = (first.vectors * other.vectors).sum(axis=1, dtype=np.float64)
    found = []
    for s, name in enumerate(slices.names):
        inside = usable & (slices.of == s)
        if not inside.any():
            found.append(SliceTurn(name=name, pictures=0))
            continue
        _, units = np.unique(owners[inside], return_inverse=True)
        sums, counts = (np.bincount(units, each).astype(np.float64) for each in (cosines[inside], None))
        around = linear_interval(sums, counts, len(units), rounds=rounds, seed=seed) if len(sums) > 1 else None
        p1, mean, least = np.percentile(cosines[inside], 1), cosines[inside].mean(), cosines[inside].min()
        shares = {"mean": float(mean), "p1": float(p1), "min": float(least)}
        found.append(SliceTurn(name=name, pictures=len(units), mean_interval=around, **shares))
    return tuple(found)


def ranks(embedded: Embedded, identities: Sequence[str]) -> Floats:
    """(N,) how many pictures of others are more like a picture than its most alike picture of the same person.

    NaN for one without a second picture of its person; a picture that failed, or whose every mate did, has all others
    before it. Source: FR-NAS (Dooley et al. 2022), whose rank disparity is the difference of its mean between groups.
    """
    owners = owners_of(identities)
    best = np.full(len(owners), -np.inf, np.float32)
    for block, rows, columns, same, _ in _both_ways(embedded, owners):
        np.maximum.at(best, rows, np.where(same, block, -np.inf).max(axis=1, initial=-np.inf))
        np.maximum.at(best, columns, np.where(same, block, -np.inf).max(axis=0, initial=-np.inf))
    before = np.zeros(len(owners))
    for block, rows, columns, _, different in _both_ways(embedded, owners):
        before[rows] += (different & (block > best[rows, None])).sum(axis=1)
        before[columns] += (different & (block > best[None, columns])).sum(axis=0)
    pictures = np.bincount(owners)[owners]
    before[np.isneginf(best)] = (len(owners) - pictures)[np.isneginf(best)]
    return np.where(pictures > 1, before, np.nan)


def _both_ways(embedded: Embedded, owners: Indices) -> Iterator[_Block]:
    """Blocks of scores over pairs i < j, -inf where a picture failed, with the numbers of their rows and columns."""
    everything = np.arange(len(owners))
    for rows, columns, same, different in all_pairs(owners):
        scores = embedded.vectors[rows] @ embedded.vectors[columns].T
        scores[embedded.failed[rows]] = -np.inf
        scores[:, embedded.failed[columns]] = -np.inf
        yield scores, everything[rows], everything[columns], same, different
