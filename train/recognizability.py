"""How far can a face be recognised? An index that a recogniser learns to tell from its own last map.

A face is easy where its embedding is near to its own prototype, far from everyone else's, and far from where all
unrecognisable faces end up. The recogniser itself is frozen, so its embeddings stay what they were, and what it sees of
each crop is computed once. Nobody labels anything: a crop is shown as it is and spoiled, and the prototypes are what
better recognisers say of it unspoiled.

Source: VLRFR (CVPR 2023, arXiv 2304.10066), whose equations are given here as far as they are known; the scale 0..1,
the form of the diversion loss and epsilon are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..models.recognizability import Recognizable

Floats = NDArray[np.float32]

#: Of SmoothL1, in the paper.
BETA = 0.75
_AT_ONCE = 4096  # crops whose cosines with all prototypes are in memory


@dataclass(frozen=True, eq=False)
class Seen:
    """What a recogniser sees of crops, some of them unrecognisable, and how far each can be recognised.

    Attributes:
        maps: ``(N, C, H, W) float16``, its last map.
        vectors: ``(N, D) float32``, its embeddings, of length 1.
        unrecognizable: ``(N,) bool`` crops that nobody could recognise.
        index: ``(N,) float32`` in 0..1.
    """

    maps: NDArray[np.float16]
    vectors: Floats
    unrecognizable: NDArray[np.bool_]
    index: Floats

    @property
    def nowhere(self) -> Floats:
        """``(D,)`` of length 1: where unrecognisable faces end up."""
        return mean_direction(self.vectors[self.unrecognizable])


def mean_direction(vectors: Floats) -> Floats:
    """``(D,)`` of length 1: the mean of ``(N, D)`` embeddings of length 1."""
    mean = vectors.mean(0, dtype=np.float64)
    direction: Floats = (mean / np.linalg.norm(mean)).astype(np.float32)
    return direction


def prototypes_of(targets: Floats, labels: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """One prototype per identity, the mean of its targets; a crop of an unknown identity (-1) is its own.

    Args:
        targets: ``(N, D)``, rows of length 1.
        labels: ``(N,)``.

    Returns:
        ``(P, D)`` of length 1, and for each crop the number of its own.
    """
    alone = labels < 0
    keys = np.where(alone, labels.max(initial=-1) + 1 + np.arange(len(labels)), labels)
    _, own = np.unique(keys, return_inverse=True)
    sums = np.zeros((own.max() + 1, targets.shape[1]), np.float64)
    np.add.at(sums, own, targets)
    prototypes: Floats = (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)
    return prototypes, own.astype(np.int64)


def recognizability(
    vectors: Floats, own: NDArray[np.int64], prototypes: Floats, nowhere: Floats, epsilon: float
) -> Floats:
    """``d_UI d_N / (d_P + epsilon)`` of the paper, where each d is 1 less a cosine.

    d_P is the distance to the own prototype, d_N to the nearest other one, d_UI to where unrecognisable faces are.

    Args:
        vectors: ``(N, D)``, rows of length 1.
        own: ``(N,)`` numbers of their prototypes.
        prototypes: ``(P, D)``, at least two.
        nowhere: ``(D,)``.
        epsilon: bounds the index of a perfect embedding.

    Returns:
        ``(N,)``, at least 0.
    """
    found = []
    for first in range(0, len(vectors), _AT_ONCE):
        part, mine = vectors[first : first + _AT_ONCE], own[first : first + _AT_ONCE]
        cosines, rows = part @ prototypes.T, np.arange(len(part))
        to_own = 1 - cosines[rows, mine]
        cosines[rows, mine] = -1
        found.append((1 - part @ nowhere) * (1 - cosines.max(1)) / (to_own + epsilon))
    index: Floats = np.concatenate(found).clip(min=0)
    return index


def bounded(index: Floats) -> Floats:
    """0..infinity -> 0..1, in the same order: x / (1 + x), the odds that a logistic output has as its exponent."""
    scaled: Floats = index / (1 + index)
    return scaled


def diversion_loss(index: Tensor, unrecognizable: Tensor, tau: float) -> Tensor:
    """Mean of ``max(0, tau - (index - mean_UI) / deviation_UI)`` over the faces that can be recognised.

    Their index shall be outside of what unrecognisable faces of the same batch get, by ``tau`` standard deviations.

    Args:
        index: (B,).
        unrecognizable: (B,) bool; with fewer than two of either kind, the loss is 0.
        tau: of the confidence interval.
    """
    bad, good = index[unrecognizable], index[~unrecognizable]
    if len(bad) < 2 or len(good) < 1:
        return index.sum() * 0
    mean, deviation = bad.mean(), bad.std(correction=0).clamp(min=1e-2)
    return F.relu(tau - (good - mean) / deviation).mean()


def pushed(vectors: Tensor, nowhere: Tensor) -> Tensor:
    """(B, D) embeddings of length 1 without their part along (D,) ``nowhere``: what only a recognisable face has."""
    return vectors - (vectors @ nowhere)[:, None] * nowhere


class Judge(nn.Module):
    """The index with its losses, and the attention's own embedding, which no one needs after training.

    Args:
        model: whose index learns; nothing else of it does.
        width: C of the maps.
        size: D of the embeddings.
        nowhere: (D,), see :class:`Seen`.
        diversion, attention: weights of the losses beside that of the index.
        tau: see :func:`diversion_loss`.
        dropout: share of what the attention sees that is left out.
    """

    nowhere: Tensor

    def __init__(
        self, model: Recognizable, nowhere: Floats, *, diversion: float, attention: float, tau: float, dropout: float
    ) -> None:
        super().__init__()
        self.quality = model.quality
        self.embedding = nn.Linear(model.quality.hidden.l.in_features, len(nowhere))
        self.dropout = nn.Dropout(dropout)
        self.diversion, self.attention, self.tau = diversion, attention, tau
        self.register_buffer("nowhere", torch.from_numpy(nowhere))

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``map`` (B, C, H, W), ``vector`` (B, D), ``index`` (B,), ``unrecognizable`` (B,) to the losses."""
        seen = self.quality.attention(batch["map"])
        said = self.quality.judge(self.dropout(seen))[:, 0].float()
        index = F.smooth_l1_loss(said, batch["index"], beta=BETA)
        diversion = diversion_loss(said, batch["unrecognizable"], self.tau)
        attention = F.mse_loss(self.embedding(seen).float(), pushed(batch["vector"], self.nowhere))
        loss = index + self.diversion * diversion + self.attention * attention
        return {"loss": loss, "index": index, "diversion": diversion, "attention": attention}
