"""Operations on one element at a time, against their formulas in float64."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb  # noqa: N813

Array = np.ndarray
Case = tuple[Any, ...]
A, B = (2, 3, 5, 4), (2, 3, 1, 4)
ALPHA = np.array([0.3, -0.2, 1.5], np.float32)


def unary(op: str, oracle: Callable[[Array], Any], *, of: str = "x", **constants: Any) -> Case:
    """One tensor and some constants; ``of="|x|"`` for operations that want positive numbers."""
    first = (lambda x: mb.abs(x=x)) if of == "|x|" else (lambda x: x)
    given = np.abs if of == "|x|" else np.asarray
    return op, [A], lambda x: getattr(mb, op)(x=first(x), **constants), lambda x: oracle(given(x))


def binary(op: str, oracle: Callable[[Array, Array], Any], dtype: str = "float32") -> Case:
    return op, [A, B], lambda x, y: getattr(mb, op)(x=x, y=y), oracle, "iOS16", [dtype, dtype]


def logical(name: str) -> Case:
    op = f"logical_{name}"
    program = lambda x, y: getattr(mb, op)(x=mb.greater(x=x, y=0.0), y=mb.less(x=y, y=0.0))  # noqa: E731
    return op, [A, A], program, lambda x, y: getattr(np, op)(x > 0, y < 0)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def erf(x: Array) -> Array:
    return np.vectorize(math.erf)(x)


def channels(v: Array) -> Array:
    return v.reshape(1, 3, 1, 1)


CASES: list[Case] = [
    unary("abs", np.abs),
    unary("ceil", np.ceil),
    unary("clip", lambda x: np.clip(x, -0.5, 0.7), alpha=-0.5, beta=0.7),
    unary("clamped_relu", lambda x: np.minimum(np.where(x < 0, 0.2 * x, x), 0.9), alpha=0.2, beta=0.9),
    unary("cos", np.cos),
    unary("elu", lambda x: np.where(x > 0, x, 0.7 * np.expm1(x)), alpha=0.7),
    unary("erf", erf),
    unary("exp", np.exp),
    unary("floor", np.floor),
    unary("gelu", lambda x: x * 0.5 * (1 + erf(x / math.sqrt(2)))),
    unary("gelu", lambda x: x * sigmoid(1.702 * x), mode="SIGMOID_APPROXIMATION"),
    unary(
        "gelu",
        lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        mode="TANH_APPROXIMATION",
    ),
    unary("identity", lambda x: x),
    unary("inverse", lambda x: 1 / (x + 0.25), of="|x|", epsilon=0.25),
    unary("leaky_relu", lambda x: np.where(x < 0, 0.1 * x, x), alpha=0.1),
    unary("linear_activation", lambda x: 0.3 * x - 2, alpha=0.3, beta=-2.0),
    unary("log", lambda x: np.log(x + 0.5), of="|x|", epsilon=0.5),
    unary("prelu", lambda x: np.where(x < 0, channels(ALPHA) * x, x), alpha=ALPHA),
    unary("relu", lambda x: np.maximum(x, 0)),
    unary("relu6", lambda x: np.clip(x, 0, 6)),
    unary("round", np.round),
    unary("rsqrt", lambda x: 1 / np.sqrt(x + 0.1), of="|x|", epsilon=0.1),
    unary("scaled_tanh", lambda x: 1.7 * np.tanh(0.6 * x), alpha=1.7, beta=0.6),
    unary("sigmoid", sigmoid),
    unary("sigmoid_hard", lambda x: np.clip(0.2 * x + 0.5, 0, 1), alpha=0.2, beta=0.5),
    unary("sign", np.sign),
    unary("silu", lambda x: x * sigmoid(x)),
    unary("sin", np.sin),
    unary("softmax", lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True), axis=1),
    unary("softplus", lambda x: np.log1p(np.exp(x))),
    unary("softsign", lambda x: x / (1 + np.abs(x))),
    unary("sqrt", np.sqrt, of="|x|"),
    unary("square", np.square),
    unary("tanh", np.tanh),
    unary("threshold", lambda x: np.maximum(x, 0.4), alpha=0.4),
    unary("thresholded_relu", lambda x: np.where(x >= 0.4, x, 0), alpha=0.4),
    binary("add", np.add),
    binary("add", np.add, "int32"),
    binary("equal", np.equal, "int32"),
    binary("floor_div", np.floor_divide, "int32"),
    binary("greater", np.greater),
    binary("greater_equal", np.greater_equal, "int32"),
    binary("less", np.less),
    binary("less_equal", np.less_equal, "int32"),
    binary("maximum", np.maximum),
    binary("minimum", np.minimum),
    binary("mod", np.mod, "int32"),
    binary("mul", np.multiply),
    binary("not_equal", np.not_equal, "int32"),
    binary("real_div", np.divide),
    binary("sub", np.subtract),
    ("pow", [A, B], lambda x, y: mb.pow(x=mb.abs(x=x), y=y), lambda x, y: np.abs(x) ** y),
    ("cast", [A], lambda x: mb.cast(x=x, dtype="int32"), np.trunc),
    (
        "select",
        [A, B],
        lambda x, y: mb.select(cond=mb.greater(x=x, y=y), a=x, b=mb.sub(x=x, y=y)),
        lambda x, y: np.where(x > y, x, x - y),
    ),
    *(logical(name) for name in ("and", "or", "xor")),
    ("logical_not", [A], lambda x: mb.logical_not(x=mb.greater(x=x, y=0.0)), lambda x: ~(x > 0)),
]


@pytest.mark.parametrize("case", CASES, ids=operator.itemgetter(0))
def test_an_operation_equals_its_formula(case: Case, check_operation: Any) -> None:
    check_operation(*case)


def test_all_are_tested(operations_of: Any) -> None:
    assert {case[0] for case in CASES} == operations_of("elementwise")
