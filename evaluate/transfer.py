"""Does an attack that was made on the torch network work, and does it still work on the exported file?

Success is counted at the operating threshold, over the pairs that were decided rightly before: to dodge, a genuine
pair that passed must fail; to impersonate, an impostor pair that failed must pass. The other picture of each pair is
embedded clean by the file that judges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidData
from ..runtime.detector import Detector
from ..runtime.embedder import Embedder
from .attacks import Attack, Goal, Network, Pixels, attack
from .binomial import wilson
from .bootstrap import Interval
from .crops import Cropper
from .data import PairSet
from .scores import all_pairs, owners_of
from .verification import Data, images_of


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """One attack as one file sees it.

    Attributes:
        file: its name.
        engine: that ran it; ``torch`` for the network that was attacked.
        kind, goal, universal, iterations: of the attack.
        threshold: cosine from which on a pair passes.
        pairs: attacked.
        eligible: of them decided rightly before.
        successes: of those decided wrongly after.
        rate: their share; None where no pair is eligible.
        rate_interval: 95 %, over pairs, which are taken for independent.
        before, after: mean cosine of the pairs.
    """

    file: str
    engine: str
    kind: str
    goal: str
    universal: bool
    iterations: int
    threshold: float
    pairs: int
    eligible: int
    successes: int
    rate: float | None
    rate_interval: Interval | None
    before: float
    after: float


def run_attacks(
    data: Data,
    network: Network,
    source: Embedder,
    others: Sequence[Embedder],
    attacks: Sequence[Attack],
    thresholds: Sequence[float],
    *,
    count: int,
    detector: Detector | None = None,
    seed: int = 0,
    progress: Callable[[str], None] = lambda step: None,
) -> tuple[list[Transfer], list[str]]:
    """Several attacks on pairs of a data set: genuine pairs to dodge, impostor pairs to impersonate.

    Args:
        data: pairs, or pictures with identities.
        network: that is attacked, in torch.
        source: the same network, to judge with.
        others: exported files.
        attacks: of which those of one goal follow each other in the results.
        thresholds: of the source and of each of the others.
        count: pairs of each kind, at most.
        detector: for pictures that are not aligned.
        seed: of the choice of pairs and of the attacks.
        progress: told what is being done.

    Returns:
        What every file makes of each attack, and a sentence for each picture that could not be used.

    Raises:
        InvalidData: no such pairs.
    """
    found, faults, cropper = list[Transfer](), dict[str, None](), Cropper(source, detector)
    for goal in dict.fromkeys(each.goal for each in attacks):
        crops, partners, bad = crops_of(data, draw_pairs(data, goal == "dodging", count, seed=seed), cropper)
        faults |= dict.fromkeys(bad)
        for how in (each for each in attacks if each.goal == goal):
            progress(f"{how.kind}, {goal}: {len(crops)} pictures")
            found += attack_and_transfer(network, source, others, crops, partners, how, thresholds, seed=seed)[1]
    return found, list(faults)


def attack_and_transfer(
    network: Network,
    source: Embedder,
    others: Sequence[Embedder],
    images: Pixels,
    partners: Pixels,
    how: Attack,
    thresholds: Sequence[float],
    *,
    seed: int = 0,
    at_once: int = 16,
) -> tuple[Pixels, tuple[Transfer, ...]]:
    """Attack pictures through one network, and judge them by it and by exported files.

    Args:
        network: that is attacked, in torch.
        source: the same network, to judge with.
        others: exported files.
        images: ``(P, h, w, 3) uint8`` crops to change.
        partners: ``(P, h, w, 3) uint8`` the other picture of each pair: of the same person to dodge, of another to
            impersonate.
        how: the attack; a universal one is made for all P pictures together.
        thresholds: of the source and of each of the others.
        seed: of the attack.
        at_once: pictures that are attacked together, where each has a change of its own.

    Returns:
        The changed crops, and what the source and each of the others makes of them.
    """
    references, step = source.embed(partners), len(images) if how.universal else at_once
    if not len(images):
        raise InvalidData("no pair to attack")
    parts = [slice(i, i + step) for i in range(0, len(images), step)]
    changed = np.concatenate([attack(network, images[p], references[p], how, seed=seed) for p in parts])
    judges = zip((source, *others), thresholds, strict=True)
    return changed, tuple(judge_attack(e, images, changed, partners, how, t) for e, t in judges)


def judge_attack(
    embedder: Embedder, images: Pixels, changed: Pixels, partners: Pixels, how: Attack, threshold: float
) -> Transfer:
    """What one file makes of pictures that were changed."""
    clean, moved, fixed = (embedder.embed(crops) for crops in (images, changed, partners))
    before, after = ((vectors * fixed).sum(axis=1) for vectors in (clean, moved))
    eligible, won = successes(before, after, how.goal, threshold)
    count, hits = int(eligible.sum()), int(won.sum())
    return Transfer(
        file=embedder.artifact.path.name,
        engine=embedder.backend,
        kind=how.kind,
        goal=how.goal,
        universal=how.universal,
        iterations=how.iterations,
        threshold=threshold,
        pairs=len(before),
        eligible=count,
        successes=hits,
        rate=hits / count if count else None,
        rate_interval=wilson(hits, count),
        before=float(before.mean()),
        after=float(after.mean()),
    )


def successes(
    before: NDArray[np.float32], after: NDArray[np.float32], goal: Goal, threshold: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(P,) pairs decided rightly before, and those of them that are decided wrongly after."""
    if goal == "dodging":
        eligible = before >= threshold
        return eligible, eligible & (after < threshold)
    eligible = before < threshold
    return eligible, eligible & (after >= threshold)


