"""Faces of nobody: two crops blended into one, which the teachers judge as well.

A student that sees the same crops round after round learns them by heart. Blends are as many new faces as one has time
to show to the teachers. Source: arXiv 2106.05237, where teacher and student see the same mixed pictures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..evaluate.data import ImageSet, Sample
from .augment import SIDE, Augmentation, warp
from .crops import CropStore, Deck

#: Blends in a store: small enough that a run which was killed has lost little of what the teachers said.
VOLUME = 8192

#: Seed of all blends. It is no setting: a run with another seed finds those that the teachers know already.
_SEED = 0

_WARP = Augmentation()


def blends(stores: Sequence[CropStore], count: int) -> Iterator[ImageSet]:
    """The first ``count`` blends of the crops of some stores, in volumes; those of a smaller count come first."""
    deck = Deck(stores, batch=2, seed=_SEED)
    origin = hashlib.sha256("\0".join(store.fingerprint for store in stores).encode()).hexdigest()
    for first in range(0, count, VOLUME):
        numbers = range(first, min(first + VOLUME, count))
        samples = tuple(Sample(f"blend {i}", partial(_blend_of, deck, i), aligned=True) for i in numbers)
        name = f"blends_{numbers.start}_{numbers.stop}"
        yield ImageSet(name, samples, hashlib.sha256(f"{origin}\0{name}".encode()).hexdigest())


def _blend_of(deck: Deck, number: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng([_SEED, number, 2])
    first, second = (warp(deck.crop(int(i)), _WARP, rng) for i in deck.draw(number))
    return blend(np.asarray(first), np.asarray(second), rng)


def blend(first: NDArray[np.uint8], second: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """One picture of two, where one passes into the other across a line.

    The line has any direction and goes near the centre. What lies between is a few pixels wide, which gives the one's
    eyes and the other's chin, or wider than the picture, which lays one over the other.

    Args:
        first: ``(112, 112, 3) uint8`` RGB, aligned.
        second: another such.
        rng: of all randomness.

    Returns:
        ``(112, 112, 3) uint8`` RGB.
    """
    angle = rng.uniform(0, 2 * np.pi)
    width = np.exp(rng.uniform(np.log(2.0), np.log(SIDE)))  # pixels in which the logit of the share rises by one
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    across = x * np.cos(angle) + y * np.sin(angle) + rng.normal() * SIDE / 8
    share = (1 / (1 + np.exp(-across / width)))[..., None].astype(np.float32)
    mixed: NDArray[np.uint8] = np.rint(first * share + second * (1 - share)).astype(np.uint8)
    return mixed
