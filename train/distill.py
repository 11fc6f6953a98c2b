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


def similarity_loss(student: Tensor, target: Tensor, bank: Tensor, scale: float = 12.0) -> Tensor:
    """How differently a crop is likened to a bank of other crops: ``KL(teacher || student) / scale``.

    With the cosine alone a student that is not sure answers the mean of all faces, and everyone resembles everyone;
    here that costs, for its own target must be nearer than thousands of others.

    Args:
        student: (B, D) embeddings.
        target: (B, D) of the same crops by the teacher, length 1.
        bank: (K, D) the teacher's of other crops, length 1.
        scale: of the cosines before the softmax, the inverse of a temperature.

    Source: SEED, arXiv 2101.04731, with the bank drawn anew at each step.
    """
    bank = torch.cat([target, bank])
    said, wanted = (torch.log_softmax(scale * x @ bank.T, 1) for x in (F.normalize(student), target))
    return F.kl_div(said, wanted, log_target=True, reduction="batchmean") / scale


class Student(nn.Module):
    """A recogniser with the losses that teach it."""

    def __init__(self, backbone: nn.Module, relational: float, similarity: float) -> None:
        super().__init__()
        self.backbone = quicken(backbone)
        self.relational, self.similarity = relational, similarity

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``image`` (B, 3, 112, 112) in -1..1, ``target`` (B, D) and ``bank`` (K, D) to the losses."""
        said, target = (
            self.backbone(batch["image"].contiguous(memory_format=torch.channels_last)).float(),
            batch["target"],
        )
        losses = {"cosine": cosine_loss(said, target)}
        with torch.autocast(said.device.type, enabled=False):
            if self.relational:
                losses["relational"] = relational_loss(said, target)
            if self.similarity:
                losses["similarity"] = similarity_loss(said, target, batch["bank"])
        weights = {"cosine": 1.0, "relational": self.relational, "similarity": self.similarity}
        return {
            "loss": sum((weights[name] * loss for name, loss in losses.items()), torch.zeros_like(losses["cosine"])),
            **losses,
        }


class Distillation:
    """The task, see :class:`~pocketface.train.loop.Task`.

    Args:
        backbone: of the student.
        deck: the crops.
        targets: ``(len(deck), D) float32``, what the student shall say of each.
        augmentation: of the student's crops.
        relational: weight of :func:`relational_loss` beside :func:`cosine_loss`.
        similarity: weight of :func:`similarity_loss` beside it.
        bank: number of other crops in the latter.
    """

    def __init__(
        self,
        backbone: nn.Module,
        deck: Deck,
        targets: NDArray[np.float32],
        augmentation: Augmentation,
        relational: float = 1.0,
        similarity: float = 0.0,
        bank: int = 4096,
    ) -> None:
        self.network: nn.Module = Student(backbone, relational, similarity)
        self._bank = min(bank, len(targets)) if similarity else 0
        self._backbone, self._deck, self._targets, self._augmentation = backbone, deck, targets, augmentation

    def batch(self, step: int) -> dict[str, Tensor]:
        """``image`` (B, 3, 112, 112) float32 in -1..1, ``target`` (B, D) and ``bank`` (K, D)."""
        chosen = self._deck.draw(step)
        rng = np.random.default_rng([self._deck.seed, self._deck.rank, step, 1])
        crops = np.stack([augment(self._deck.crop(int(i)), self._augmentation, rng) for i in chosen])
        others = rng.choice(len(self._targets), self._bank, replace=False)
        target, bank = (torch.from_numpy(self._targets[numbers]) for numbers in (chosen, others))
        return {"image": to_input(crops), "target": target, "bank": bank}

    def weights(self) -> nn.Module:
        """The student alone."""
        return self._backbone

    def observe(self, step: int, losses: Mapping[str, float]) -> None:
        """Nothing depends on the losses."""


def to_input(crops: NDArray[np.uint8]) -> Tensor:
    """``(B, 112, 112, 3) uint8`` RGB as the networks of ``models/`` take it: (B, 3, 112, 112) in -1..1."""
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float() * (1 / 127.5) - 1
