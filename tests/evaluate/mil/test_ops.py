"""Every operation against an independent formula: numpy in float64, or torch where torch is the definition."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from coremltools.converters.mil import Builder as mb  # noqa: N813

from pocketface.evaluate.mil import ops  # noqa: F401  fills the table
from pocketface.evaluate.mil.kernels import KERNELS

Array = np.ndarray
A, B = (2, 3, 5, 4), (2, 3, 1, 4)
ALPHA = np.array([0.3, -0.2, 1.5], np.float32)


class Case(NamedTuple):
    op: str
    shapes: list[tuple[int, ...]]
    program: Callable[..., Any]
    oracle: Callable[..., Any]
    target: str = "iOS16"
    dtypes: list[str] | None = None


def unary(op: str, oracle: Callable[[Array], Any], *, of: str = "x", **constants: Any) -> Case:
    """One tensor and some constants; ``of="|x|"`` for operations that want positive numbers."""
    first = (lambda x: mb.abs(x=x)) if of == "|x|" else (lambda x: x)
    given = np.abs if of == "|x|" else np.asarray
    return Case(op, [A], lambda x: getattr(mb, op)(x=first(x), **constants), lambda x: oracle(given(x)))


def binary(op: str, oracle: Callable[[Array, Array], Any], dtype: str = "float32") -> Case:
    return Case(op, [A, B], lambda x, y: getattr(mb, op)(x=x, y=y), oracle, dtypes=[dtype, dtype])


def reduced(op: str, oracle: Callable[..., Any]) -> list[Case]:
    """Over one axis, over several with ``keep_dims``, and over all."""
    settings: list[tuple[tuple[int, ...] | None, bool]] = [((-1,), False), ((1, 3), True), (None, False)]

    def case(axes: tuple[int, ...] | None, keep: bool) -> Case:
        program = lambda x: getattr(mb, op)(x=x, axes=axes, keep_dims=keep)  # noqa: E731
        return Case(op, [A], program, lambda x: oracle(x, axis=axes, keepdims=keep))

    return [case(*setting) for setting in settings]


def logical(name: str) -> Case:
    op = f"logical_{name}"
    program = lambda x, y: getattr(mb, op)(x=mb.greater(x=x, y=0.0), y=mb.less(x=y, y=0.0))  # noqa: E731
    return Case(op, [A, A], program, lambda x, y: getattr(np, op)(x > 0, y < 0))


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def erf(x: Array) -> Array:
    return np.vectorize(math.erf)(x)


def channels(v: Array) -> Array:
    return v.reshape(1, 3, 1, 1)


def normalized(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


ELEMENTWISE = [
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
    Case("pow", [A, B], lambda x, y: mb.pow(x=mb.abs(x=x), y=y), lambda x, y: np.abs(x) ** y),
    Case("cast", [A], lambda x: mb.cast(x=x, dtype="int32"), np.trunc),
    Case(
        "select",
        [A, B],
        lambda x, y: mb.select(cond=mb.greater(x=x, y=y), a=x, b=mb.sub(x=x, y=y)),
        lambda x, y: np.where(x > y, x, x - y),
    ),
    *(logical(name) for name in ("and", "or", "xor")),
    Case("logical_not", [A], lambda x: mb.logical_not(x=mb.greater(x=x, y=0.0)), lambda x: ~(x > 0)),
]
NORMS = [
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
SHAPES = [
    unary("reshape", lambda x: x.reshape(2, 15, 4), shape=[2, -1, 4]),
    unary("reshape", lambda x: x.reshape(2, 3, 2, 10), shape=[0, 0, 2, -1]),
    unary("transpose", lambda x: x.transpose(0, 2, 3, 1), perm=[0, 2, 3, 1]),
    Case("expand_dims", [(2, 3, 4)], lambda x: mb.expand_dims(x=x, axes=[1, -2]), lambda x: x[:, None, :, None, :]),
    Case("squeeze", [(1, 3, 1, 4)], lambda x: mb.squeeze(x=x, axes=[0, -2]), lambda x: x[0, :, 0]),
    Case("squeeze", [(1, 3, 1, 4)], lambda x: mb.squeeze(x=x), np.squeeze),
    Case("concat", [A, A], lambda x, y: mb.concat(values=[x, y], axis=-2), lambda x, y: np.concatenate([x, y], 2)),
    Case(
        "concat",
        [A, A],
        lambda x, y: mb.concat(values=[x, y], axis=1, interleave=True),
        lambda x, y: np.stack([x, y], 2).reshape(2, 6, 5, 4),
    ),
    Case("stack", [A, A], lambda x, y: mb.stack(values=[x, y], axis=1), lambda x, y: np.stack([x, y], 1)),
    Case(
        "split",
        [A],
        lambda x: mb.split(x=x, split_sizes=[1, 4], axis=2),
        lambda x: (x[:, :, :1], x[:, :, 1:]),
    ),
    Case("split", [A], lambda x: mb.split(x=x, num_splits=2, axis=-1), lambda x: (x[..., :2], x[..., 2:])),
    unary(
        "slice_by_index",
        lambda x: x[:, 1:3, ::2, -3:-1],
        begin=[9, 1, 0, -3],
        end=[9, 3, 9, -1],
        stride=[1, 1, 2, 1],
        begin_mask=[True, False, False, False],
        end_mask=[True, False, True, False],
    ),
    unary(
        "slice_by_index",
        lambda x: x[-1, ::-1, 3:0:-2, 2],
        begin=[-1, 0, 3, 2],
        end=[0, 0, 0, 0],
        stride=[1, -1, -2, 1],
        begin_mask=[False, True, False, False],
        end_mask=[False, True, False, False],
        squeeze_mask=[True, False, False, True],
    ),
    unary("slice_by_size", lambda x: x[0:1, 1:, 2:5, -2:-1], begin=[0, 1, 2, -2], size=[1, -1, 3, 1]),
    unary("crop", lambda x: x[:, :, 2:-1, 1:], crop_height=[2, 1], crop_width=[1, 0]),
    unary("tile", lambda x: np.tile(x, (1, 2, 1, 3)), reps=[1, 2, 1, 3]),
    unary("gather", lambda x: x[:, :, [4, 0, -1]], indices=[4, 0, -1], axis=2),
    unary("gather", lambda x: x[[[1, 0]]], indices=np.array([[1, 0]], np.int32), axis=0),
    unary("pad", lambda x: np.pad(x, [(0, 0), (1, 0), (0, 2), (3, 1)], constant_values=0.5),
          pad=[1, 0, 0, 2, 3, 1], mode="constant", constant_val=0.5),
    unary("pad", lambda x: np.pad(x, [(0, 0), (0, 0), (2, 1), (0, 3)], mode="reflect"),
          pad=[0, 0, 0, 0, 2, 1, 0, 3], mode="reflect"),
    unary("pad", lambda x: np.pad(x, [(0, 0), (0, 0), (0, 0), (3, 1)], mode="edge"), pad=[3, 1], mode="replicate"),
    Case("shape", [A], lambda x: mb.shape(x=x), lambda x: np.array(x.shape)),
    Case("fill", [A], lambda x: mb.add(x=x, y=mb.fill(shape=mb.shape(x=x), value=3.0)), lambda x: x + 3),
    Case("pixel_shuffle", [(1, 8, 3, 2)], lambda x: mb.pixel_shuffle(x=x, upscale_factor=2),
         lambda x: x.reshape(1, 2, 2, 2, 3, 2).transpose(0, 1, 4, 2, 5, 3).reshape(1, 2, 6, 4)),
    Case("pixel_unshuffle", [(1, 2, 6, 4)], lambda x: mb.pixel_unshuffle(x=x, downscale_factor=np.uint32(2)),
         lambda x: x.reshape(1, 2, 3, 2, 2, 2).transpose(0, 1, 3, 5, 2, 4).reshape(1, 8, 3, 2)),
]  # fmt: skip
PRODUCTS = [
    Case("linear", [(2, 7, 3)], lambda x: mb.linear(x=x, weight=np.outer(ALPHA, ALPHA), bias=ALPHA),
         lambda x: x @ np.outer(ALPHA, ALPHA).T + ALPHA),
    Case("matmul", [(2, 3, 5), (1, 5, 4)], lambda x, y: mb.matmul(x=x, y=y), lambda x, y: x @ y),
    Case("matmul", [(5, 3), (2, 4, 5)], lambda x, y: mb.matmul(x=x, y=y, transpose_x=True, transpose_y=True),
         lambda x, y: x.T @ y.transpose(0, 2, 1)),
    Case("einsum", [(2, 3, 5, 4), (2, 4, 5, 6)], lambda x, y: mb.einsum(values=(x, y), equation="nchw,nwhu->nchu"),
         lambda x, y: np.einsum("nchw,nwhu->nchu", x, y)),
    Case(
        "scaled_dot_product_attention",
        [(1, 2, 5, 8), (1, 2, 7, 8), (1, 2, 7, 3), (5, 7)],
        lambda q, k, v, m: mb.scaled_dot_product_attention(query=q, key=k, value=v, attn_mask=m),
        lambda q, k, v, m: (lambda s: s / s.sum(-1, keepdims=True))(
            np.exp(q @ k.swapaxes(-1, -2) / math.sqrt(8) + m)
        ) @ v,
        "iOS18",
    ),
]  # fmt: skip
QUANTIZED = [
    Case(
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
    Case(
        "quantize",
        [A],
        lambda input: mb.cast(
            x=mb.quantize(input=input, scale=np.abs(ALPHA) / 40, axis=1, output_dtype="uint8"), dtype="int32"
        ),
        lambda x: np.clip(np.round(x.astype(np.float32) / channels(np.abs(ALPHA) / 40)), 0, 255),
        "iOS17",
    ),
]


def upsampled(align_corners: bool) -> Case:
    scale = {"scale_factor_height": 3, "scale_factor_width": 2}
    return Case(
        "upsample_bilinear",
        [A],
        lambda x: mb.upsample_bilinear(x=x, align_corners=align_corners, **scale),
        lambda x: interpolated(x, (15, 8), align_corners),
    )


def resized(mode: str, size: tuple[int, int], oracle: Callable[[Array], Array], shape: tuple[int, ...] = A) -> Case:
    target = {"target_size_height": size[0], "target_size_width": size[1]}
    return Case("resize_bilinear", [shape], lambda x: mb.resize_bilinear(x=x, sampling_mode=mode, **target), oracle)


def interpolated(x: Array, size: tuple[int, int], align_corners: bool) -> Array:
    return F.interpolate(torch.from_numpy(x), size, mode="bilinear", align_corners=align_corners).numpy()


def between(x: Array, points: list[float]) -> Array:
    return x[..., :1] + (x[..., 1:] - x[..., :1]) * np.array(points)


RESIZES = [
    Case("upsample_nearest_neighbor", [A],
         lambda x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=3),
         lambda x: x.repeat(2, 2).repeat(3, 3)),
    Case("resize_nearest_neighbor", [A],
         lambda x: mb.resize_nearest_neighbor(x=x, target_size_height=15, target_size_width=4),
         lambda x: x.repeat(3, 2)),
    upsampled(align_corners=True),
    upsampled(align_corners=False),
    resized("STRICT_ALIGN_CORNERS", (7, 3), lambda x: interpolated(x, (7, 3), True)),
    resized("ALIGN_CORNERS", (7, 3), lambda x: interpolated(x, (7, 3), True)),
    resized("ALIGN_CORNERS", (1, 5), lambda x: between(x[:, :, 1:2], [0, 0.25, 0.5, 0.75, 1]), (1, 1, 3, 2)),
    resized("UNALIGN_CORNERS", (7, 3), lambda x: interpolated(x, (7, 3), False)),
    # The reference of the builder lists these sample points for two elements, at 0 and 1.
    resized("DEFAULT", (1, 5), lambda x: between(x, [0, 0.4, 0.8, 1, 1]), (1, 1, 1, 2)),
    resized("OFFSET_CORNERS", (1, 5), lambda x: between(x, [0.1, 0.3, 0.5, 0.7, 0.9]), (1, 1, 1, 2)),
    Case("resize", [A],
         lambda x: mb.resize(x=x, shape=np.array([9, 0], np.int32), resized_dims=np.uint32(2),
                             interpolation_mode="LINEAR", sampling_mode="UNALIGN_CORNERS"),
         lambda x: interpolated(x, (9, 4), False), "iOS17"),
]  # fmt: skip

CASES = ELEMENTWISE + NORMS + SHAPES + PRODUCTS + QUANTIZED + RESIZES


@pytest.mark.parametrize("case", [pytest.param(c, id=f"{i}-{c.op}") for i, c in enumerate(CASES)])
def test_operation_equals_its_formula(case: Case, build: Any, feeds: Any) -> None:
    interpreter = build(case.program, case.shapes, target=case.target, dtypes=case.dtypes)
    assert case.op in interpreter.operations  # else coremltools has replaced it, and nothing is tested
    feed = feeds(interpreter)
    expected = case.oracle(*(a.astype(np.float64) if a.dtype == np.float32 else a for a in feed.values()))
    outputs = list(interpreter.run(feed).values())
    for ours, wanted in zip(outputs, expected if isinstance(expected, tuple) else (expected,), strict=True):
        assert ours.shape == np.shape(wanted)
        np.testing.assert_allclose(ours, wanted, rtol=2e-6, atol=1e-6)


def test_every_operation_is_tested() -> None:
    elsewhere = {"conv", "conv_transpose", "avg_pool", "max_pool"}
    assert {c.op for c in CASES} | elsewhere == set(KERNELS)
