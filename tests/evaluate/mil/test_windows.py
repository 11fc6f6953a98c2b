"""Convolutions and pools against loops over their windows, in float64."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb  # noqa: N813

from pocketface.errors import UnsupportedModel

Array = np.ndarray
Pads = list[tuple[int, int]]
ONE = (1, 1)


def windows(size: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...]) -> Iterator[tuple[Any, Any]]:
    """Index in the output, and the window in the (padded) input."""
    counts = [(n - k) // s + 1 for n, k, s in zip(size, kernel, stride, strict=True)]
    for at in itertools.product(*map(range, counts)):
        yield at, tuple(slice(i * s, i * s + k) for i, s, k in zip(at, stride, kernel, strict=True))


def slow_conv(x: Array, w: Array, stride: Any, pads: Pads, dilation: Any, groups: int) -> Array:
    x = np.pad(x, [(0, 0), (0, 0), *pads])
    extent = tuple((k - 1) * d + 1 for k, d in zip(w.shape[2:], dilation, strict=True))
    taps = (slice(None), slice(None), *(slice(None, None, d) for d in dilation))
    share, per = x.shape[1] // groups, w.shape[0] // groups
    found: dict[Any, Array] = {}
    for at, window in windows(x.shape[2:], extent, stride):
        patch = x[(slice(None), slice(None), *window)][taps]
        of = lambda o, patch=patch: patch[:, o // per * share : (o // per + 1) * share] * w[o]  # noqa: E731
        found[at] = np.stack([of(o).reshape(len(x), -1).sum(1) for o in range(w.shape[0])], 1)
    shape = tuple(n + 1 for n in max(found))
    return np.stack(list(found.values()), -1).reshape(len(x), w.shape[0], *shape)


def slow_pool(x: Array, kernel: Any, stride: Any, pads: Pads, reduce: Callable[[Array], Array]) -> Array:
    x = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=np.nan)
    found = {at: reduce(x[(slice(None), slice(None), *window)]) for at, window in windows(x.shape[2:], kernel, stride)}
    return np.stack(list(found.values()), -1).reshape(*x.shape[:2], *(n + 1 for n in max(found)))


def tensorflow_same(size: Any, kernel: Any, stride: Any) -> Pads:
    """What TensorFlow's documentation says of SAME: the extra element goes to the end."""
    pads = []
    for n, k, s in zip(size, kernel, stride, strict=True):
        total = max(k - s, 0) if n % s == 0 else max(k - n % s, 0)
        pads.append((total // 2, total - total // 2))
    return pads


CONVS = [
    pytest.param((1, 3, 7, 6), (4, 3, 3, 3), {}, [(0, 0), (0, 0)], id="valid"),
    pytest.param((2, 3, 7, 6), (4, 3, 3, 2), {"strides": [2, 1]}, [(0, 0), (0, 0)], id="stride, rectangular"),
    pytest.param(
        (1, 4, 7, 6), (4, 1, 3, 3), {"groups": 4, "pad_type": "custom", "pad": [1, 1, 1, 1]}, [ONE, ONE], id="depthwise"
    ),
    pytest.param((1, 4, 7, 5), (6, 2, 3, 3), {"groups": 2, "strides": [2, 2]}, [(0, 0), (0, 0)], id="groups"),
    pytest.param(
        (1, 2, 9, 8), (3, 2, 3, 3), {"dilations": [2, 3], "pad_type": "custom", "pad": [0, 2, 3, 1]},
        [(0, 2), (3, 1)], id="dilation, asymmetric"),
    pytest.param((1, 2, 8, 7), (3, 2, 3, 4), {"pad_type": "same", "strides": [2, 2]}, None, id="same"),
    pytest.param((1, 2, 9, 7), (3, 2, 2, 5), {"pad_type": "same", "strides": [3, 2]}, None, id="same, stride 3"),
    pytest.param((1, 2, 8, 7), (3, 2, 3, 4), {"pad_type": "same_lower", "strides": [2, 2]}, None, id="same_lower"),
    pytest.param((2, 3, 9), (4, 3, 3), {"strides": [2], "pad_type": "custom", "pad": [2, 0]}, [(2, 0)], id="1d"),
    pytest.param((1, 2, 4, 5, 3), (3, 2, 2, 3, 2), {"strides": [1, 2, 1]}, [(0, 0)] * 3, id="3d"),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "kernel", "options", "pads"), CONVS)
def test_conv(build: Any, feeds: Any, shape: Any, kernel: Any, options: dict[str, Any], pads: Pads | None) -> None:
    rng = np.random.default_rng(1)
    weight, bias = rng.normal(size=kernel).astype(np.float32), rng.normal(size=kernel[0]).astype(np.float32)
    interpreter = build(lambda x: mb.conv(x=x, weight=weight, bias=bias, **options), [shape])
    stride = options.get("strides", [1] * (len(shape) - 2))
    if pads is None:
        pads = tensorflow_same(shape[2:], kernel[2:], stride)
        pads = [p[::-1] for p in pads] if options["pad_type"] == "same_lower" else pads
    feed = feeds(interpreter)
    dilation = options.get("dilations", [1] * len(stride))
    expected = slow_conv(feed["x"].astype(np.float64), weight, stride, pads, dilation, options.get("groups", 1))
    (ours,) = interpreter.run(feed).values()
    np.testing.assert_allclose(ours, expected + bias.reshape(-1, *[1] * len(stride)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("stride", "pad", "groups", "dilation"),
    [((1, 1), (0, 0, 0, 0), 1, (1, 1)), ((2, 3), (1, 0, 0, 2), 2, (1, 1)), ((2, 1), (1, 1, 2, 2), 1, (1, 2))],
)
def test_conv_transpose_is_the_transpose_of_conv(
    build: Any, feeds: Any, stride: Any, pad: Any, groups: int, dilation: Any
) -> None:
    """``<conv(y), x> == <y, conv_transpose(x)>`` for every y: here for every unit vector at once."""
    weight = np.random.default_rng(1).normal(size=(4, 6 // groups, 3, 2)).astype(np.float32)
    interpreter = build(
        lambda x: mb.conv_transpose(
            x=x, weight=weight, strides=stride, pad_type="custom", pad=pad, groups=groups, dilations=dilation
        ),
        [(1, 4, 3, 4)],
    )
    feed = feeds(interpreter)
    (ours,) = interpreter.run(feed).values()
    units = np.eye(ours.size).reshape(ours.size, *ours.shape[1:])
    pads = list(zip(pad[::2], pad[1::2], strict=True))
    # The group's share of conv's weight is (out, in / groups): conv_transpose's as it stands.
    answers = slow_conv(units, weight.astype(np.float64), stride, pads, dilation, groups)
    np.testing.assert_allclose(ours.reshape(-1), (answers * feed["x"]).sum((1, 2, 3)), rtol=1e-5, atol=1e-5)


POOLS = [
    pytest.param([3, 3], [2, 2], "valid", None, False, [(0, 0), (0, 0)], id="valid"),
    pytest.param([3, 2], [1, 2], "custom", [1, 2, 0, 1], False, [(1, 2), (0, 1)], id="asymmetric"),
    pytest.param([2, 3], [2, 2], "same", None, False, [(0, 1), (0, 1)], id="same"),
    pytest.param([2, 2], [2, 2], "same_lower", None, False, [(1, 0), (0, 0)], id="same_lower"),
    pytest.param([3, 2], [3, 3], "valid", None, True, [(0, 2), (0, 0)], id="ceil"),
    pytest.param([3, 3], [2, 2], "custom", [1, 1, 1, 1], True, [(1, 1), (1, 2)], id="ceil, padded"),
]


def options_of(kernel: Any, stride: Any, kind: str, pad: Any, ceil: bool) -> dict[str, Any]:
    options = {"kernel_sizes": kernel, "strides": stride, "pad_type": kind, "ceil_mode": ceil}
    return options | ({"pad": pad} if pad else {})


@pytest.mark.parametrize(("kernel", "stride", "kind", "pad", "ceil", "pads"), POOLS)
def test_max_pool(
    build: Any, feeds: Any, kernel: Any, stride: Any, kind: str, pad: Any, ceil: bool, pads: Pads
) -> None:
    options = options_of(kernel, stride, kind, pad, ceil)
    interpreter = build(lambda x: mb.max_pool(x=x, **options), [(2, 3, 7, 8)])
    feed = {"x": -1 - np.abs(feeds(interpreter)["x"])}  # negative, so that a zero of padding would win
    expected = slow_pool(feed["x"], kernel, stride, pads, lambda window: np.nanmax(window, (2, 3)))
    np.testing.assert_array_equal(*interpreter.run(feed).values(), expected)


@pytest.mark.parametrize("exclude", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "kind", "pad", "ceil", "pads"), POOLS)
def test_avg_pool(
    build: Any, feeds: Any, kernel: Any, stride: Any, kind: str, pad: Any, ceil: bool, pads: Pads, exclude: bool
) -> None:
    options = options_of(kernel, stride, kind, pad, ceil) | {"exclude_padding_from_average": exclude}
    interpreter = build(lambda x: mb.avg_pool(x=x, **options), [(2, 3, 7, 8)])

    def mean(window: Array) -> Array:
        return np.nanmean(window, (2, 3)) if exclude else np.nansum(window, (2, 3)) / math.prod(kernel)

    feed = feeds(interpreter)
    expected = slow_pool(feed["x"].astype(np.float64), kernel, stride, pads, mean)
    np.testing.assert_allclose(*interpreter.run(feed).values(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (lambda x: mb.conv_transpose(x=x, weight=np.ones((2, 1, 3, 3)), pad_type="same"), "pad_type 'same'"),
        (
            lambda x: mb.conv_transpose(x=x, weight=np.ones((2, 1, 3, 3)), output_shape=[1, 1, 8, 8], strides=[2, 2]),
            "extends",
        ),
        (
            lambda x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=1.5, scale_factor_width=2.0),
            "only whole factors",
        ),
        (lambda x: mb.gather(x=x, indices=[3], axis=3, validate_indices=False), "outside of 3"),
        (lambda x: mb.cast(x=mb.mul(x=x, y=1e12), dtype="int32"), "outside of int32"),
    ],
)
def test_what_is_not_defined_is_refused(build: Any, feeds: Any, program: Any, reason: str) -> None:
    interpreter = build(program, [(1, 2, 3, 3)], target="iOS17")
    with pytest.raises(UnsupportedModel, match=reason):
        interpreter.run(feeds(interpreter))
