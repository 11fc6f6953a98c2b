"""Distillation: a student learns to give the embeddings that teachers give, of what a phone would see of the same crop.

The teachers see each crop as it is, the student a changed copy: so it learns their embedding and to keep it in bad
light at once. SynthDistill (arXiv 2308.14852) trains by the same cosine on generated people.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from .augment import Augmentation, augment
from .crops import Deck
from .speed import quicken


def cosine_loss(student: Tensor, target: Tensor) -> Tensor:
    """``mean(1 - cos)`` of (B, D) embeddings, each with its own target."""
    return (1 - F.cosine_similarity(student, target)).mean()


def relational_loss(student: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of the cosines of all pairs of two crops of a batch, (B, D) each.

    Verification sees nothing but these. Source: relational knowledge distillation, arXiv 1904.05068, with the cosine
    as the relation and no scale to divide out.
    """
    said, wanted = (F.normalize(x) @ F.normalize(x).T for x in (student, target))
    apart = ~torch.eye(len(student), dtype=torch.bool, device=student.device)
    return F.mse_loss(said[apart], wanted[apart])


class Student(nn.Module):
    """A recogniser with the losses that teach it."""

    def __init__(self, backbone: nn.Module, relational: float) -> None:
        super().__init__()
        self.backbone = quicken(backbone)
        self.relational = relational

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``image`` (B, 3, 112, 112) in -1..1 and ``target`` (B, D) to the losses."""
        said = self.backbone(batch["image"].contiguous(memory_format=torch.channels_last)).float()
        cosine, relational = cosine_loss(said, batch["target"]), relational_loss(said, batch["target"])
        return {"loss": cosine + self.relational * relational, "cosine": cosine, "relational": relational}


class Distillation:
    """The task, see :class:`~pocketface.train.loop.Task`.

    Args:
        backbone: of the student.
        deck: the crops.
        targets: ``(len(deck), D) float32``, what the student shall say of each.
        augmentation: of the student's crops.
        relational: weight of :func:`relational_loss` beside :func:`cosine_loss`.
    """

    def __init__(
        self,
        backbone: nn.Module,
        deck: Deck,
        targets: NDArray[np.float32],
        augmentation: Augmentation,
        relational: float = 1.0,
    ) -> None:
        self.network: nn.Module = Student(backbone, relational)
        self._backbone, self._deck, self._targets, self._augmentation = backbone, deck, targets, augmentation

    def batch(self, step: int) -> dict[str, Tensor]:
        """``image`` (B, 3, 112, 112) float32 in -1..1 and ``target`` (B, D)."""
        chosen = self._deck.draw(step)
        rng = np.random.default_rng([self._deck.seed, self._deck.rank, step, 1])
        crops = np.stack([augment(self._deck.crop(int(i)), self._augmentation, rng) for i in chosen])
        return {"image": to_input(crops), "target": torch.from_numpy(self._targets[chosen])}

    def weights(self) -> nn.Module:
        """The student alone."""
        return self._backbone

    def observe(self, step: int, losses: Mapping[str, float]) -> None:
        """Nothing depends on the losses."""


def to_input(crops: NDArray[np.uint8]) -> Tensor:
    """``(B, 112, 112, 3) uint8`` RGB as the networks of ``models/`` take it: (B, 3, 112, 112) in -1..1."""
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float() * (1 / 127.5) - 1
