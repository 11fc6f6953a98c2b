"""One file or several on every slice of a data set: errors, gaps, ranks, and what changes from the first file on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from ..errors import InvalidData
from .data import PairSet
from .embeddings import Embedded
from .metrics import enough_impostors
from .scores import PairScores, score_all_pairs, score_pairs
from .slice_gaps import Change, Gap, SliceTurn, changes, fairness_discrepancy, gaps, ranks, slice_turns
from .slice_rates import SliceRate, SliceRates, slice_rates
from .slices import Slices
from .verification import Data, images_of

#: Told what is being done, in a few words.
Progress = Callable[[str], None]


class FileSlices(msgspec.Struct, frozen=True, kw_only=True):
    """One file on every slice.

    Attributes:
        far, threshold: common to all slices; None where the data name no identities.
        slices: rates of each; empty likewise.
        across: genuine and impostor pairs with pictures in two slices, which are in no figure.
        gaps: worst against best.
        discrepancy: the fairness discrepancy rate with weight 1/2; 1 is fair.
        ranks: mean rank of the pictures of each slice, see :func:`~.slice_gaps.ranks`; None where none has a mate.
        rank_disparity: highest less lowest of them.
        changes: this file's rates less the first's; empty for the first.
        turns: cosines to the first file's embeddings; empty for the first, and for another network.
    """

    far: float | None = None
    threshold: float | None = None
    slices: tuple[SliceRate, ...] = ()
    across: tuple[int, int] = (0, 0)
    gaps: tuple[Gap, ...] = ()
    discrepancy: float | None = None
    ranks: tuple[float | None, ...] = ()
    rank_disparity: float | None = None
    changes: tuple[Change, ...] = ()
    turns: tuple[SliceTurn, ...] = ()


def has_identities(data: Data) -> bool:
    """Whether errors can be measured: a list of pairs says which show one person, else identities must."""
    return isinstance(data, PairSet) or all(sample.identity is not None for sample in data.samples)


def measure_slices(
    data: Data,
    embedded: Sequence[Embedded],
    slices: Slices,
    *,
    far: float,
    comparable: Sequence[bool] = (),
    rounds: int = 500,
    seed: int = 0,
) -> tuple[FileSlices, ...]:
    """Everything that slices say, of one file or several.

    Args:
        data: what was embedded. Without identities only cosines between files are measured.
        embedded: by each file, in the order of the pictures; the first is what the others are held to.
        slices: of the same data.
        far: over all pairs; each file has its own threshold for it, common to all slices.
        comparable: of each file, whether its embeddings may be compared with the first's; by default all may.
        rounds: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        InvalidData: too few impostor pairs for the FAR, or nothing to measure: no identities and only one file.
    """
    if not has_identities(data) and len(embedded) < 2:
        raise InvalidData(
            f"{images_of(data).name}: not every picture names an identity, so only drift between files can be sliced; "
            "give a second file of the network, or identities"
        )
    rates = [_rates(data, e, slices, far, rounds, seed) for e in embedded] if has_identities(data) else []
    found = []
    for i, each in enumerate(embedded):
        alike = i > 0 and not slices.by_pair and (comparable[i] if comparable else True)
        turns = slice_turns(images_of(data), slices, embedded[0], each, rounds=rounds, seed=seed) if alike else ()
        of = _of_rates(data, each, slices, rates[i]) if rates else FileSlices()
        changed = changes(rates[0], rates[i]) if rates and i else ()
        found.append(msgspec.structs.replace(of, changes=changed, turns=turns))
    return tuple(found)


def _rates(data: Data, embedded: Embedded, slices: Slices, far: float, rounds: int, seed: int) -> SliceRates:
    threshold = common_threshold(data, embedded, far)
    return slice_rates(data, embedded, slices, threshold=threshold, far=far, rounds=rounds, seed=seed)


def common_threshold(data: Data, embedded: Embedded, far: float) -> float:
    """The lowest cosine that keeps to a FAR over all pairs.

    Raises:
        InvalidData: too few impostor pairs for the FAR, or pictures without identities and no list of pairs.
    """
    if not has_identities(data):
        raise InvalidData(
            f"{images_of(data).name}: not every picture names an identity; name them with --identities, or give pairs"
        )
    scores = _scores(data, embedded)
    if far * scores.impostors < 3 - 1e-9:
        said = enough_impostors(scores.impostors, far)
        raise InvalidData(f"{images_of(data).name}: no common threshold: {said}; give a higher --far")
    if not len(scores.genuine):
        raise InvalidData(f"{images_of(data).name}: no genuine pair: two pictures of one person")
    return scores.threshold(far)


def _scores(data: Data, embedded: Embedded) -> PairScores:
    if isinstance(data, PairSet):
        return score_pairs(embedded.vectors, embedded.failed, data.pairs, data.same)[1]
    return score_all_pairs(embedded.vectors, embedded.failed, [str(sample.identity) for sample in data.samples])


def _of_rates(data: Data, embedded: Embedded, slices: Slices, rates: SliceRates) -> FileSlices:
    identities = [sample.identity for sample in images_of(data).samples]
    means: tuple[float | None, ...] = ()
    if not slices.by_pair and None not in identities:
        before = ranks(embedded, [str(identity) for identity in identities])
        groups = [before[(slices.of == s) & ~np.isnan(before)] for s in range(len(slices.names))]
        means = tuple(float(group.mean()) if len(group) else None for group in groups)
    known = [mean for mean in means if mean is not None]
    return FileSlices(
        far=rates.far,
        threshold=rates.threshold,
        slices=rates.slices,
        across=rates.across,
        gaps=gaps(rates),
        discrepancy=fairness_discrepancy(rates),
        ranks=means,
        rank_disparity=max(known) - min(known) if len(known) > 1 else None,
    )
