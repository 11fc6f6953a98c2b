"""Which way to pool is best: protocols of templates on a data set, every way side by side, the mean always first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidData
from ..report import Column, Row, Section
from .data import ImageSet
from .embeddings import Embedded
from .ijb import read_ijb
from .metrics import enough_impostors
from .templates import Aggregate, Floats, TemplateSet, compare_pooling, random_templates

FARS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


@dataclass(frozen=True, eq=False)
class Protocol:
    """Templates, pairs of them, and where their pictures are.

    Attributes:
        sets: the templates; they count the protocol's pictures.
        pictures: ``(N,)`` row of each of those among the embeddings; -1 where it is missing.
        pairs: ``(P, 2)`` templates.
        same: ``(P,)`` whether a pair shows one person.
        notes: a sentence for each fault of the data.
    """

    sets: TemplateSet
    pictures: NDArray[np.int64]
    pairs: NDArray[np.int64]
    same: NDArray[np.bool_]
    notes: tuple[str, ...] = ()

    @property
    def fars(self) -> tuple[float, ...]:
        """Those that so many impostor pairs can say anything about."""
        impostors = int(np.count_nonzero(~self.same))
        return tuple(far for far in FARS if far * impostors >= 3)


def random_protocol(images: ImageSet, size: int, *, seed: int = 0) -> Protocol:
    """Every pair of random templates of ``size`` pictures of one identity.

    Raises:
        InvalidData: a picture without identity, or nobody with so many.
    """
    who = [sample.identity for sample in images.samples]
    if None in who:
        first = images.samples[who.index(None)].name
        raise InvalidData(f"{images.name}: {who.count(None)} pictures name no identity, first {first}")
    sets, pairs, owners = random_templates([str(name) for name in who], size, seed=seed)
    return Protocol(sets, np.arange(len(images)), pairs, owners[pairs[:, 0]] == owners[pairs[:, 1]])


def ijb_protocol(members: Path, pairs: Path, images: ImageSet) -> Protocol:
    """The protocol of IJB's lists on its pictures; missing ones are named, and left out of their templates.

    Raises:
        InvalidData: broken lists, or not one of their pictures is there.
    """
    sets, names, listed, same = read_ijb(members, pairs)
    rows = {sample.name: i for i, sample in enumerate(images.samples)}
    pictures = np.array([rows.get(name, -1) for name in names], np.int64)
    lost = [name for name, row in zip(names, pictures, strict=True) if row < 0]
    if len(lost) == len(names):
        raise InvalidData(f"{images.name}: holds none of the {len(names)} pictures of {members.name}, first {names[0]}")
    notes = (f"{len(lost)} of {len(names)} pictures of {members.name} are missing, first {lost[0]}.",) if lost else ()
    return Protocol(sets, pictures, listed, same, notes)


def measure_pooling(
    protocol: Protocol,
    embedded: Embedded,
    *,
    weights: Mapping[str, Floats] | None = None,
    aggregate: Aggregate | None = None,
) -> list[dict[str, Any]]:
    """TAR at FAR of each way to pool; see :func:`~.templates.compare_pooling`.

    Args:
        protocol: templates and pairs.
        embedded: the pictures.
        weights: name of a weighting -> ``(N,)`` weights, in the order of the embeddings. Negative qualities are lifted
            so that the lowest is 0; a picture without any (``-inf``) counts nothing.
        aggregate: a learnt aggregator.

    Raises:
        InvalidData: no genuine pair, or too few impostor pairs for any FAR.
    """
    if not protocol.fars or not protocol.same.any():
        genuine, impostors = (int(np.count_nonzero(protocol.same == kind)) for kind in (True, False))
        raise InvalidData(f"{genuine} genuine and {impostors} impostor pairs of templates; too few for any TAR at FAR")
    chosen, there = protocol.pictures.clip(min=0), protocol.pictures >= 0
    return compare_pooling(
        embedded.vectors[chosen],
        protocol.sets,
        protocol.pairs,
        protocol.same,
        fars=protocol.fars,
        failed=embedded.failed[chosen] | ~there,
        weights={name: _positive(values)[chosen] for name, values in (weights or {}).items()},
        aggregate=aggregate,
    )


def pooling_section(protocol: Protocol, rows: Sequence[Row], notes: Sequence[str] = ()) -> Section:
    """The table, with what it rests on."""
    impostors = int(np.count_nonzero(~protocol.same))
    said = (enough_impostors(impostors, far) for far in protocol.fars)
    about = (
        f"{len(protocol.sets):,} templates of {len(protocol.sets.pictures):,} pictures; "
        f"{protocol.same.sum():,} genuine and {impostors:,} impostor pairs."
    )
    columns = [Column(key="pooling", name="pooling")]
    columns += [
        Column(key=f"tar_at_{far:g}", name=f"TAR at FAR {far:g}", kind="number", spec=".4f") for far in protocol.fars
    ]
    columns += [Column(key="failed", name="templates without an embedding", kind="number")]
    return Section(
        title="Pooling", columns=columns, rows=rows, notes=[about, *protocol.notes, *notes, *filter(None, said)]
    )


def require_others(learnt_from: ImageSet, tested: ImageSet) -> None:
    """That nobody is both learnt from and tested on.

    Raises:
        InvalidData: somebody is.
    """
    both = {s.identity for s in learnt_from.samples} & {s.identity for s in tested.samples} - {None}
    if both:
        raise InvalidData(
            f"{len(both)} identities are both in {learnt_from.name} and in {tested.name}, such as "
            f"{min(map(str, both))}; what is learnt must be tested on other people"
        )


def _positive(values: Floats) -> Floats:
    there = np.isfinite(values)
    lowest = min(float(values[there].min(initial=0)), 0)
    result: Floats = np.where(there, values - lowest, 0)
    return result
