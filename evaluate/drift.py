"""Decision parity: does another file of one network still decide as the first one does?

For another precision, format or engine: how far its embeddings turned, how the scores of genuine and impostor pairs
moved, what that does to TAR at the same FAR, and how many decisions flip at the first one's threshold. All intervals
are 95 %, over identities.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from ..errors import InvalidData
from .bootstrap import ROUNDS, Interval, draws, impostor_weight, interval, linear_interval, pair_weights
from .embeddings import Embedded
from .scores import Indices, PairScores, owners_of
from .tally import Tally, scored_by_both
from .verification import AtFar, Data, Judged, images_of

#: Where decisions are compared, if the pairs support it; else at the strictest FAR that they do.
OPERATING_FAR = 1e-3


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """Cosine between the two embeddings of one picture, over pictures: mean, its interval, first percentile, least."""

    mean: float
    mean_interval: Interval | None
    p1: float
    min: float


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """Score by the other less score by the first, over pairs.

    Attributes:
        mean, mean_interval: on average.
        spread: standard deviation.
        largest: of any pair, regardless of sign.
    """

    mean: float
    mean_interval: Interval | None
    spread: float
    largest: float


class TarDrop(msgspec.Struct, frozen=True, kw_only=True):
    """TAR of the two at one FAR, each at its own threshold; a drop above 0 means that the other is worse."""

    far: float
    first: float
    other: float
    drop: float
    drop_interval: Interval | None


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """How another file's decisions differ from the first one's.

    Attributes:
        pictures: number of pictures that both embedded.
        turn: of embeddings; None where the two are different networks.
        genuine, impostor: shift of scores.
        tar: at each FAR that the pairs support.
        far, threshold: where decisions are compared: the first one's threshold at this FAR.
        flips_genuine, flips_impostor: share of pairs that pass with the one and not with the other.
        flips_all: the same over all pairs of the data, of which most are impostors'.
        flips, flips_interval: mean of the two: the share on a list with as many pairs of each kind, such as LFW's.
    """

    pictures: int
    turn: Turn | None
    genuine: Shift
    impostor: Shift
    tar: tuple[TarDrop, ...]
    far: float
    threshold: float
    flips_genuine: float
    flips_impostor: float
    flips_all: float
    flips: float
    flips_interval: Interval | None

    @property
    def figures(self) -> dict[str, float]:
        """What a gate may speak of. ``tar_drop`` is that at ``far``; ``cosine`` is the mean."""
        drop = next(entry.drop for entry in self.tar if entry.far == self.far)
        figures = {"flips": self.flips, "flips_genuine": self.flips_genuine, "flips_impostor": self.flips_impostor}
        figures |= {"flips_all": self.flips_all, "tar_drop": drop}
        figures |= {"shift_genuine": self.genuine.mean, "shift_impostor": self.impostor.mean}
        if self.turn:
            figures |= {"cosine": self.turn.mean, "cosine_p1": self.turn.p1, "cosine_min": self.turn.min}
        return figures


def measure_drift(
    data: Data,
    first: tuple[Embedded, Judged],
    other: tuple[Embedded, Judged],
    *,
    same_network: bool = True,
    far: float = OPERATING_FAR,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Drift:
    """Compare two files on the same pictures and pairs.

    Args:
        data: what both were judged on, with the same FARs, rounds and seed.
        first: embeddings and result of the one that counts as right.
        other: those of the one to compare.
        same_network: whether the two embeddings of a picture may be compared.
        far: where decisions are compared, if the pairs support it; else at the strictest FAR that they do.
        rounds: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        InvalidData: too few impostor pairs for any FAR, or no picture that both embedded.
    """
    (vectors, judged), (others, other_judged) = first, other
    operating = _operating(data, judged, far)
    assert operating.threshold is not None
    genuine, impostor = (Tally(judged.scores.units, operating.threshold) for _ in range(2))
    for pairs in scored_by_both(data, vectors, others):
        (genuine if pairs.genuine else impostor).add(pairs)
    shares, flips_interval = _flips(judged.scores, genuine.flips, impostor.flips, rounds, seed)
    return Drift(
        pictures=int(np.count_nonzero(~(vectors.failed | others.failed))),
        turn=_turn(data, vectors, others, rounds, seed) if same_network else None,
        genuine=_shift(data, genuine, rounds, seed),
        impostor=_shift(data, impostor, rounds, seed),
        tar=_tar_drops(judged, other_judged),
        far=operating.far,
        threshold=operating.threshold,
        flips_genuine=shares[0],
        flips_impostor=shares[1],
        flips_all=(len(genuine.flips) + len(impostor.flips)) / (judged.result.genuine + judged.result.impostors),
        flips=sum(shares) / 2,
        flips_interval=flips_interval,
    )


def _operating(data: Data, judged: Judged, far: float) -> AtFar:
    supported = [entry for entry in judged.result.at_far if entry.threshold is not None and entry.far >= far * 0.999]
    if not supported:
        raise InvalidData(
            f"{images_of(data).name}: {judged.result.impostors} impostor pairs support no FAR to compare decisions at; "
            "at least 300 are needed, for FAR 0.01"
        )
    return min(supported, key=lambda entry: entry.far)


def _shift(data: Data, tally: Tally, rounds: int, seed: int) -> Shift:
    if math.isnan(tally.mean):
        raise InvalidData(
            f"{images_of(data).name}: no genuine, or no impostor pair of pictures that both files embedded"
        )
    around = tally.mean_interval(rounds=rounds, seed=seed)
    return Shift(mean=tally.mean, mean_interval=around, spread=tally.spread, largest=tally.largest)


def _turn(data: Data, first: Embedded, other: Embedded, rounds: int, seed: int) -> Turn:
    """An identity's pictures are drawn together; a picture without an identity is drawn alone."""
    both = ~(first.failed | other.failed)
    if not both.any():
        raise InvalidData(f"{images_of(data).name}: no picture that both files embedded")
    cosines = (first.vectors[both] * other.vectors[both]).sum(axis=1, dtype=np.float64)
    names = [sample.identity or f"\0{i}" for i, sample in enumerate(images_of(data).samples)]
    owners = owners_of(names)[both]
    sums, counts = (np.bincount(owners, each).astype(np.float64) for each in (cosines, None))
    around = linear_interval(sums, counts, len(cosines), rounds=rounds, seed=seed)
    percentile, least = float(np.percentile(cosines, 1)), float(cosines.min())
    return Turn(mean=float(cosines.mean()), mean_interval=around, p1=percentile, min=least)


