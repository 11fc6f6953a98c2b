"""Half precision: every result is rounded, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb  # noqa: N813
from coremltools.proto import Model_pb2

from pocketface.evaluate.mil import open_package
from pocketface.evaluate.mil.quiet import coremltools

ct = coremltools()
SHAPE = (1, 3, 8, 8)
HALF, SINGLE = np.float16, np.float32


@pytest.mark.parametrize(
    ("op", "exact"),
    [
        ("add", np.add),
        ("sub", np.subtract),
        ("mul", np.multiply),
        ("real_div", np.divide),
        ("maximum", np.maximum),
        ("pow", lambda x, y: np.abs(x) ** np.round(y)),
    ],
)
def test_elementwise_results_are_those_of_numpy_in_half(
    build: Any, feeds: Any, op: str, exact: Callable[..., Any]
) -> None:
    def program(x: Any, y: Any) -> Any:
        return getattr(mb, op)(x=mb.abs(x=x) if op == "pow" else x, y=mb.round(x=y) if op == "pow" else y)

    interpreter = build(program, [SHAPE, SHAPE], dtypes=["float16", "float16"])
    feed = feeds(interpreter)
    (ours,) = interpreter.run(feed).values()
    assert ours.dtype == HALF
    with np.errstate(over="ignore"):
        wide = exact(feed["x"].astype(np.float64), feed["y"].astype(np.float64)).astype(SINGLE)
        np.testing.assert_array_equal(ours, wide.astype(HALF))
    assert not np.array_equal(ours.astype(SINGLE), wide) or op == "maximum"  # something was rounded


def test_rounding_happens_after_every_operation(build: Any, feeds: Any) -> None:
    interpreter = build(lambda x: mb.add(x=mb.mul(x=x, y=x), y=x), [SHAPE], dtypes=["float16"])
    feed = feeds(interpreter)
    x = feed["x"]
    (ours,) = interpreter.run(feed).values()
    np.testing.assert_array_equal(ours, (x * x) + x)  # numpy rounds after each, too
    once = (x.astype(SINGLE) * x.astype(SINGLE) + x.astype(SINGLE)).astype(HALF)
    assert not np.array_equal(ours, once)


def test_overflow_shows_as_infinity_where_it_happens(build: Any) -> None:
    interpreter = build(
        lambda x: mb.rsqrt(x=mb.reduce_sum(x=mb.mul(x=x, y=x), axes=[1, 2, 3])), [SHAPE], dtypes=["float16"]
    )
    values = interpreter.values({"x": np.full(SHAPE, 300, HALF)})
    first = next(name for name, value in values.items() if not np.isfinite(value).all())
    assert first == list(values)[1]
    assert np.isposinf(values[first]).all()
    np.testing.assert_array_equal(list(values.values())[-1], 0)


def test_convolutions_add_in_float32_and_round_once(build: Any, feeds: Any) -> None:
    weight = np.random.default_rng(2).normal(size=(4, 3, 3, 3)).astype(HALF)
    program = lambda x: mb.conv(x=x, weight=weight)  # noqa: E731
    half = build(program, [SHAPE], dtypes=["float16"])
    feed = feeds(half)
    (ours,) = half.run(feed).values()
    single = build(lambda x: mb.conv(x=x, weight=weight.astype(SINGLE)), [SHAPE])
    (exact,) = single.run({"x": feed["x"].astype(SINGLE)}).values()
    np.testing.assert_array_equal(ours, exact.astype(HALF))


def without_epsilon(package: Path) -> Path:
    """coremltools writes defaults into the file; other tools need not."""
    model = package / "Data/com.apple.CoreML/model.mlmodel"
    spec = Model_pb2.Model()
    spec.ParseFromString(model.read_bytes())
    (block,) = spec.mlProgram.functions["main"].block_specializations.values()
    next(o for o in block.operations if o.type == "log").inputs.pop("epsilon")
    model.write_bytes(spec.SerializeToString())
    return package


@pytest.mark.parametrize("given", [False, True])
def test_a_default_epsilon_is_a_number_in_half(save: Any, tmp_path: Path, given: bool) -> None:
    """1e-45 is zero in half, so the logarithm of zero is minus infinity there and only there."""
    answers = {}
    for dtype in ("float16", "float32"):
        path = save(tmp_path / f"{dtype}.mlpackage", lambda x: mb.log(x=x), [SHAPE], dtypes=[dtype])
        interpreter = open_package(path if given else without_epsilon(path))
        (answers[dtype],) = interpreter.run({"x": np.zeros(SHAPE)}).values()
    assert np.isneginf(answers["float16"]).all()
    np.testing.assert_allclose(answers["float32"], np.log(1.4013e-45), rtol=1e-3)


def test_mixed_precision_follows_the_declared_types(build: Any, feeds: Any) -> None:
    weight = np.random.default_rng(3).normal(size=(3, 3, 1, 1)).astype(SINGLE)

    def program(x: Any) -> Any:
        return mb.exp(x=mb.conv(x=x, weight=weight))

    chosen = ct.transform.FP16ComputePrecision(op_selector=lambda op: op.op_type == "conv")
    interpreter = build(program, [SHAPE], precision=chosen)
    feed = feeds(interpreter)
    values = interpreter.values(feed)
    dtypes = {op: value.dtype for op, value in zip(interpreter.operations, list(values.values())[1:], strict=True)}
    assert dtypes["conv"] == HALF
    assert dtypes["exp"] == SINGLE
    x, w = feed["x"].astype(HALF).astype(np.float64), weight.astype(HALF).astype(np.float64)
    inner = np.einsum("oi,bihw->bohw", w[..., 0, 0], x).astype(SINGLE).astype(HALF)
    (ours,) = interpreter.run(feed).values()
    np.testing.assert_allclose(ours, np.exp(inner.astype(np.float64)), rtol=2e-6)
