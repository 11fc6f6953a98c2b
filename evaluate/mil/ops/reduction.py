"""Reductions over some axes, or over all where none are given."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ....errors import UnsupportedModel
from ..kernels import Tensor, op, register

Reducer = Callable[[Tensor, list[int], bool], Tensor]


def _reduction(reduce: Reducer) -> Callable[[Tensor, list[int] | None, bool], Tensor]:
    def compute(x: Tensor, axes: list[int] | None = None, keep_dims: bool = False) -> Tensor:
        return reduce(x, list(range(x.dim())) if axes is None else axes, keep_dims)

    return compute


def _mean(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    if not x.is_floating_point():
        raise UnsupportedModel("the mean of integers is not documented")
    return x.mean(axes, keep)


_REDUCERS: dict[str, Reducer] = {
    "reduce_l1_norm": lambda x, axes, keep: x.abs().sum(axes, keep),
    "reduce_l2_norm": lambda x, axes, keep: x.square().sum(axes, keep).sqrt(),
    "reduce_log_sum_exp": lambda x, axes, keep: x.logsumexp(axes, keep),
    "reduce_max": lambda x, axes, keep: x.amax(axes, keep),
    "reduce_mean": _mean,
    "reduce_min": lambda x, axes, keep: x.amin(axes, keep),
    "reduce_sum": lambda x, axes, keep: x.sum(axes, keep),
    "reduce_sum_square": lambda x, axes, keep: x.square().sum(axes, keep),
}
for _name, _reduce in _REDUCERS.items():
    register(_name, _reduction(_reduce))


@op
def reduce_argmax(x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32") -> Tensor:
    """Index of the largest element along an axis; of equal ones, which is left open."""
    return torch.argmax(x, axis, keep_dims)


@op
def reduce_argmin(x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32") -> Tensor:
    """Index of the smallest element along an axis; of equal ones, which is left open."""
    return torch.argmin(x, axis, keep_dims)
