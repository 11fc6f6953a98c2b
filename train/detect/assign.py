"""Which priors answer for which face: those that do it best already, as many as are good.

SimOTA (YOLOX, arXiv 2107.08430; YuNet uses it) with the soft terms of RTMDet (arXiv 2212.07784): each face takes the k
priors of lowest cost, k being the sum of its ten best IoUs. ATSS, which SCRFD uses, compares anchors by their sizes;
our priors are points without one, so what the network itself says of a face is all there is to go by.

The cost adds up how far a score is from the box's IoU, how little the box overlaps, how far the prior is from the
face's centre, and [I, ours] how far the face is from the size that its level is for: a network that has learned
nothing yet says nothing sensible about levels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .geometry import iou_rows
from .losses import quality_focal

#: Faces that are matched by hardly any box still get one prior; none gets more than this.
MOST = 10
#: Weight of the IoU's logarithm in the cost. Source: SimOTA.
OVERLAP = 3.0
#: Sides of a face in strides that every level is equally good for; the cost rises by the square of octaves beyond.
CELLS = (1.5, 8.0)
#: Priors are near a face in its box, or within so many cells of its centre.
NEAR = 1.5
_NEVER = 1e6


class Assignment(NamedTuple):
    """For each of N priors of B pictures.

    Attributes:
        face: (B, N) index of the face it answers for; 0 where there is none.
        positive: (B, N) bool: whether it answers for one.
        quality: (B, N) IoU of its box with that face's, 0 elsewhere: what its score should be.
    """

    face: Tensor
    positive: Tensor
    quality: Tensor


@torch.no_grad()
def assign(
    scores: Tensor, boxes: Tensor, points: Tensor, strides: Tensor, faces: Tensor, picture: Tensor
) -> Assignment:
    """Assign priors to faces.

    Args:
        scores: (B, N) logits.
        boxes: (B, N, 4) xyxy in pixels, as decoded.
        points: (2, N) of the priors.
        strides: (N,) of them.
        faces: (F, 4) xyxy, of all pictures, those to be found.
        picture: (F,) the picture that each is in.
    """
    overlap = iou_rows(faces, boxes[picture])  # (F, N)
    centre, side = (faces[:, :2] + faces[:, 2:]) / 2, (faces[:, 2:] - faces[:, :2]).clamp(min=1.0)
    offset = (points - centre[..., None]).abs()  # (F, 2, N)
    near = (offset < torch.maximum(side[..., None] / 2, NEAR * strides)).all(1)
    cost = _cost(scores[picture], overlap, offset.square().sum(1).sqrt() / strides, side.prod(1).sqrt(), strides)
    chosen = _cheapest(cost.masked_fill(~near, _NEVER), overlap * near) & near
    return _settle(chosen, cost, overlap, picture, scores)


def _cost(scores: Tensor, overlap: Tensor, distance: Tensor, side: Tensor, strides: Tensor) -> Tensor:
    classified = quality_focal(scores, overlap)
    cells = side[:, None] / strides
    octaves = torch.log2(CELLS[0] / cells).clamp(min=0) + torch.log2(cells / CELLS[1]).clamp(min=0)
    # The finest level is for everything below its range, the coarsest for everything above.
    covered = ((strides == strides.min()) & (cells < CELLS[0])) | ((strides == strides.max()) & (cells > CELLS[1]))
    # A prior some cells away costs dear. Source: RTMDet's soft centre prior, 10 ^ (distance - 3).
    far = 10.0 ** (distance - 3.0).clamp(max=3.0)
    return classified + OVERLAP * (octaves.masked_fill(covered, 0.0).square() - overlap.clamp(min=1e-7).log()) + far


def _cheapest(cost: Tensor, overlap: Tensor) -> Tensor:
    """(F, N) bool: the k priors of least cost of each face."""
    most = min(MOST, cost.shape[1])
    k = overlap.topk(most, 1).values.sum(1).int().clamp(min=1)
    order = cost.topk(most, 1, largest=False).indices
    taken = torch.arange(most, device=cost.device) < k[:, None]
    return torch.zeros_like(cost, dtype=torch.bool).scatter(1, order, taken)


def _settle(chosen: Tensor, cost: Tensor, overlap: Tensor, picture: Tensor, like: Tensor) -> Assignment:
    """A prior that several faces of a picture chose answers for the one that it costs least."""
    cost = cost.masked_fill(~chosen, _NEVER)
    place = picture[:, None].expand_as(cost)
    least = torch.full_like(like, _NEVER).scatter_reduce(0, place, cost.to(like.dtype), "amin")
    face, prior = torch.nonzero(chosen & (cost <= least[picture]), as_tuple=True)
    where = (picture[face], prior)
    assigned = torch.zeros_like(like, dtype=torch.int64).index_put(where, face)
    positive = torch.zeros_like(like, dtype=torch.bool).index_put(where, torch.ones_like(face, dtype=torch.bool))
    quality = torch.zeros_like(like).index_put(where, overlap[face, prior].to(like.dtype))
    return Assignment(assigned, positive, quality)
