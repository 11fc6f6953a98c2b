"""Engines. Each runs a model file on named tensors and knows nothing about faces.

An engine is one file and one line: a class with a ``name`` and a ``run``, and a :func:`register_backend` call that
imports it when it is first opened. :func:`open_backend` tries them in the order in which they were registered.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Protocol

from ...artifact import Artifact
from ...errors import MissingExtra, PocketfaceError, UnsupportedModel
from .fake import FakeBackend
from .one_by_one import OneByOne
from .tensors import Array, Feeds

__all__ = ["Backend", "FakeBackend", "Loader", "available_backends", "open_backend", "register_backend"]


class Backend(Protocol):
    """A model loaded into an engine. It keeps buffers between runs: give every thread its own."""

    @property
    def name(self) -> str:
        """The engine's name, as :func:`open_backend` takes it."""

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run the model: input tensor name -> array, to output tensor name -> array, batch first."""


#: Artifact, number of threads (None: the engine's own choice) -> Backend.
Loader = Callable[[Artifact, int | None], Backend]

_LOADERS: dict[str, dict[str, Loader]] = {}


def register_backend(name: str, format: str, loader: Loader) -> None:
    """Add an engine for files of a format (``onnx``, ``tflite``, ``coreml``), to be tried after those that are there.

    The loader raises MissingExtra if its package is not installed, and UnsupportedModel for a sound file that the
    engine cannot run or would run wrongly.
    """
    _LOADERS.setdefault(format, {})[name] = loader


def available_backends(format: str) -> list[str]:
    """Names of the engines for a format, in the order in which they are tried; some may not be installed here."""
    return list(_LOADERS.get(format, {}))


def open_backend(artifact: Artifact, name: str | None = None, threads: int | None = None) -> Backend:
    """Load a model into the engine of that name, or into the first one that can run it.

    Pictures may always be sent in batches: where the contract says one at a time, they are run so.

    Raises:
        MissingExtra: the engine's package is not installed.
        UnsupportedModel: no engine of that name, or none that can run this file rightly; the message says why.
        InvalidModel: the file is damaged.
        ValueError: threads is less than 1.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be 1 or more, got {threads}")
    loaders = _LOADERS.get(artifact.format, {})
    if name is not None and name not in loaders:
        known = ", ".join(loaders) or "none"
        raise UnsupportedModel(f"{artifact.path}: no backend {name!r} for {artifact.format} files, there are: {known}")
    refusals: dict[str, PocketfaceError] = {}
    for candidate in [name] if name else loaders:
        try:
            backend = loaders[candidate](artifact, threads)
        except (MissingExtra, UnsupportedModel) as e:
            refusals[candidate] = e
        else:
            return backend if artifact.contract.input.dynamic_batch else OneByOne(backend)
    raise _summary(artifact, refusals)


def _summary(artifact: Artifact, refusals: dict[str, PocketfaceError]) -> PocketfaceError:
    """One refusal speaks for itself, and where only packages are missing the first is the one to install."""
    if len(refusals) == 1 or (refusals and all(isinstance(e, MissingExtra) for e in refusals.values())):
        return next(iter(refusals.values()))
    reasons = "; ".join(f"{name}: {e}" for name, e in refusals.items()) or "none is registered"
    return UnsupportedModel(f"{artifact.path}: no backend can run it: {reasons}")


def _lazily(module: str, function: str) -> Loader:
    """A loader that is imported when it is first used, for an engine's package may be large or missing."""
    return lambda artifact, threads: getattr(import_module(module, __name__), function)(artifact, threads)


register_backend("onnxruntime", "onnx", _lazily(".ort", "load_onnxruntime"))
register_backend("litert", "tflite", _lazily(".litert", "load_litert"))
register_backend("tflite-runtime", "tflite", _lazily(".litert", "load_tflite_runtime"))
register_backend("coreml", "coreml", _lazily(".coreml", "load_coreml"))
