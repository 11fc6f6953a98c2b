"""Operations that move elements and compute nothing."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from ....errors import InvalidModel, UnsupportedModel
from ..kernels import Tensor, op


@op
def reshape(x: Tensor, shape: list[int]) -> Tensor:
    """New shape; 0 keeps the size of the same axis, -1 takes what is left."""
    if 0 in shape and len(shape) != x.dim():
        raise UnsupportedModel("a 0 in a shape of another rank is not defined")
    return x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(shape)])


@op
def transpose(x: Tensor, perm: list[int]) -> Tensor:
    """Axes in another order."""
    return x.permute(perm)


@op
def expand_dims(x: Tensor, axes: list[int]) -> Tensor:
    """Insert axes of size 1 where the result has them."""
    rank = x.dim() + len(axes)
    for axis in sorted(a % rank for a in axes):
        x = x.unsqueeze(axis)
    return x


@op
def squeeze(x: Tensor, axes: list[int] | None = None) -> Tensor:
    """Drop axes of size 1; an axis of another size stays, even if named."""
    return x.squeeze() if axes is None else x.squeeze(axes)


@op
def concat(values: list[Tensor], axis: int, interleave: bool = False) -> Tensor:
    """Join along an axis; interleaved, the first of each come before the second of each."""
    joined = [v.reshape(1) if v.dim() == 0 else v for v in values]
    if interleave:
        at = axis % joined[0].dim()
        return torch.stack(joined, at + 1).flatten(at, at + 1)
    return torch.cat(joined, axis)


@op
def stack(values: list[Tensor], axis: int) -> Tensor:
    """Join along a new axis."""
    return torch.stack(values, axis)


@op
def split(
    x: Tensor, axis: int, num_splits: int | None = None, split_sizes: list[int] | None = None
) -> tuple[Tensor, ...]:
    """Cut along an axis, into pieces of equal or of given sizes."""
    if split_sizes is None:
        if not num_splits or x.shape[axis] % num_splits:
            raise InvalidModel(f"{x.shape[axis]} elements cannot be split into {num_splits} equal pieces")
        split_sizes = [x.shape[axis] // num_splits] * num_splits
    return torch.split_with_sizes(x, split_sizes, axis)


@op
def slice_by_index(
    x: Tensor,
    begin: list[int],
    end: list[int],
    stride: list[int] | None = None,
    begin_mask: list[bool] | None = None,
    end_mask: list[bool] | None = None,
    squeeze_mask: list[bool] | None = None,
) -> Tensor:
    """``x[begin:end:stride]`` on every axis; masks say where to take all, or one element without its axis."""
    rank = _of_rank(x, begin)
    masks = (mask or [False] * rank for mask in (begin_mask, end_mask, squeeze_mask))
    axes = list(zip(begin, end, stride or [1] * rank, *masks, strict=True))
    for axis, (start, stop, step, from_first, to_last, single) in reversed(list(enumerate(axes))):
        if single:
            x = x.select(axis, 0 if from_first else start)
        else:
            x = _take(x, axis, slice(None if from_first else start, None if to_last else stop, step))
    return x


def _of_rank(x: Tensor, values: list[int]) -> int:
    if len(values) != x.dim():
        raise InvalidModel(f"{len(values)} numbers for {x.dim()} axes")
    return x.dim()


def _take(x: Tensor, axis: int, part: slice) -> Tensor:
    if part.step > 0:
        return x[(slice(None),) * axis + (part,)]
    chosen = range(*part.indices(x.shape[axis]))  # torch has no slices that run backwards
    return x.index_select(axis, torch.tensor(list(chosen), dtype=torch.long))


@op
def slice_by_size(x: Tensor, begin: list[int], size: list[int]) -> Tensor:
    """``size`` elements from ``begin`` on every axis; -1 for all the rest."""
    _of_rank(x, begin)
    for axis, (start, length) in enumerate(zip(begin, size, strict=True)):
        start += x.shape[axis] if start < 0 else 0
        x = x.narrow(axis, start, x.shape[axis] - start if length == -1 else length)
    return x


@op
def crop(x: Tensor, crop_height: list[int], crop_width: list[int]) -> Tensor:
    """Drop rows and columns of the last two axes: before and after."""
    return F.pad(x, [-n for n in (*crop_width, *crop_height)])


@op
def tile(x: Tensor, reps: list[int]) -> Tensor:
    """Repeat along every axis."""
    return x.repeat(reps)


@op
def gather(x: Tensor, indices: Tensor, axis: int = 0, batch_dims: int = 0, validate_indices: bool = False) -> Tensor:
    """Elements of an axis by index; negative ones count from the end."""
    if batch_dims:
        raise UnsupportedModel(f"batch_dims {batch_dims}, expected 0")
    at, size = axis % x.dim(), x.shape[axis]
    if bool(((indices < -size) | (indices >= size)).any()):
        raise UnsupportedModel(f"an index outside of {size} elements is not defined")
    taken = x.index_select(at, indices.reshape(-1).long() % size)
    return taken.reshape(*x.shape[:at], *indices.shape, *x.shape[at + 1 :])


@op
def pad(x: Tensor, pad: list[int], mode: str = "constant", constant_val: float = 0.0) -> Tensor:
    """Pad the last axes: before and after each, first of them first."""
    if mode not in ("constant", "reflect", "replicate"):
        raise UnsupportedModel(f"mode {mode!r} is unknown")
    pairs = list(zip(pad[::2], pad[1::2], strict=True))
    while mode != "constant" and pairs and pairs[0] == (0, 0):
        pairs.pop(0)  # torch reflects and replicates the last axes only
    if not pairs:
        return x
    order = [n for pair in reversed(pairs) for n in pair]
    if mode == "constant":
        return F.pad(x, order, mode, constant_val)
    lead = x.shape[: x.dim() - len(pairs)]
    padded = F.pad(x.reshape(1, math.prod(lead), *x.shape[len(lead) :]), order, mode)
    return padded.reshape(*lead, *padded.shape[2:])


@op
def shape(x: Tensor) -> Tensor:
    """Sizes of the axes."""
    return torch.tensor(x.shape, dtype=torch.int32)


@op
def fill(shape: list[int], value: float = 0.0) -> Tensor:
    """One value everywhere."""
    return torch.full(shape, value)


@op
def pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    """Channels to space: ``(B, C f^2, H, W)`` to ``(B, C, H f, W f)``."""
    return F.pixel_shuffle(x, upscale_factor)


@op
def pixel_unshuffle(x: Tensor, downscale_factor: int) -> Tensor:
    """Space to channels: ``(B, C, H f, W f)`` to ``(B, C f^2, H, W)``."""
    return F.pixel_unshuffle(x, downscale_factor)
