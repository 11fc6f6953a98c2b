"""Imports go down only, and the house is in order; checked on the sources, where no import can hide in a function."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

import pocketface

ROOT = Path(__file__).resolve().parent.parent
#: From the ground up. A part may import from the rows below its own, and from itself.
LAYERS = (
    ("errors", "wire"),
    ("contract", "embedded", "environment"),
    ("artifact",),
    ("report", "weights"),
    ("render", "runtime"),
    ("draw", "models"),
    ("evaluate",),
    ("export", "train"),
    ("bench",),
    ("quantize",),
    ("demo",),
    ("cli",),
    ("__main__",),
)
LEVEL = {part: level for level, row in enumerate(LAYERS) for part in row}
#: Tools that take seconds to load and are on no phone, and the only parts that may ask for them.
HEAVY = {"torch", "onnx", "onnxscript", "coremltools", "litert_torch", "tensorflow", "jax", "safetensors", "sklearn"}
HEAVY |= {"ai_edge_quantizer", "torchao", "openvino"}
TOOLING = {"bench", "evaluate", "models", "export", "quantize", "train", "cli"}
#: Apple's engine is reached through coremltools, on macOS only and when a model is opened.
ENGINE = {"runtime/backends/coreml.py": {"coremltools"}}

FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in ROOT.rglob("*.py")
    if path.relative_to(ROOT).parts[0] not in ("tests", "bindings", "docs", "build", "dist", "out")
    and not path.relative_to(ROOT).parts[0].startswith(".")
)


def imported(source: str, file: str) -> Iterator[str]:
    """The absolute names of all modules that a source imports, anywhere in it."""
    package = ".".join(("pocketface", *Path(file).parent.parts))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module or ""
            yield from (f"{base}.{alias.name}" for alias in node.names)


def part_of(file: str) -> str:
    """The folder at the root that a file is in, or its own name."""
    return Path(file).parts[0].removesuffix(".py")


def violations(source: str, file: str) -> list[str]:
    """The imports of a source that its place forbids."""
    part, found = part_of(file), []
    for name in imported(source, file):
        top, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        upward = top == "pocketface" and other in LEVEL and other != part and LEVEL[other] >= LEVEL.get(part, -1)
        heavy = top in HEAVY and part not in TOOLING and top not in ENGINE.get(file, ())
        engine = part == "models" and name.startswith("pocketface.runtime.backends")
        if upward or heavy or engine:
            found.append(name)
    return found


@pytest.mark.parametrize("file", FILES)
def test_imports_go_down_only(file: str) -> None:
    assert violations((ROOT / file).read_text(), file) == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("errors.py", "from .contract import ModelContract"),
        ("contract.py", "from .embedded import KEY"),
        ("__init__.py", "from .errors import PocketfaceError"),
        ("runtime/align.py", "def f():\n    from ..evaluate import parity"),
        ("runtime/backends/ort.py", "from ...models.blocks import ConvNorm"),
        ("runtime/backends/ort.py", "import onnx.helper"),
        ("runtime/backends/ort.py", "import coremltools"),
        ("models/mos.py", "from ..export import export_model"),
        ("models/mos.py", "from ..runtime.backends import open_backend"),
        ("models/mos.py", "from .. import evaluate"),
        ("report.py", "from . import runtime"),
        ("demo.py", "def f():\n    import torch"),
    ],
)
def test_an_import_upwards_would_be_found(file: str, source: str) -> None:
    assert violations(source, file)


def test_every_part_has_its_layer() -> None:
    assert {part_of(file) for file in FILES} - {"__init__"} <= LEVEL.keys()


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_one_idea(file: str) -> None:
    assert len((ROOT / file).read_text().splitlines()) <= 300


def test_no_file_hides_another_module() -> None:
    """At the root, a name of the standard library; anywhere, a name of a package that we use."""
    used = {name.partition(".")[0] for file in FILES for name in imported((ROOT / file).read_text(), file)}
    assert not {Path(file).stem for file in FILES} & (used - sys.stdlib_module_names - {"pocketface"})
    assert not {part_of(file) for file in FILES} & sys.stdlib_module_names


def test_public_names_exist_and_hide_no_module() -> None:
    assert not {part_of(file) for file in FILES} & set(pocketface.__all__)
    assert all(getattr(pocketface, name) for name in pocketface.__all__)


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("pocketface", "numpy torch msgspec PIL"),
        ("pocketface.cli", "numpy torch onnx onnxruntime PIL jinja2"),
        ("pocketface.runtime", "torch onnx coremltools onnxruntime"),
        ("pocketface.report", "numpy torch jinja2 rich"),
    ],
)
def test_an_import_loads_no_more_than_it_must(module: str, unwanted: str) -> None:
    code = f"import sys, {module}; print(*set({unwanted.split()}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
