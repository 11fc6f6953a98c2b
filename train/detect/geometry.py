"""Boxes of a batch in torch: overlaps that can be differentiated."""

from __future__ import annotations

import torch
from torch import Tensor

#: Areas and squared diagonals are at least this, so that nothing is divided by zero.
LEAST = 1e-7


def iou_rows(a: Tensor, b: Tensor) -> Tensor:
    """IoU of each box of (F, 4) with each of its own (F, N, 4), xyxy -> (F, N)."""
    a = a[:, None]
    shared = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    area_a, area_b = ((x[..., 2:] - x[..., :2]).prod(-1) for x in (a, b))
    iou: Tensor = shared / (area_a + area_b - shared).clamp(min=LEAST)
    return iou


def diou(a: Tensor, b: Tensor) -> Tensor:
    """IoU less the squared distance of the centres as a share of the squared diagonal around both; (P, 4) each -> (P,).

    Source: Zheng et al., arXiv 1911.08287.
    """
    shared = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(-1)
    area_a, area_b = ((x[:, 2:] - x[:, :2]).prod(-1) for x in (a, b))
    iou = shared / (area_a + area_b - shared).clamp(min=LEAST)
    around = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    apart = (a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) / 2
    value: Tensor = iou - apart.square().sum(-1) / around.square().sum(-1).clamp(min=LEAST)
    return value
