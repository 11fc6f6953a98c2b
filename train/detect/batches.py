"""Batches of the detector: crops of scenes as tensors, a function of the seed, the step and the feedback."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .crop import mirror, mosaic, random_crop
from .feedback import Feedback
from .hide import hidden
from .holdout import held_out
from .light import disturbed
from .scenes import Scene, SceneStore
from .tilt import tilted

#: Scales of the pictures in mosaics: those that the feedback asks for have small faces, the others have many.
SMALL, DENSE = 0.5, 0.75


class Batches:
    """Draws scenes, and crops them.

    Args:
        store: the scenes; held-out ones are never drawn.
        size: crops in a batch.
        side: of a crop.
        shares: how often a crop is of each source; sources that are not named share what is left, by their size.
        feedback: what the losses ask for; None for none.
        dense: share of crops that are mosaics anyway: four times the faces at the same cost.
        seed: of all randomness.
        rank: of this process among all that train.
        hide: shares of faces with masks and with things before them, see :func:`~.hide.hidden`.
    """

    def __init__(
        self,
        store: SceneStore,
        size: int,
        side: int,
        shares: Mapping[str, float],
        feedback: Feedback | None = None,
        dense: float = 0.0,
        seed: int = 0,
        rank: int = 0,
        hide: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self._store, self._size, self._side = store, size, side
        self._feedback, self._dense, self._seed, self._rank = feedback, dense, seed, rank
        self._hide = hide
        self._open = np.flatnonzero([not held_out(name) for name in store.names])
        self._weights = _weights(np.array(store.sources)[self._open], shares)

    def __call__(self, step: int) -> dict[str, Tensor]:
        """The batch of a step, see :func:`collate`."""
        rng = np.random.default_rng((self._seed, self._rank, step))
        small = self._feedback is not None and self._feedback.wants_small
        return collate([self._crop(rng, small) for _ in range(self._size)])

    def _crop(self, rng: np.random.Generator, small: bool) -> Scene:
        zoom = SMALL if small else DENSE if rng.random() < self._dense else None
        scenes = [self._store[int(i)] for i in rng.choice(self._open, 4 if zoom else 1, p=self._weights)]
        crop = mosaic(scenes, self._side, rng, zoom) if zoom else random_crop(scenes[0], self._side, rng)
        crop = hidden(tilted(mirror(crop) if rng.random() < 0.5 else crop, rng), *self._hide, rng)
        if self._feedback is not None:
            crop = self._feedback.pasted(crop, rng)
        return crop.moved(disturbed(crop.image, rng), 1.0)


def _weights(sources: NDArray[np.str_], shares: Mapping[str, float]) -> NDArray[np.float64]:
    """The probability of each scene."""
    count = {str(source): int((sources == source).sum()) for source in np.unique(sources)}
    named = {source: share for source, share in shares.items() if source in count}
    others = sum(n for source, n in count.items() if source not in named)
    left = max(0.0, 1.0 - sum(named.values())) if others else 0.0
    weights = np.array([named[s] / count[s] if s in named else left / others for s in map(str, sources)])
    normalised: NDArray[np.float64] = weights / weights.sum()
    return normalised


def collate(scenes: list[Scene]) -> dict[str, Tensor]:
    """Scenes of one size as tensors.

    Returns:
        ``image`` (B, 3, H, W) uint8; and of the F faces of all pictures together ``picture`` (F,) the number of the
        one it is in, ``boxes`` (F, 4), ``ignore`` (F,) bool, ``landmarks`` (F, 5, 2) and ``rotations`` (F, 3, 3), NaN
        where unknown.
    """
    images = torch.from_numpy(np.stack([one.image for one in scenes])).permute(0, 3, 1, 2)
    picture = np.repeat(np.arange(len(scenes)), [len(one.boxes) for one in scenes])
    faces = {
        key: torch.from_numpy(np.concatenate([getattr(one, key) for one in scenes]))
        for key in ("boxes", "ignore", "landmarks", "rotations")
    }
    return {"image": images, "picture": torch.from_numpy(picture), **faces}
