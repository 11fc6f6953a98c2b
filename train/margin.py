"""Margins on the angle to the true class: ArcFace, CosFace and what lies between.

With theta the angle between an embedding and a class centre, the logit of the true class is
``scale * (cos(m1 * theta + m2) - m3)`` and that of every other class ``scale * cos(theta)``. Sources: ArcFace
(arXiv 1801.07698, equation 4), CosFace (arXiv 1801.09414), InsightFace ``recognition/arcface_torch/losses.py``.

The published torch code computes acos and cos without autograd, so it descends as if the margin had slope 1. Here the
slope is the formula's own, ``m1 * sin(m1 * theta + m2) / sin(theta)`` with respect to cos(theta). For ArcFace that is
more than 1 below 76 degrees and less beyond; for CosFace it is 1, and both codes agree.
"""

from __future__ import annotations

import math

import msgspec
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Margin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much harder the true class is made.

    Attributes:
        m1: factor on the angle (SphereFace), at least 1.
        m2: added to the angle, radians in 0..pi (ArcFace).
        m3: taken from the cosine (CosFace).
        scale: of all logits.
        drop_above: cosine above which another class is left out of a picture's softmax, as its centre is likely the
            same person under a second label; 0.4 for sets merged or crawled without cleaning, None for never.
            InsightFace sets such a logit to 0 instead, which leaves it ahead of every obtuse one.
    """

    m1: float = 1.0
    m2: float = 0.0
    m3: float = 0.0
    scale: float = 64.0
    drop_above: float | None = None

    def __post_init__(self) -> None:
        if not (self.m1 >= 1 and 0 <= self.m2 <= math.pi and self.m3 >= 0 and 0 < self.scale < math.inf):
            raise ValueError(f"{self}: expected m1 >= 1, m2 in 0..pi, m3 >= 0 and a positive scale")


ARCFACE = Margin(m2=0.5)
COSFACE = Margin(m3=0.4)
#: Margins by the name that a recipe gives them.
MARGINS = {"arcface": ARCFACE, "cosface": COSFACE}


def cosines(embedding: Tensor, centres: Tensor) -> Tensor:
    """Cosine to each class, of several centres the nearest: (B, D), (C, K, D) -> (B, C).

    In float32 at least, also under autocast: times 64, the rounding of bfloat16 would be of the margin's size.
    """
    with torch.autocast(embedding.device.type, enabled=False):
        unit = F.normalize(at_least_float32(embedding), dim=1)
        directions = F.normalize(at_least_float32(centres), dim=2)
        every = unit @ directions.flatten(0, 1).T  # (B, C * K)
        nearest: Tensor = every.unflatten(1, centres.shape[:2]).amax(2)
        return nearest


def with_margin(cosine: Tensor, margin: Margin) -> Tensor:
    """``cos(m1 * theta + m2) - m3`` of the cosines of true classes, any shape, exact gradient.

    Past pi the formula would rise again, and its gradient push a picture away from its own class. From there on it is
    continued as SphereFace does (arXiv 1704.08063, section 3.3), so it falls over all of 0..pi.
    """
    if margin.m1 == 1 and margin.m2 == 0:
        return cosine - margin.m3
    # The slope grows without bound towards +-1, but the embedding's own part of the gradient shrinks as fast, and
    # within rounding of +-1 it has no direction. There, and only there, the gradient is zero.
    limit = 1 - torch.finfo(cosine.dtype).eps
    angle = margin.m1 * cosine.clamp(-limit, limit).acos() + margin.m2
    turns = (angle.detach() / math.pi).floor()
    return (1 - 2 * turns.remainder(2)) * angle.cos() - 2 * turns - margin.m3


def margin_logits(cosine: Tensor, label: Tensor, margin: Margin) -> Tensor:
    """Scaled logits with the margin on the true class.

    Args:
        cosine: (B, C), clamped to -1..1 here.
        label: (B,) int64 column of each picture's class; -1 where none of the columns is.
        margin: which, and how large.

    Returns:
        (B, C); -inf for a class that is left out.
    """
    cosine = cosine.clamp(-1, 1)
    rows = (label >= 0).nonzero().squeeze(1)
    true = rows, label[rows]
    logits = cosine
    if margin.drop_above is not None:
        logits = logits.masked_fill(cosine > margin.drop_above, -math.inf)
    return margin.scale * logits.index_put(true, with_margin(cosine[true], margin))


class MarginHead(nn.Module):
    """Class centres and the margin loss over all of them; thrown away after training.

    Args:
        classes: C, how many identities.
        features: D, length of the embedding.
        margin: ``ARCFACE``, ``COSFACE`` or another.
        centres: K for each identity; 3 makes it sub-centre ArcFace (see ``subcenter``).
    """

    def __init__(self, classes: int, features: int, margin: Margin = ARCFACE, centres: int = 1) -> None:
        super().__init__()
        self.margin = margin
        self.centres = nn.Parameter(initial_centres(classes, centres, features))

    def forward(self, embedding: Tensor, label: Tensor) -> Tensor:
        """Mean softmax cross entropy of (B, D) embeddings, of any length, with (B,) int64 labels."""
        return F.cross_entropy(margin_logits(cosines(embedding, self.centres), label, self.margin), label)


def initial_centres(classes: int, centres: int, features: int) -> Tensor:
    """(C, K, D) random directions, as small as in the published code, so that first steps turn them far."""
    if min(classes, centres, features) < 1:
        raise ValueError(f"expected at least 1 of each, got {classes} classes, {centres} centres, {features} features")
    return torch.randn(classes, centres, features) * 0.01


def at_least_float32(x: Tensor) -> Tensor:
    """Half precisions become float32; float64 stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
