"""From the raw answers of a detector to faces in pixels: priors, boxes, landmarks and rotations.

One prior per cell: a point without a size of its own. The cell of stride s in row i and column j stands for the pixel
``((j + 0.5) s - 0.5, (i + 0.5) s - 0.5)``: it covers s x s pixels, and ``(0, 0)`` is the centre of the top-left one.
Finer strides come before coarser ones, and within a stride rows before columns.

All this is plain arithmetic that every format has, within the range of float16.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

#: Pixels per cell of the three levels.
STRIDES = (8, 16, 32)
#: Largest logarithm of a side in strides, either way: exp(5) x 32 is a face of 4749 pixels, and float16 can hold it.
MAX_LOG_SIDE = 5.0
#: Least divisor, and least square under a root; the next smaller power of ten is subnormal in float16.
LEAST = 1e-4


class Raw(NamedTuple):
    """What the network says of each of N priors, before any decoding; training's losses read this.

    Attributes:
        score: (B, N) logit of how good the box is: the IoU that it has with a face, 0 where there is none.
        box: (B, N, 4) offset (x, y) of the box's centre from the prior in strides, then log(width, height in strides).
        landmarks: (B, N, 10) offsets of the five points from the prior in strides, x before y.
        pose: (B, N, 6) two vectors that span the head's rotation, see ``rotation_from_6d``.
    """

    score: Tensor
    box: Tensor
    landmarks: Tensor
    pose: Tensor


class Faces(NamedTuple):
    """The same in pixels of the network's input.

    Attributes:
        scores: (B, N) in 0..1.
        boxes: (B, N, 4) left, top, right, bottom.
        landmarks: (B, N, 5, 2) two eyes, nose, two mouth corners as (x, y); what is left in the picture comes first.
        rotation: (B, N, 3, 3) of the head, orthonormal with determinant 1; ``runtime.pose`` says of which axes.
    """

    scores: Tensor
    boxes: Tensor
    landmarks: Tensor
    rotation: Tensor


def priors(height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Points (2, N), x over y, in pixels and strides (N,), for an input of ``height`` x ``width``, multiples of 32.

    They get the type and the place of ``like``. With a fixed size they are constants in an export.
    """
    levels = [_level(height // stride, width // stride, stride, like) for stride in STRIDES]
    points, strides = zip(*levels, strict=True)
    return torch.cat(points, 1), torch.cat(strides)


def _level(rows: int, columns: int, stride: int, like: Tensor) -> tuple[Tensor, Tensor]:
    y, x = (
        torch.arange(count, dtype=like.dtype, device=like.device) * stride + (stride - 1) / 2
        for count in (rows, columns)
    )
    y = y[:, None]
    points = torch.stack([x + y * 0, x * 0 + y]).flatten(1)  # sums, not expand: converters fold them into constants
    return points, torch.full_like(points[0], stride)


def decode(raw: Raw, height: int, width: int) -> Faces:
    """Raw answers to faces in pixels of an input of ``height`` x ``width``.

    ``centre = prior + stride * offset`` and ``side = stride * exp(log)``, as YuNet has it; the logarithm is clipped.
    The arithmetic runs on (B, channels, N), as the network gives it: engines are slow on short last axes.
    """
    points, strides = priors(height, width, raw.box)
    box = raw.box.transpose(1, 2)
    centre = box[:, :2] * strides + points
    half = torch.exp(box[:, 2:].clamp(-MAX_LOG_SIDE, MAX_LOG_SIDE)) * (strides * 0.5)
    five = raw.landmarks.transpose(1, 2).unflatten(1, (5, 2)) * strides + points  # (B, 5, 2, N)
    return Faces(
        scores=raw.score.sigmoid(),
        boxes=torch.cat([centre - half, centre + half], 1).transpose(1, 2),
        landmarks=five.flatten(1, 2).transpose(1, 2).unflatten(2, (5, 2)),
        rotation=rotation_from_6d(raw.pose),
    )


def rotation_from_6d(six: Tensor) -> Tensor:
    """Gram-Schmidt: two vectors a, b in (B, N, 6) to rotation matrices (B, N, 3, 3) with columns x, y, z.

    ``x = a / |a|``, ``z = x * b / |x * b|`` with cross products, ``y = z * x``. Source: 6DRepNet (arXiv 2202.12555).

    In float16 the square of 256 overflows and that of 1e-4 vanishes. So both vectors are first divided by their
    largest entry, and nothing is divided by less than 1e-4 or its root: finite numbers give finite numbers. Vectors
    below 1e-6, and vectors parallel within 0.01 radians, span no plane; their matrix is finite, but no rotation.
    """
    vectors = six.transpose(1, 2).unflatten(1, (2, 3))  # (B, 2, 3, N)
    vectors = _unit(vectors / vectors.abs().amax(2, keepdim=True).clamp(min=LEAST))
    x, b = vectors.unbind(1)
    z = _unit(_cross(x, b))
    matrix = torch.stack([x, _cross(z, x), z], 2)  # (B, 3 rows, 3 columns, N)
    rotation: Tensor = matrix.flatten(1, 2).transpose(1, 2).unflatten(2, (3, 3))
    return rotation


def _unit(v: Tensor) -> Tensor:
    """Vectors along the last axis but one, divided by their length."""
    return v / (v * v).sum(-2, keepdim=True).clamp(min=LEAST).sqrt()


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """Cross product of (B, 3, N) and (B, 3, N) by slices, since not every format has one."""
    a, b = torch.cat([a, a], 1), torch.cat([b, b], 1)  # x y z x y z
    return a[:, 1:4] * b[:, 2:5] - a[:, 2:5] * b[:, 1:4]
