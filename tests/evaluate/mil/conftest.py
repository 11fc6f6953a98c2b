"""Small Core ML packages, built with coremltools' own builder and read back by the interpreter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketface.evaluate.mil import Interpreter, open_package
from pocketface.evaluate.mil.ops import KERNELS
from pocketface.evaluate.mil.quiet import coremltools

ct = coremltools()
from coremltools.converters.mil import Builder as mb  # noqa: E402, N813
from coremltools.converters.mil.mil import types  # noqa: E402

_TYPES = {"float32": types.fp32, "float16": types.fp16, "int32": types.int32}


def save_program(
    path: Path,
    function: Callable[..., Any],
    shapes: Sequence[tuple[int, ...]],
    *,
    dtypes: Sequence[str] | None = None,
    target: str = "iOS16",
    precision: Any = None,
) -> Path:
    """Save a function of MIL variables as a package, its operations as they are."""
    inputs = [
        mb.TensorSpec(shape=shape, dtype=_TYPES[dtype])
        for shape, dtype in zip(shapes, dtypes or ["float32"] * len(shapes), strict=True)
    ]
    opset = getattr(ct.target, target)
    program = mb.program(input_specs=inputs, opset_version=opset)(function)
    model = ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=opset,
        compute_precision=precision or ct.precision.FLOAT32,
        pass_pipeline=ct.PassPipeline() if precision else ct.PassPipeline.EMPTY,
        skip_model_load=True,
    )
    model.save(str(path))
    return path


@pytest.fixture(scope="session")
def save() -> Callable[..., Path]:
    """``save(path, function, shapes, ...)``: a package with such a program."""
    return save_program


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Interpreter]:
    """``build(function, shapes, ...)``: the interpreter of such a program."""

    def make(function: Callable[..., Any], shapes: Sequence[tuple[int, ...]], **options: Any) -> Interpreter:
        return open_package(save_program(tmp_path / "model.mlpackage", function, shapes, **options))

    return make


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with a blob in its weight file: a convolution, then an activation."""
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    return save_program(tmp_path / "net.mlpackage", lambda x: mb.relu(x=mb.conv(x=x, weight=weight)), [(1, 3, 5, 7)])


@pytest.fixture(scope="session")
def feeds() -> Callable[..., dict[str, Any]]:
    """``feeds(interpreter)``: random numbers for every input, small integers for integers."""

    def make(interpreter: Interpreter, seed: int = 0) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        found = {}
        for name, kind in interpreter.inputs.items():
            values = rng.normal(size=kind.shape) if kind.element.is_float else rng.integers(1, 9, kind.shape)
            found[name] = values.astype(kind.element.numpy)
        return found

    return make


@pytest.fixture
def check_operation(build: Any, feeds: Any) -> Callable[..., None]:
    """Compare a program that uses an operation with an oracle that is given float64 for float32."""

    def check(
        op: str,
        shapes: Sequence[tuple[int, ...]],
        program: Callable[..., Any],
        oracle: Callable[..., Any],
        target: str = "iOS16",
        dtypes: Sequence[str] | None = None,
    ) -> None:
        interpreter = build(program, shapes, target=target, dtypes=dtypes)
        assert op in interpreter.operations  # else coremltools has replaced it, and nothing is tested
        feed = feeds(interpreter)
        wanted = oracle(*(a.astype(np.float64) if a.dtype == np.float32 else a for a in feed.values()))
        answers = list(interpreter.run(feed).values())
        for ours, theirs in zip(answers, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
            assert ours.shape == np.shape(theirs)
            np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-6)

    return check


@pytest.fixture
def operations_of() -> Callable[..., set[str]]:
    """``operations_of("shapes", ...)``: names of all operations that these modules define."""

    def names(*modules: str) -> set[str]:
        return {op for op, kernel in KERNELS.items() if kernel.function.__module__.split(".")[-1] in modules}

    return names
