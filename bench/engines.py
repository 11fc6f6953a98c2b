"""The packages that engines come from."""

from __future__ import annotations

import contextlib
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple


class Package(NamedTuple):
    """What an engine comes from."""

    module: str
    distribution: str


#: Engine -> package, so that it can be imported before the clock runs, and its version told.
PACKAGES = {
    "onnxruntime": Package("onnxruntime", "onnxruntime"),
    "litert": Package("ai_edge_litert.interpreter", "ai-edge-litert"),
    "tflite-runtime": Package("tflite_runtime.interpreter", "tflite-runtime"),
    "coreml": Package("coremltools", "coremltools"),
    "mil": Package("torch", "torch"),
}


def engine_version(engine: str) -> str:
    """Version of an engine's package; empty if it has none or is not installed."""
    try:
        return version(PACKAGES[engine].distribution)
    except (KeyError, PackageNotFoundError):
        return ""


def import_engine(engine: str) -> None:
    """Load an engine's own code; whether it is missing is for the backend to say."""
    with contextlib.suppress(KeyError, ImportError):
        import_module(PACKAGES[engine].module)
