"""Boxes: overlap and non-maximum suppression, in float64 so that every language decides alike.

A box is ``(x1, y1, x2, y2)``; its area is (x2 - x1) * (y2 - y1), without the extra pixel that some add.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidGeometry

__all__ = ["iou", "nms"]

_BLOCK = 16  # candidates judged at once against all worse ones; on 2100 candidates 8 to 32 are equally fast


def iou(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Intersection over union of every box of ``a`` with every box of ``b``.

    Boxes turned inside out (x2 < x1 or y2 < y1) have no area. Where the union has no area, or a coordinate is not
    finite, the overlap is 0.

    Args:
        a: (n, 4) xyxy.
        b: (m, 4) xyxy.

    Returns:
        (n, m) float64 in 0..1: intersection / (area of a + area of b - intersection).

    Raises:
        InvalidGeometry: another shape.
    """
    a, b = _check_boxes(a), _check_boxes(b)
    with np.errstate(invalid="ignore"):
        shared, union = _overlap(a.T[:, :, None], b.T[:, None, :])
    return np.divide(shared, union, out=np.zeros_like(shared), where=(union > 0) & np.isfinite(union))


def nms(boxes: NDArray[np.floating[Any]], scores: NDArray[np.floating[Any]], iou_threshold: float) -> NDArray[np.int64]:
    """Greedy non-maximum suppression.

    Candidates are taken by falling score, equal scores by rising index. Each one taken removes all later ones that
    overlap it by more than the threshold: intersection > iou_threshold * union, in float64. A candidate whose score
    is NaN, or whose box is not finite, is never kept.

    Args:
        boxes: (n, 4) xyxy.
        scores: (n,).
        iou_threshold: 0..1.

    Returns:
        (k,) int64 indices of those kept, best first.

    Raises:
        InvalidGeometry: shapes that do not fit together, or a threshold outside 0..1.
    """
    boxes, scores = _check_boxes(boxes), np.asarray(scores, np.float64)
    if scores.shape != (len(boxes),):
        raise InvalidGeometry(f"expected one score for each of {len(boxes)} boxes, got scores of shape {scores.shape}")
    if not 0 <= iou_threshold <= 1:
        raise InvalidGeometry(f"expected an IoU threshold in 0..1, got {iou_threshold}")
    usable = np.flatnonzero(~np.isnan(scores) & np.isfinite(boxes).all(axis=1))
    order = usable[np.argsort(-scores[usable], kind="stable")]
    corners = np.ascontiguousarray(boxes[order].T)
    kept: list[int] = []
    while len(order):
        shared, union = _overlap(corners[:, :_BLOCK, None], corners[:, None, :])
        removes = shared > iou_threshold * union  # (block, all that are left)
        left = np.ones(len(order), bool)
        for i in range(len(removes)):
            if left[i]:
                kept.append(int(order[i]))
                left &= ~removes[i]
        left[:_BLOCK] = False
        order, corners = order[left], corners[:, left]
    return np.array(kept, np.int64)


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Areas of intersection and union of boxes given as (4, ...) coordinates, broadcast against each other."""
    width = np.minimum(a[2], b[2])
    width -= np.maximum(a[0], b[0])
    height = np.minimum(a[3], b[3])
    height -= np.maximum(a[1], b[1])
    shared = np.maximum(width, 0, out=width)
    shared *= np.maximum(height, 0, out=height)
    return shared, _area(a) + _area(b) - shared


def _area(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    area: NDArray[np.float64] = np.maximum(corners[2] - corners[0], 0) * np.maximum(corners[3] - corners[1], 0)
    return area


def _check_boxes(boxes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    boxes = np.asarray(boxes, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InvalidGeometry(f"expected boxes (n, 4) xyxy, got shape {boxes.shape}")
    return boxes
