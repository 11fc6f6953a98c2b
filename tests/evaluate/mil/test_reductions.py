"""Reductions and normalisations, against their formulas in float64."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb  # noqa: N813

Array = np.ndarray
Case = tuple[Any, ...]
A = (2, 3, 5, 4)
ALPHA = np.array([0.3, -0.2, 1.5], np.float32)


def unary(op: str, oracle: Callable[[Array], Any], **constants: Any) -> Case:
    return op, [A], lambda x: getattr(mb, op)(x=x, **constants), oracle


def reduced(op: str, oracle: Callable[..., Any]) -> list[Case]:
    """Over one axis, over several with ``keep_dims``, and over all."""
    settings: list[tuple[tuple[int, ...] | None, bool]] = [((-1,), False), ((1, 3), True), (None, False)]

    def case(axes: tuple[int, ...] | None, keep: bool) -> Case:
        program = lambda x: getattr(mb, op)(x=x, axes=axes, keep_dims=keep)  # noqa: E731
        return op, [A], program, lambda x: oracle(x, axis=axes, keepdims=keep)

    return [case(*setting) for setting in settings]


def channels(v: Array) -> Array:
    return v.reshape(1, 3, 1, 1)


def normalized(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


CASES: list[Case] = [
    unary(
        "batch_norm",
        lambda x: (x - channels(ALPHA)) / np.sqrt(channels(ALPHA) ** 2 + 1e-3) * channels(ALPHA) + 1,
        mean=ALPHA,
        variance=ALPHA**2,
        gamma=ALPHA,
        beta=np.ones(3, np.float32),
        epsilon=1e-3,
    ),
    unary(
        "instance_norm",
        lambda x: normalized(x, (2, 3), 1e-2) * channels(ALPHA) - channels(ALPHA),
        gamma=ALPHA,
        beta=-ALPHA,
        epsilon=1e-2,
    ),
    unary("layer_norm", lambda x: normalized(x, (2, 3), 1e-3), axes=[-1, -2], epsilon=1e-3),
    unary(
        "layer_norm",
        lambda x: normalized(x, (1,), 1e-5) * channels(ALPHA) + channels(ALPHA) ** 2,
        axes=[1],
        gamma=ALPHA,
        beta=ALPHA**2,
        epsilon=1e-5,
    ),
    unary("l2_norm", lambda x: x / np.sqrt((x * x).sum((1, 2, 3), keepdims=True) + 0.5), epsilon=0.5),
    *reduced("reduce_l1_norm", lambda x, **over: np.abs(x).sum(**over)),
    *reduced("reduce_l2_norm", lambda x, **over: np.sqrt(np.square(x).sum(**over))),
    *reduced("reduce_log_sum_exp", lambda x, **over: np.log(np.exp(x).sum(**over))),
    *reduced("reduce_max", np.max),
    *reduced("reduce_mean", np.mean),
    *reduced("reduce_min", np.min),
    *reduced("reduce_sum", np.sum),
    *reduced("reduce_sum_square", lambda x, **over: np.square(x).sum(**over)),
    unary("reduce_argmax", lambda x: x.argmax(2), axis=2),
    unary("reduce_argmin", lambda x: x.argmin(1, keepdims=True), axis=1, keep_dims=True),
]


@pytest.mark.parametrize("case", CASES, ids=operator.itemgetter(0))
def test_a_reduction_equals_its_formula(case: Case, check_operation: Any) -> None:
    check_operation(*case)


def test_all_are_tested(operations_of: Any) -> None:
    assert {case[0] for case in CASES} == operations_of("normalization", "reduction")
