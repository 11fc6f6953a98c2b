"""Quantization-aware training: a recogniser learns to answer in 8 bits as it does in float.

The float network itself is the teacher, so crops are all that is needed: no identities, no other network. What is
learnt are weights that lose less when they and the activations are rounded, and the ranges of the activations; both
go into the files. Source: Jacob et al. 2018 (arXiv 1712.05877) for rounding in the forward pass with the gradient
passed on.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..artifact import digest
from ..errors import InvalidData, InvalidModel
from ..evaluate.data.digest import digest_of
from ..models import model_spec, reparameterize
from ..models.checkpoint import load_weights
from ..models.equalize import equalize
from .augment import Augmentation, augment
from .crops import Deck
from .distill import cosine_loss, to_input
from .fake_quantize import fake_quantize, ranges_of
from .recipes import QuantizationAware
from .record import Record


def rounding(recipe: QuantizationAware, network: nn.Module, weights: Path | None, deck: Deck) -> Rounding:
    """The task of a recipe.

    Args:
        recipe: what and how.
        network: of the recipe, in training form and eval mode.
        weights: its trained ones.
        deck: the crops.

    Raises:
        InvalidModel: not a recogniser, or weights that are not its own.
        InvalidData: no weights.
    """
    if model_spec(recipe.network).task != "recognition":
        raise InvalidModel(f"{recipe.network} is no recogniser; only embeddings are taught to answer in 8 bits")
    if not weights:
        raise InvalidData("what learns to be quantized is a trained recogniser: name its weights with --weights")
    load_weights(network, weights)
    deployed, example = reparameterize(network), images_of(deck, recipe.augmentation, 0)
    if recipe.equalize:
        deployed = equalize(deployed, example)
    return Rounding(deployed, example, deck, recipe.augmentation, recipe.pace)


def record_of(recipe: QuantizationAware, weights: Path, deck: Deck, task: Rounding) -> Record:
    """What a run's weights came from, what they are trained on, and which ranges go with them."""
    drawn = np.unique(np.concatenate([deck.draw(step) for step in range(recipe.settings.steps)]))
    return Record(
        network=recipe.network,
        began=digest(weights)[0],
        steps=recipe.settings.steps,
        data=tuple(store.fingerprint for store in deck.stores),
        digests=tuple(digest_of(deck.crop(int(number))) for number in drawn),
        people=tuple(sorted({name for store in deck.stores for name in store.identities})),
        ranges=task.ranges(),
    )


def images_of(deck: Deck, augmentation: Augmentation, step: int) -> Tensor:
    """(B, 3, 112, 112) float32 in -1..1: the crops of a step, changed as phones would."""
    rng = np.random.default_rng([deck.seed, deck.rank, step, 1])
    return to_input(np.stack([augment(deck.crop(int(number)), augmentation, rng) for number in deck.draw(step)]))


class Rounded(nn.Module):
    """A network that rounds, beside the same network that does not."""

    def __init__(self, teacher: nn.Module, student: nn.Module) -> None:
        super().__init__()
        self.teacher, self.student = teacher.requires_grad_(False), student

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``image`` (B, 3, 112, 112) in -1..1 to the loss, the mean of 1 - cosine between the two embeddings."""
        with torch.no_grad():
            wanted = self.teacher(batch["image"]).float()
        return {"loss": cosine_loss(self.student(batch["image"]).float(), wanted)}


class Rounding:
    """The task, see :class:`~pocketface.train.loop.Task`.

    Args:
        deployed: the folded network; it learns.
        example: a batch of what it takes.
        deck: the crops.
        augmentation: of them.
        pace: how many times faster than weights ranges learn.
    """

    def __init__(
        self, deployed: nn.Module, example: Tensor, deck: Deck, augmentation: Augmentation, pace: float
    ) -> None:
        teacher = copy.deepcopy(deployed)
        self._student = fake_quantize(deployed, example, pace)
        self.network: nn.Module = Rounded(teacher, self._student)
        self._deployed, self._deck, self._augmentation = deployed, deck, augmentation

    def batch(self, step: int) -> dict[str, Tensor]:
        """``image`` (B, 3, 112, 112) float32 in -1..1."""
        return {"image": images_of(self._deck, self._augmentation, step)}

    def weights(self) -> nn.Module:
        """The folded network, which shares its parameters with the one that rounds."""
        return self._deployed

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Node of the exported network -> the least and the greatest value that it is rounded between."""
        return ranges_of(self._student)

    def observe(self, step: int, losses: Mapping[str, float]) -> None:
        """Nothing depends on the losses."""
