"""The task of learning the index of recognizability, from its recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InvalidData, InvalidModel
from ..models.recognizability import Recognizable, load_trunk
from .crops import Deck
from .ranks import Ranks
from .recipes import Recognizability
from .recognizability import Floats, Judge, Seen
from .seen import see


def judging(
    recipe: Recognizability,
    model: nn.Module,
    weights: Path | None,
    deck: Deck,
    targets: Floats,
    ranks: Ranks,
    work: Callable[[str, int, int], None],
) -> Judging:
    """The task of a recipe.

    Args:
        recipe: what and how.
        model: the network of the recipe, in eval mode; its index is as it begins.
        weights: of its trunk.
        deck: the crops.
        targets: ``(len(deck), D)`` what the teachers say of each.
        ranks: the processes.
        work: told about the crops that the trunk is shown.

    Raises:
        InvalidModel: a network without an index, or weights that are not its trunk's.
        InvalidData: no weights, or too few crops.
    """
    if not isinstance(model, Recognizable):
        raise InvalidModel(f"{recipe.network} has no index of recognizability; expected a network like *_ri")
    if not weights:
        raise InvalidData("an index of recognizability needs a trained recogniser: name its weights with --weights")
    load_trunk(model, weights)
    seen = see(
        model,
        deck,
        targets,
        recipe.augmentation,
        crops=recipe.crops,
        copies=recipe.copies,
        ruined=recipe.ruined,
        epsilon=recipe.epsilon,
        progress=lambda done, total: work("showing crops to the recogniser", done, total),
    )
    judge = Judge(
        model,
        seen.nowhere,
        diversion=recipe.diversion,
        attention=recipe.attention,
        tau=recipe.tau,
        dropout=recipe.dropout,
    )
    return Judging(model, seen, judge, recipe.batch, seed=recipe.settings.seed, rank=ranks.index)


class Judging:
    """The task, see :class:`~pocketface.train.loop.Task`.

    Args:
        model: in eval mode; only its index changes.
        seen: what its trunk sees.
        judge: the losses around its index.
        batch: crops per process and step.
        seed, rank: of the choice of crops.
    """

    def __init__(
        self, model: Recognizable, seen: Seen, judge: Judge, batch: int, *, seed: int = 0, rank: int = 0
    ) -> None:
        self.network: nn.Module = judge
        self._model, self._seen, self._batch, self._seed, self._rank = model, seen, batch, seed, rank

    def batch(self, step: int) -> dict[str, Tensor]:
        """Crops drawn at random."""
        rng, seen = np.random.default_rng([self._seed, self._rank, step]), self._seen
        chosen = rng.integers(len(seen.index), size=self._batch)
        return {
            "map": torch.from_numpy(seen.maps[chosen]).float(),
            "vector": torch.from_numpy(seen.vectors[chosen]),
            "index": torch.from_numpy(seen.index[chosen]),
            "unrecognizable": torch.from_numpy(seen.unrecognizable[chosen]),
        }

    def weights(self) -> nn.Module:
        """The recogniser with its index, without the attention's own embedding."""
        return self._model

    def observe(self, step: int, losses: Mapping[str, float]) -> None:
        """Nothing depends on the losses."""
