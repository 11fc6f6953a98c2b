"""Products of matrices and steps of quantisation, against their formulas in float64."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb  # noqa: N813

Array = np.ndarray
Case = tuple[Any, ...]
A = (2, 3, 5, 4)
ALPHA = np.array([0.3, -0.2, 1.5], np.float32)


def channels(v: Array) -> Array:
    return v.reshape(1, 3, 1, 1)


PRODUCTS: list[Case] = [
    ("linear", [(2, 7, 3)], lambda x: mb.linear(x=x, weight=np.outer(ALPHA, ALPHA), bias=ALPHA),
         lambda x: x @ np.outer(ALPHA, ALPHA).T + ALPHA),
    ("matmul", [(2, 3, 5), (1, 5, 4)], lambda x, y: mb.matmul(x=x, y=y), lambda x, y: x @ y),
    ("matmul", [(5, 3), (2, 4, 5)], lambda x, y: mb.matmul(x=x, y=y, transpose_x=True, transpose_y=True),
         lambda x, y: x.T @ y.transpose(0, 2, 1)),
    ("einsum", [(2, 3, 5, 4), (2, 4, 5, 6)], lambda x, y: mb.einsum(values=(x, y), equation="nchw,nwhu->nchu"),
         lambda x, y: np.einsum("nchw,nwhu->nchu", x, y)),
    (
        "scaled_dot_product_attention",
        [(1, 2, 5, 8), (1, 2, 7, 8), (1, 2, 7, 3), (5, 7)],
        lambda q, k, v, m: mb.scaled_dot_product_attention(query=q, key=k, value=v, attn_mask=m),
        lambda q, k, v, m: (lambda s: s / s.sum(-1, keepdims=True))(
            np.exp(q @ k.swapaxes(-1, -2) / math.sqrt(8) + m)
        ) @ v,
        "iOS18",
    ),
]  # fmt: skip
QUANTIZED: list[Case] = [
    (
        "dequantize",
        [A],
        lambda input: mb.dequantize(
            input=mb.quantize(input=input, zero_point=np.int8(3), scale=np.float32(0.05), output_dtype="int8"),
            zero_point=np.int8(3),
            scale=np.float32(0.05),
        ),
        lambda x: 0.05 * (np.clip(np.round(x.astype(np.float32) / np.float32(0.05)) + 3, -128, 127) - 3),
        "iOS17",
    ),
    (
        "quantize",
        [A],
        lambda input: mb.cast(
            x=mb.quantize(input=input, scale=np.abs(ALPHA) / 40, axis=1, output_dtype="uint8"), dtype="int32"
        ),
        lambda x: np.clip(np.round(x.astype(np.float32) / channels(np.abs(ALPHA) / 40)), 0, 255),
        "iOS17",
    ),
]
CASES = PRODUCTS + QUANTIZED


@pytest.mark.parametrize("case", CASES, ids=operator.itemgetter(0))
def test_a_product_equals_its_formula(case: Case, check_operation: Any) -> None:
    check_operation(*case)


def test_all_are_tested(operations_of: Any) -> None:
    assert {case[0] for case in CASES} == operations_of("attention", "quantization") | {"linear", "matmul"}
