"""Activations in 8 bits: ``quantize`` and ``dequantize`` of iOS 17."""

from __future__ import annotations

import torch

from ....errors import InvalidModel, UnsupportedModel
from ..kernels import Tensor, op

_RANGES = {"int8": (-128, 127), "uint8": (0, 255)}


@op
def quantize(
    input: Tensor, scale: Tensor, output_dtype: str, zero_point: Tensor | None = None, axis: int | None = None
) -> Tensor:
    """``round(input / scale) + zero_point``, limited to the type; halves round to even."""
    if output_dtype not in _RANGES:
        raise UnsupportedModel(f"output_dtype {output_dtype!r} is unknown")
    steps = torch.round(input / _along(scale, input, axis))
    if zero_point is not None:
        steps = steps + _along(zero_point, input, axis)
    return steps.clamp(*_RANGES[output_dtype])


@op
def dequantize(input: Tensor, scale: Tensor, zero_point: Tensor | None = None, axis: int | None = None) -> Tensor:
    """``scale * (input - zero_point)``."""
    steps = input.float()
    if zero_point is not None:
        steps = steps - _along(zero_point, input, axis)
    return steps * _along(scale, input, axis)


def _along(parameter: Tensor, x: Tensor, axis: int | None) -> Tensor:
    """One value for all, or one for each index of an axis."""
    if parameter.dim() == 0:
        return parameter
    if axis is None or parameter.dim() != 1:
        raise InvalidModel(f"a scale or zero point of shape {tuple(parameter.shape)} needs an axis")
    shape = [1] * x.dim()
    shape[axis] = -1
    return parameter.reshape(shape)
