"""What the detector's answers cost, task by task, and how the tasks are weighed. All in float32."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .geometry import diou

#: Distances of landmarks, as shares of the face's side, below which the loss is a parabola.
FINE = 0.02
_TINY = 1e-8


def quality_focal(logits: Tensor, quality: Tensor) -> Tensor:
    """Cross entropy to the box's IoU, weighted by the square of how far the score is from it; elementwise.

    ``|q - p|^2 * -((1 - q) log(1 - p) + q log p)``. Source: arXiv 2006.04388, beta = 2.
    """
    cross = F.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    return (quality - logits.sigmoid()).square() * cross


def box_loss(boxes: Tensor, faces: Tensor) -> Tensor:
    """``1 - DIoU`` of (P, 4) and (P, 4), elementwise."""
    return 1 - diou(boxes, faces)


def landmark_loss(found: Tensor, marked: Tensor, side: Tensor) -> Tensor:
    """Mean over (P, 5, 2) of smooth L1 of distances as shares of the face's side (P,); (P,).

    Linear from ``FINE`` on: a parabola as wide as detectors use, 1/9, hardly pulls where errors are a hundredth.
    """
    difference = (found - marked) / side[:, None, None]
    return F.smooth_l1_loss(difference, torch.zeros_like(difference), beta=FINE, reduction="none").mean((1, 2))


def pose_loss(found: Tensor, known: Tensor) -> Tensor:
    """Angle in radians of the rotation between (P, 3, 3) and (P, 3, 3); (P,).

    ``2 arcsin(|A - B| / sqrt 8)``, which equals the arccos of 6DRepNet (arXiv 2202.12555), also at small angles.
    """
    chord = ((found - known).square().sum((1, 2)) / 8 + _TINY).sqrt()
    return 2 * torch.arcsin(chord.clamp(max=1 - 1e-4))


class Uncertainty(nn.Module):
    """Learnt weights of tasks: ``sum_t w_t (exp(-s_t) L_t + s_t) / 2``, ``s_t`` learnt. Source: arXiv 1705.07115.

    At its best ``s_t = log L_t``, so the sum comes down to that of ``w_t log L_t / 2``: each task is pulled by what
    share of its loss can be saved, in whatever unit it comes. ``w_t`` says what a task is worth to us.
    """

    def __init__(self, worth: Mapping[str, float], typical: Mapping[str, float] | None = None) -> None:
        """``worth`` by task, and the ``typical`` loss of each, at whose logarithm its ``s_t`` starts; else at 0."""
        super().__init__()
        self.worth = dict(worth)
        starts = {name: math.log((typical or {}).get(name, 1.0)) for name in worth}
        self.log_variance = nn.ParameterDict(
            {name: nn.Parameter(torch.tensor(start)) for name, start in starts.items()}
        )

    def forward(self, losses: dict[str, Tensor]) -> Tensor:
        """Scalars by task -> one scalar; a task without a loss in this batch is left out."""
        terms = [
            self.worth[name] * (torch.exp(-self.log_variance[name]) * loss + self.log_variance[name]) / 2
            for name, loss in losses.items()
        ]
        return torch.stack(terms).sum()
