"""Verification, one to one: are two pictures of one person told from pictures of two people?

On a list of pairs, the protocol of LFW: accuracy over ten folds at thresholds chosen on the other nine. On pictures
with identities, every pair. Both give TAR at FAR, with intervals over identities.

A picture that gave no embedding counts against the result: its genuine pairs are rejected. Its impostor pairs are not
accepted, and stay in the count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from ..errors import InvalidData
from .bootstrap import ROUNDS, Floats, Interval, Resampled, interval, resample
from .data import ImageSet, PairSet
from .embeddings import Embedded
from .metrics import accepted, enough_impostors, kfold_accuracy
from .scores import PairScores, score_all_pairs, score_pairs

#: The false accept rates that every result speaks of.
FARS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)

Data = PairSet | ImageSet


class AtFar(msgspec.Struct, frozen=True, kw_only=True):
    """What a recogniser does at one false accept rate.

    Attributes:
        far: that no more than this share of impostor pairs may pass.
        threshold: the lowest cosine that keeps to it; None where there are too few impostor pairs to say.
        tar: share of genuine pairs that pass; None likewise.
        threshold_interval, tar_interval: 95 %, over identities.
        note: why so many impostor pairs do not support this FAR, in one sentence; empty if they do.
    """

    far: float
    threshold: float | None = None
    tar: float | None = None
    threshold_interval: Interval | None = None
    tar_interval: Interval | None = None
    note: str = ""


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What one recogniser does on one data set.

    Attributes:
        pictures: number of pictures.
        failed: of them without an embedding: unreadable, no face found, NaN.
        genuine, impostors: number of pairs.
        genuine_failed, impostors_failed: of them with a failed picture: rejected.
        units: number of what the bootstrap drew.
        unit: ``identity``, or ``pair`` where the data name no identities.
        at_far: TAR at each FAR.
        eer: equal error rate.
        accuracy, accuracy_std: over folds; None where all pairs were formed.
        folds: number of folds; 0 likewise.
        curve: (FAR, TAR) points for plots.
        notes: a sentence for whatever the reader must know to read the figures rightly.
    """

    pictures: int
    failed: int
    genuine: int
    impostors: int
    genuine_failed: int
    impostors_failed: int
    units: int
    unit: str
    at_far: tuple[AtFar, ...]
    eer: float
    accuracy: float | None = None
    accuracy_std: float | None = None
    folds: int = 0
    curve: tuple[tuple[float, float], ...] = ()
    notes: tuple[str, ...] = ()

    def at(self, far: float) -> AtFar:
        """The entry of a FAR; KeyError if it was not asked for."""
        return {entry.far: entry for entry in self.at_far}[far]


@dataclass(frozen=True, eq=False)
class Judged:
    """A result with the scores and draws that it came from, for comparing it with another's."""

    result: Verification
    scores: PairScores
    drawn: Resampled
    fars: tuple[float, ...]


def images_of(data: Data) -> ImageSet:
    """The pictures that are to be embedded."""
    return data.images if isinstance(data, PairSet) else data


def fingerprint_of(data: Data) -> str:
    """Hex SHA-256 of everything that a result depends on: pictures, identities, pairs."""
    return data.fingerprint if isinstance(data, PairSet) else data.labels_fingerprint


def judge(
    data: Data, embedded: Embedded, *, fars: Sequence[float] = FARS, rounds: int = ROUNDS, seed: int = 0
) -> Judged:
    """Run the protocol that fits the data on the embeddings of its pictures.

    Args:
        data: pairs, or pictures with identities.
        embedded: in the order of its pictures.
        fars: to give TAR at.
        rounds: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        InvalidData: no genuine or no impostor pair, or pictures without identities and no list of pairs.
    """
    identities = [sample.identity for sample in images_of(data).samples]
    folds = None
    if isinstance(data, PairSet):
        in_order, scores = score_pairs(embedded.vectors, embedded.failed, data.pairs, data.same, identities)
        folds = kfold_accuracy(in_order, data.same, data.folds) if len(np.unique(data.folds)) > 1 else None
    else:
        scores = score_all_pairs(embedded.vectors, embedded.failed, _all_known(data, identities))
    _require_both(data, scores)
    drawn = resample(scores, fars, rounds=rounds, seed=seed)
    at_far = tuple(_at_far(scores, far, drawn.threshold[:, i], drawn.tar[:, i]) for i, far in enumerate(fars))
    result = Verification(
        pictures=len(embedded.failed),
        failed=int(embedded.failed.sum()),
        genuine=len(scores.genuine),
        impostors=scores.impostors,
        genuine_failed=int(np.count_nonzero(np.isneginf(scores.genuine))),
        impostors_failed=scores.unusable,
        units=scores.units,
        unit=scores.unit,
        at_far=at_far,
        eer=scores.curve.eer,
        accuracy=folds.mean if folds else None,
        accuracy_std=folds.std if folds else None,
        folds=len(folds.accuracy) if folds else 0,
        curve=_thinned(scores),
        notes=_notes(data, embedded, scores, at_far),
    )
    return Judged(result, scores, drawn, tuple(fars))


def _at_far(scores: PairScores, far: float, thresholds: Floats, tars: Floats) -> AtFar:
    note = enough_impostors(scores.impostors, far) or ""
    if far * scores.impostors < 3:
        return AtFar(far=far, note=note)
    threshold = scores.threshold(far)
    return AtFar(
        far=far,
        threshold=threshold,
        tar=accepted(scores.genuine, threshold),
        threshold_interval=interval(thresholds) if scores.holds(far) else None,
        tar_interval=interval(tars),
        note=note,
    )


def _all_known(data: ImageSet, identities: Sequence[str | None]) -> list[str]:
    unknown = [sample.name for sample in data.samples if sample.identity is None]
    if unknown:
        raise InvalidData(
            f"{data.name}: {len(unknown)} of {len(data)} pictures name no identity, first {unknown[0]}; put them "
            "into a folder for each person, name them with --identities, or give a list of pairs"
        )
    return [str(identity) for identity in identities]


def _require_both(data: Data, scores: PairScores) -> None:
    if not len(scores.genuine) or not scores.impostors:
        raise InvalidData(
            f"{images_of(data).name}: {len(scores.genuine)} genuine and {scores.impostors} impostor pairs; "
            "verification needs both: two pictures of one person, and pictures of two people"
        )


def _notes(data: Data, embedded: Embedded, scores: PairScores, at_far: Sequence[AtFar]) -> tuple[str, ...]:
    notes = [*images_of(data).problems, *embedded.problems]
    if embedded.failed.any():
        notes.append(
            f"{int(embedded.failed.sum()):,} of {len(embedded.failed):,} pictures gave no embedding: their genuine "
            f"pairs count as rejected ({np.count_nonzero(np.isneginf(scores.genuine)):,}), their impostor pairs as not "
            f"accepted ({scores.unusable:,})."
        )
    if isinstance(data, PairSet) and data.left_out:
        notes.append(f"{data.left_out:,} pairs were left out because a picture is missing.")
    if scores.unit == "pair":
        notes.append("The data do not name every identity, so the intervals are over pairs, and too narrow.")
    return (*notes, *(entry.note for entry in at_far if entry.note))


def _thinned(scores: PairScores) -> tuple[tuple[float, float], ...]:
    """At most 200 points of the curve, evenly spaced in the logarithm of the FAR."""
    curve = scores.curve
    wanted = np.geomspace(1 / max(scores.impostors, 2), 1, 200)
    at = np.unique(np.searchsorted(curve.far, wanted, side="right") - 1)
    return tuple((float(curve.far[i]), float(curve.tar[i])) for i in at)
