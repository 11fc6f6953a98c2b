"""Unpack compressed weights: the ``constexpr`` operations, which are computed once, when a program is loaded.

iOS 16 knows affine quantisation, palettes and sparsity of whole tensors, with bits packed by hand into bytes; iOS 18
does the same per block, with element types narrower than a byte. Results have the type of the palette or the scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...errors import InvalidModel, UnsupportedModel
from .elements import Array, unpack_bits
from .kernels import Kernel, describe


def const(val: Array) -> tuple[Array, ...]:
    """A plain constant."""
    return (val,)


def affine_dequantize(quantized_data: Array, zero_point: Array, scale: Array, axis: Array) -> tuple[Array, ...]:
    """``scale * (data - zero_point)`` with one scale, or one for each index of an axis (iOS 16)."""
    rank, at = quantized_data.ndim, int(axis)
    steps = quantized_data.astype(np.float32) - _along(zero_point, rank, at).astype(np.float32)
    return ((steps * _along(scale, rank, at)).astype(scale.dtype),)


def _along(parameter: Array, rank: int, axis: int) -> Array:
    shape = [1] * rank
    if parameter.ndim:
        shape[axis] = -1
    return parameter.reshape(shape)


def cast(source_val: Array, output_dtype: Array) -> tuple[Array, ...]:
    """Half to float32."""
    if str(output_dtype) != "fp32":
        raise UnsupportedModel(f"constexpr_cast to {output_dtype}, expected fp32")
    return (source_val.astype(np.float32),)


def lut_to_dense(
    indices: Array, lut: Array, shape: Array | None = None, vector_axis: Array | None = None
) -> tuple[Array, ...]:
    """Look every index up in a palette.

    With ``shape`` (iOS 16) the palette is ``(P,)`` and the indices are packed into bytes. Without (iOS 18) the palette
    is ``(blocks of every axis..., P, V)``; with V > 1 an index stands for V values along ``vector_axis``.
    """
    if shape is None:
        return (_blockwise_lookup(indices, lut, vector_axis),)
    bits = lut.size.bit_length() - 1
    if lut.size != 1 << bits or bits not in (1, 2, 4, 6, 8):
        raise InvalidModel(f"a palette of {lut.size} values, expected 2, 4, 16, 64 or 256")
    return (lut[_unpack(indices, bits, shape)],)


def _blockwise_lookup(indices: Array, lut: Array, vector_axis: Array | None) -> Array:
    blocks, (colors, width) = lut.shape[:-2], lut.shape[-2:]
    if indices.size and int(indices.max()) >= colors:
        raise InvalidModel(f"index {int(indices.max())} into a palette of {colors}")
    where = np.ix_(
        *(np.arange(n) // (n // b) for n, b in zip(indices.shape, _dividing(blocks, indices.shape), strict=True))
    )
    found: Array = lut[(*where, indices)]  # (..., V)
    if width == 1:
        return found[..., 0]
    axis = int(_required(vector_axis)) % indices.ndim
    return np.moveaxis(found, -1, axis + 1).reshape(*indices.shape[:axis], -1, *indices.shape[axis + 1 :])


def _required(vector_axis: Array | None) -> Array:
    if vector_axis is None:
        raise InvalidModel("a palette of vectors needs a vector_axis")
    return vector_axis


def lut_to_sparse(
    indices_mask: Array, indices_nonzero_data: Array, lut: Array, vector_axis: Array | None = None
) -> tuple[Array, ...]:
    """The mask, and the values of a palette for what it leaves; both widened where an index stands for several."""
    (dense,) = lut_to_dense(_spread(indices_nonzero_data, indices_mask), lut, vector_axis=vector_axis)
    mask = indices_mask if lut.shape[-1] == 1 else indices_mask.repeat(lut.shape[-1], int(_required(vector_axis)))
    return mask, dense[mask != 0]


def sparse_to_dense(nonzero_data: Array, mask: Array, shape: Array | None = None) -> tuple[Array, ...]:
    """Zeros, except where the mask says so; with ``shape`` (iOS 16) the mask is packed into bytes."""
    return (_spread(nonzero_data, mask if shape is None else _unpack(mask, 1, shape)),)


def _spread(nonzero: Array, mask: Array) -> Array:
    if nonzero.size != np.count_nonzero(mask):
        raise InvalidModel(f"a sparse weight has {nonzero.size} values for {np.count_nonzero(mask)} places")
    dense = np.zeros(mask.shape, nonzero.dtype)
    dense[mask != 0] = nonzero
    return dense


def blockwise_shift_scale(data: Array, scale: Array, offset: Array | None = None) -> tuple[Array, ...]:
    """``scale * (data - offset)`` with one scale and offset for every block; in the type of the scale (iOS 18)."""
    steps = data.astype(scale.dtype)
    if offset is not None:
        steps = steps - _blocks(offset, data.shape).astype(scale.dtype)
    return (steps * _blocks(scale, data.shape),)


def sparse_blockwise_shift_scale(
    data_mask: Array, nonzero_data: Array, scale: Array, offset: Array | None = None
) -> tuple[Array, ...]:
    """The mask, and what it leaves, shifted and scaled as where it will stand (iOS 18)."""
    (dense,) = blockwise_shift_scale(_spread(nonzero_data, data_mask), scale, offset)
    return data_mask, dense[data_mask != 0]


def _blocks(small: Array, shape: Sequence[int]) -> Array:
    """Repeat every element until the shape is filled."""
    for axis, (blocks, size) in enumerate(zip(_dividing(small.shape, shape), shape, strict=True)):
        small = small.repeat(size // blocks, axis)
    return small


def _dividing(blocks: Sequence[int], shape: Sequence[int]) -> Sequence[int]:
    if len(blocks) != len(shape) or any(b == 0 or n % b for b, n in zip(blocks, shape, strict=True)):
        raise InvalidModel(f"blocks of shape {tuple(blocks)} do not divide a weight of shape {tuple(shape)}")
    return blocks


def _unpack(packed: Array, bits: int, shape: Array) -> Array:
    sizes = [int(n) for n in shape.reshape(-1)]
    count = math.prod(sizes)
    if packed.size != (count * bits + 7) // 8:
        raise InvalidModel(f"{packed.size} bytes of {bits} bits each for a weight of shape {tuple(sizes)}")
    return unpack_bits(packed, bits, count).reshape(sizes)


#: Operation -> the function that computes all of its results, as arrays.
CONSTEXPR: dict[str, Kernel] = {"const": describe(const)} | {
    f"constexpr_{function.__name__}": describe(function)
    for function in (
        affine_dequantize,
        blockwise_shift_scale,
        cast,
        lut_to_dense,
        lut_to_sparse,
        sparse_blockwise_shift_scale,
        sparse_to_dense,
    )
}
