"""From crops to what the index of recognizability learns from: each crop as it is, spoiled, and some of them ruined."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ..errors import InvalidData
from ..evaluate.corruptions import CORRUPTIONS
from ..models import reparameterize
from ..models.recognizability import Recognizable
from ..models.trunk import FaceLiVT
from .augment import SIDE, Augmentation, Pixels, augment
from .crops import Deck
from .distill import to_input
from .recognizability import Floats, Seen, bounded, mean_direction, prototypes_of, recognizability

#: Told how many crops are seen, and of how many.
Progress = Callable[[int, int], None]

#: Three of these at once leave nothing of a face; each goes beyond the strongest of ``evaluate.corruptions``.
RUIN = {"resolution": 8.0, "blur": 9.0, "noise": 110.0, "dark": -6.5, "occlusion": 0.7, "jpeg": 3.0}
_TOGETHER = 3
_AT_ONCE = 32


def ruin(crop: Pixels, rng: np.random.Generator) -> Pixels:
    """A crop that nobody could recognise."""
    for kind in rng.permutation(list(RUIN))[:_TOGETHER]:
        crop = CORRUPTIONS[str(kind)].change(crop, RUIN[str(kind)], rng)
    return crop


def see(
    model: Recognizable,
    deck: Deck,
    targets: Floats,
    how: Augmentation,
    *,
    crops: int,
    copies: int,
    ruined: float,
    epsilon: float,
    progress: Progress = lambda done, total: None,
) -> Seen:
    """Show crops to a recogniser, and say of each how far it can be recognised.

    Args:
        model: the recogniser, in eval mode.
        deck: the crops.
        targets: ``(len(deck), D)`` what a better recogniser says of each, rows of length 1; the prototypes are their
            means over known identities.
        how: the spoiled copies are made.
        crops: at most so many, drawn at random.
        copies: spoiled ones, of each.
        ruined: share of the crops that are shown ruined as well.
        epsilon: see :func:`~pocketface.train.recognizability.recognizability`.
        progress: told about the crops shown.

    Raises:
        InvalidData: too few crops for two prototypes, or for a mean of unrecognisable ones.
    """
    chosen = np.sort(np.random.default_rng([deck.seed, 2]).permutation(len(deck))[:crops])
    prototypes, own = prototypes_of(targets[chosen], deck.labels()[chosen])
    bad = np.arange(round(ruined * len(chosen)))
    if len(prototypes) < 2 or not len(bad):
        raise InvalidData(f"{len(chosen)} crops of {len(prototypes)} people, {len(bad)} of them ruined: too few")
    who = np.concatenate([np.tile(np.arange(len(chosen)), 1 + copies), bad])
    kinds = np.repeat([*range(1 + copies), -1], [*[len(chosen)] * (1 + copies), len(bad)])

    def shown() -> Iterator[Pixels]:
        for kind, one in zip(kinds.tolist(), who.tolist(), strict=True):
            number = int(chosen[one])
            rng = np.random.default_rng([deck.seed, number, kind + 1, 3])
            yield _shown(deck.crop(number), kind, how, rng)

    maps, vectors = _answers(model, shown(), len(who), progress)
    unrecognizable = kinds < 0
    nowhere = mean_direction(vectors[unrecognizable])
    index = recognizability(vectors, own[who], prototypes, nowhere, epsilon)
    return Seen(maps, vectors, unrecognizable, bounded(index))


def _shown(crop: Pixels, kind: int, how: Augmentation, rng: np.random.Generator) -> Pixels:
    """As it is (0), ruined (-1), or spoiled in one of many ways."""
    if kind > 0:
        return augment(crop, how, rng)
    plain: Pixels = np.asarray(Image.fromarray(crop).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    return plain if kind == 0 else ruin(plain, rng)


@torch.no_grad()
def _answers(
    model: Recognizable, crops: Iterator[Pixels], total: int, progress: Progress
) -> tuple[NDArray[np.float16], Floats]:
    """Last maps and unit embeddings of crops, by the folded network, which is the faster one."""
    trunk = reparameterize(model.trunk)
    assert isinstance(trunk, FaceLiVT)
    maps: list[NDArray[np.float16]] = []
    vectors: list[Floats] = []
    for first in range(0, total, _AT_ONCE):
        batch = [next(crops) for _ in range(min(_AT_ONCE, total - first))]
        last = trunk.last_map(to_input(np.stack(batch)))
        maps.append(last.half().numpy())
        vectors.append(torch.nn.functional.normalize(trunk.embed(last)).numpy())
        progress(first + len(batch), total)
    return np.concatenate(maps), np.concatenate(vectors)
