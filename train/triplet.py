"""FaceNet's triplets: semi-hard negatives for all pairs of a batch, and harmonic training between two networks.

Source: arXiv 1503.03832, sections 3.1, 3.2 and 5.6. Embeddings are taken at length 1, distances squared Euclidean.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .margin import at_least_float32

#: By how much a negative has to be farther than a positive, squared Euclidean.
MARGIN = 0.2


def triplet_loss(embedding: Tensor, label: Tensor, margin: float = MARGIN) -> Tensor:
    """``mean([|a - p|^2 - |a - n|^2 + margin]_+)`` over all anchors and positives of the batch.

    Of the negatives farther from the anchor than the positive is, but by less than the margin, the nearest is taken;
    a pair that has none adds 0.

    Args:
        embedding: (B, D), any length.
        label: (B,) int64; wants several pictures of each identity.
        margin: squared Euclidean.

    Returns:
        The loss; 0 if there is no triplet.
    """
    return _over_triplets(embedding, embedding, label, label, margin)


def harmonic_loss(new: Tensor, old: Tensor, label: Tensor, margin: float = MARGIN) -> Tensor:
    """The same with positives and negatives from two networks, so that the new one can be compared with the old.

    Args:
        new: (B, D) of the network that learns; the anchors, and half of what they are compared with.
        old: (B, D) of the same pictures, from the network whose embeddings are already stored; gets no gradient.
        label: (B,) int64.
        margin: squared Euclidean.
    """
    return _over_triplets(new, torch.cat([new, old.detach().to(new.dtype)]), label, label.repeat(2), margin)


def _over_triplets(anchor: Tensor, other: Tensor, label: Tensor, other_label: Tensor, margin: float) -> Tensor:
    """``other`` begins with the anchors themselves, in their order."""
    with torch.autocast(anchor.device.type, enabled=False):
        a, b = F.normalize(at_least_float32(anchor)), F.normalize(at_least_float32(other))
        distance = 2 - 2 * a @ b.T  # (B, M) squared Euclidean, on the unit sphere
    same = label[:, None] == other_label
    itself = torch.eye(*same.shape, dtype=torch.bool, device=same.device)
    who, positive = (same & ~itself).nonzero(as_tuple=True)
    near = distance[who, positive][:, None]  # (P, 1)
    far = distance[who].masked_fill(same[who], math.inf)  # (P, M), to negatives
    far = far.masked_fill(far <= near, math.inf).amin(1, keepdim=True)
    hinge = (near - far + margin).clamp_min(0)  # 0 where no negative is farther, or none within the margin
    return hinge.sum() / max(len(hinge), 1)


class TripletHead(nn.Module):
    """:func:`triplet_loss` where a margin head may stand; it has no centres."""

    def __init__(self, margin: float = MARGIN) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, embedding: Tensor, label: Tensor) -> Tensor:
        """(B, D), (B,) int64 -> loss."""
        return triplet_loss(embedding, label, self.margin)