def draw_pairs(data: Data, same: bool, count: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Pairs to attack, no more than ``count``, drawn at random among those of one person or of two.

    Raises:
        InvalidData: there is no such pair, or pictures without identities and no list of pairs.
    """
    if isinstance(data, PairSet):
        pairs = data.pairs[data.same == same]
    elif any(sample.identity is None for sample in data.samples):
        raise InvalidData(f"{data.name}: not every picture names an identity; name them, or give a list of pairs")
    else:
        owners = owners_of([str(sample.identity) for sample in data.samples])
        rng, kept = np.random.default_rng(seed), [np.empty((0, 2), np.int64)]
        for rows, columns, genuine, impostor in all_pairs(owners):
            corner = np.array([rows.start, columns.start])
            found = np.argwhere(genuine if same else impostor) + corner
            kept.append(found[rng.permutation(len(found))[:count]])
        pairs = np.concatenate(kept)
    if not len(pairs):
        raise InvalidData(f"{images_of(data).name}: no pair of {'one person' if same else 'two people'} to attack")
    chosen: NDArray[np.int64] = pairs[np.random.default_rng(seed).permutation(len(pairs))[:count]]
    return chosen


def crops_of(data: Data, pairs: NDArray[np.int64], cropper: Cropper) -> tuple[Pixels, Pixels, tuple[str, ...]]:
    """Both crops of each pair that has two, and a sentence for each picture that has none.

    Raises:
        InvalidData: no pair has two.
    """
    samples = images_of(data).samples
    made = {int(i): cropper(samples[i]) for i in np.unique(pairs)}
    faults = tuple(f"{samples[i].name}: such pictures {crop}" for i, crop in made.items() if isinstance(crop, str))
    sound = {i: crop for i, crop in made.items() if not isinstance(crop, str)}
    both = [(sound[a], sound[b]) for a, b in pairs.tolist() if a in sound and b in sound]
    if not both:
        raise InvalidData(f"{images_of(data).name}: no pair with two crops; {faults[0]}")
    return np.stack([a for a, _ in both]), np.stack([b for _, b in both]), faults
