"""Resizing of the last two axes.

Where the samples of a bilinear resize lie is documented for every mode. Where those of nearest neighbour lie is not,
and the runtimes of this field differ, so it is computed only where all agree: enlargement by whole numbers.
"""

from __future__ import annotations

import math

import torch

from ....errors import UnsupportedModel
from ..kernels import Tensor, op


@op
def upsample_nearest_neighbor(x: Tensor, scale_factor_height: float = 1.0, scale_factor_width: float = 1.0) -> Tensor:
    """Repeat rows and columns."""
    return _repeat(x, scale_factor_height, scale_factor_width)


@op
def resize_nearest_neighbor(x: Tensor, target_size_height: int, target_size_width: int) -> Tensor:
    """Repeat rows and columns up to a size."""
    return _repeat(x, target_size_height / x.shape[-2], target_size_width / x.shape[-1])


def _repeat(x: Tensor, height: float, width: float) -> Tensor:
    if height != int(height) or width != int(width) or min(height, width) < 1:
        raise UnsupportedModel(f"nearest neighbour by {height:g} x {width:g}: only whole factors are unambiguous")
    return x.repeat_interleave(int(height), -2).repeat_interleave(int(width), -1)


@op
def upsample_bilinear(
    x: Tensor,
    scale_factor_height: float = 1.0,
    scale_factor_width: float = 1.0,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> Tensor:
    """Enlarge by linear interpolation, to ``floor(size * factor)``."""
    half = not align_corners if half_pixel_centers is None else half_pixel_centers
    if half == align_corners:
        raise UnsupportedModel(f"align_corners {align_corners} with half_pixel_centers {half} is not documented")
    mode = "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS"
    height, width = math.floor(x.shape[-2] * scale_factor_height), math.floor(x.shape[-1] * scale_factor_width)
    return resize_bilinear(x, height, width, mode)


@op
def resize_bilinear(
    x: Tensor, target_size_height: int = 1, target_size_width: int = 1, sampling_mode: str = "DEFAULT"
) -> Tensor:
    """Linear interpolation along both axes."""
    rows = _interpolate(x, -2, _samples(x.shape[-2], target_size_height, sampling_mode))
    return _interpolate(rows, -1, _samples(x.shape[-1], target_size_width, sampling_mode))


@op
def resize(
    x: Tensor,
    shape: list[int],
    resized_dims: int,
    interpolation_mode: str = "LINEAR",
    sampling_mode: str = "DEFAULT",
) -> Tensor:
    """Resize the last two axes (iOS 17); a size of 0 keeps the axis."""
    if resized_dims != 2 or interpolation_mode != "LINEAR":
        raise UnsupportedModel(f"{interpolation_mode} over {resized_dims} axes: only LINEAR over 2 is computed")
    height, width = (n or old for n, old in zip(shape[-2:], x.shape[-2:], strict=True))
    return resize_bilinear(x, height, width, sampling_mode)


def _samples(size: int, target: int, mode: str) -> Tensor:
    """Where the ``target`` samples lie on an axis of ``size`` elements, element 0 at 0."""
    steps = torch.arange(target, dtype=torch.float64)
    if mode == "ALIGN_CORNERS" and target == 1:
        points = (steps + (size - 1)) / 2
    elif mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        points = steps * ((size - 1) / max(target - 1, 1))
    elif mode == "DEFAULT":
        points = steps * (size / target)
    elif mode == "OFFSET_CORNERS":
        points = (steps + 0.5) * (max(1, size - 1) / target)
    elif mode == "UNALIGN_CORNERS":
        points = (steps + 0.5) * (size / target) - 0.5
    else:
        raise UnsupportedModel(f"sampling_mode {mode!r} is unknown")
    return points.clamp(0, size - 1)


def _interpolate(x: Tensor, axis: int, points: Tensor) -> Tensor:
    low = points.floor().long()
    high = (low + 1).clamp(max=x.shape[axis] - 1)
    share = (points - low).to(x.dtype)
    if axis == -2:
        share = share[:, None]
    return x.index_select(axis, low) * (1 - share) + x.index_select(axis, high) * share