def _tar_drops(first: Judged, other: Judged) -> tuple[TarDrop, ...]:
    drops = []
    for i, (a, b) in enumerate(zip(first.result.at_far, other.result.at_far, strict=True)):
        if a.tar is not None and b.tar is not None:
            around = interval(first.drawn.tar[:, i] - other.drawn.tar[:, i])
            drops.append(TarDrop(far=a.far, first=a.tar, other=b.tar, drop=a.tar - b.tar, drop_interval=around))
    return tuple(drops)


def _flips(
    scores: PairScores, genuine: Indices, impostor: Indices, rounds: int, seed: int
) -> tuple[tuple[float, float], Interval | None]:
    """Shares of flipped genuine and impostor pairs, and the interval of their mean."""
    pairs = np.bincount(scores.genuine_units, minlength=scores.units).astype(np.float64)
    flipped = np.bincount(genuine[:, 0], minlength=scores.units).astype(np.float64)
    means: list[float] = []
    for drawn in draws(scores.units, rounds, seed):
        among, against = float(drawn @ pairs), impostor_weight(drawn, scores)
        if among and against:
            means.append((float(drawn @ flipped) / among + float(pair_weights(drawn, impostor).sum()) / against) / 2)
    around = interval(np.array(means)) if 2 * len(means) > rounds else None
    return (len(genuine) / len(scores.genuine), len(impostor) / scores.impostors), around
