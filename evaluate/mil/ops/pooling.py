"""Windows that move over the spatial axes."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from ....errors import UnsupportedModel
from ..kernels import Tensor, op
from .convolution import Pads, flat, paddings

_MAX: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVG: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


@op
def max_pool(
    x: Tensor,
    kernel_sizes: list[int],
    pad_type: str,
    strides: list[int] | None = None,
    pad: list[int] | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Largest element of each window of ``x (B, C, ...)``; padding never wins."""
    stride = strides or [1] * len(kernel_sizes)
    pads = _pads(x, kernel_sizes, stride, pad_type, pad, ceil_mode)
    padded = F.pad(x, flat(pads), value=-torch.inf) if any(flat(pads)) else x
    return _MAX[len(kernel_sizes)](padded, kernel_sizes, stride)


@op
def avg_pool(
    x: Tensor,
    kernel_sizes: list[int],
    pad_type: str,
    strides: list[int] | None = None,
    pad: list[int] | None = None,
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
) -> Tensor:
    """Mean of each window of ``x (B, C, ...)``.

    Unlike torch, Core ML counts what ``ceil_mode`` adds at the end as padding, so that without
    ``exclude_padding_from_average`` it goes into the divisor (coremltools, issue 2772).
    """
    stride, pool = strides or [1] * len(kernel_sizes), _AVG[len(kernel_sizes)]
    pads = flat(_pads(x, kernel_sizes, stride, pad_type, pad, ceil_mode))
    if not any(pads):
        return pool(x, kernel_sizes, stride)
    mean = pool(F.pad(x, pads), kernel_sizes, stride)
    if exclude_padding_from_average:
        mean = mean / pool(F.pad(torch.ones_like(x[:1, :1]), pads), kernel_sizes, stride)
    return mean


def _pads(x: Tensor, kernel: list[int], stride: list[int], kind: str, pad: list[int] | None, ceil: bool) -> Pads:
    """The padding asked for, and after it what the last window of ``ceil_mode`` needs besides."""
    size = x.shape[2:]
    pads = paddings(kind, pad, size, kernel, stride)
    if not ceil:
        return pads
    ends = [_overhang(*axis) for axis in zip(size, kernel, stride, pads, strict=True)]
    return [(before, after + end) for (before, after), end in zip(pads, ends, strict=True)]


def _overhang(size: int, kernel: int, stride: int, pads: tuple[int, int]) -> int:
    padded = size + sum(pads)
    steps = -(-(padded - kernel) // stride)
    if sum(pads) and steps * stride >= size + pads[0]:  # a window may not start in the padding at the end
        steps -= 1
    if steps * stride >= size + pads[0]:
        raise UnsupportedModel("the last window of ceil_mode lies outside of the input")
    return steps * stride + kernel - padded
