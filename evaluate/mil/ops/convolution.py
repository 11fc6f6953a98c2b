"""Convolutions and products of matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F

from ....errors import UnsupportedModel
from ..kernels import Tensor, op

Pads = list[tuple[int, int]]

_CONV: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED: dict[int, Callable[..., Tensor]] = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def paddings(
    kind: str, pad: Sequence[int] | None, size: Sequence[int], extent: Sequence[int], stride: Sequence[int]
) -> Pads:
    """Before and after each spatial axis.

    ``same`` and ``same_lower`` pad so that the output has ``ceil(size / stride)`` elements, as TensorFlow has it; of an
    odd number, the extra one goes after or before.

    Args:
        kind: ``valid``, ``custom``, ``same`` or ``same_lower``.
        pad: what ``custom`` asks for: before, after, before, after, ...
        size: of the input's spatial axes.
        extent: of the (dilated) kernel.
        stride: of the kernel.

    Raises:
        UnsupportedModel: another kind.
    """
    if kind == "valid":
        return [(0, 0)] * len(size)
    if kind == "custom":
        given = list(pad or [0] * 2 * len(size))
        return list(zip(given[::2], given[1::2], strict=True))
    if kind not in ("same", "same_lower"):
        raise UnsupportedModel(f"pad_type {kind!r} is unknown")
    totals = [max(0, (-(-n // s) - 1) * s + e - n) for n, e, s in zip(size, extent, stride, strict=True)]
    halves = [(t // 2, t - t // 2) for t in totals]
    return halves if kind == "same" else [(after, before) for before, after in halves]


def extents(kernel: Sequence[int], dilation: Sequence[int]) -> list[int]:
    """How far a dilated kernel reaches along each axis."""
    return [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]


def flat(pads: Pads) -> list[int]:
    """In the order of ``torch.nn.functional.pad``: last axis first."""
    return [n for pair in reversed(pads) for n in pair]


@op
def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: list[int] | None = None,
    pad_type: str = "valid",
    pad: list[int] | None = None,
    dilations: list[int] | None = None,
    groups: int = 1,
) -> Tensor:
    """Convolution of ``x (B, C, ...)`` with ``weight (O, C/groups, ...)`` over 1 to 3 axes."""
    rank = x.dim() - 2
    stride, dilation = strides or [1] * rank, dilations or [1] * rank
    pads = paddings(pad_type, pad, x.shape[2:], extents(weight.shape[2:], dilation), stride)
    if all(before == after for before, after in pads):
        return _CONV[rank](x, weight, bias, stride, [before for before, _ in pads], dilation, groups)
    return _CONV[rank](F.pad(x, flat(pads)), weight, bias, stride, 0, dilation, groups)


@op
def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    pad: list[int] | None = None,
    output_shape: list[int] | None = None,
    pad_type: str = "valid",
    strides: list[int] | None = None,
    dilations: list[int] | None = None,
    groups: int = 1,
) -> Tensor:
    """Transposed convolution of ``x (B, C, ...)`` with ``weight (C, O/groups, ...)``: the full one, then cropped."""
    rank = x.dim() - 2
    stride, dilation = strides or [1] * rank, dilations or [1] * rank
    if pad_type not in ("valid", "custom"):
        raise UnsupportedModel(f"pad_type {pad_type!r} leaves open which side is cropped more")
    crops = paddings(pad_type, pad, x.shape[2:], extents(weight.shape[2:], dilation), stride)
    full = _TRANSPOSED[rank](x, weight, bias, stride, groups=groups, dilation=dilation)
    cropped = F.pad(full, [-n for n in flat(crops)])
    if output_shape not in (None, list(cropped.shape)):
        raise UnsupportedModel(f"output_shape {output_shape} extends {tuple(cropped.shape)} at a side left open")
    return cropped


@op
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias``; ``x (..., I)``, ``weight (O, I)``."""
    return F.linear(x, weight, bias)


@op
def matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    """Product of matrices in the last two axes, the others broadcast."""
    if transpose_x:
        x = x.transpose(-1, -2)
    return x @ (y.transpose(-1, -2) if transpose_y and y.dim() > 1 else y)
