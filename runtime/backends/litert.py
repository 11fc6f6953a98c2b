"""LiteRT for .tflite files: ai-edge-litert 2.3, and its predecessor tflite-runtime 2.14 where nothing newer installs.

tflite-runtime ended in 2023. It runs float32, float16-weight and static int8 files as rightly as LiteRT, and it goes
wrong without a word on others: those are found here, in the file itself, and refused. It also crashes the process on a
damaged file, so it is only given files whose SHA-256 a sidecar has confirmed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...artifact import Artifact, sidecar_path
from ...errors import InvalidModel, MissingExtra, UnsupportedModel
from .flatbuffer import Operator, read_operators
from .integers import dequantize, quantize, steps_of
from .tensors import Array, Feeds, TensorSpec, check_feeds

# TensorType and BuiltinOperator numbers of TensorFlow Lite's schema.
_FLOAT32, _INT16, _INT8, _INT4 = 0, 7, 9, 17
_FULLY_CONNECTED, _GELU = 9, 150


def load_litert(artifact: Artifact, threads: int | None = None) -> LiteRtBackend:
    """Open a ``.tflite`` with ai-edge-litert.

    Raises:
        MissingExtra: ai-edge-litert is not installed.
        UnsupportedModel: an operator that it does not have, or not exactly one signature.
        InvalidModel: the file is damaged.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as e:
        raise MissingExtra("ai-edge-litert", "litert", "run .tflite files") from e
    return LiteRtBackend("litert", Interpreter, artifact, threads)


def load_tflite_runtime(artifact: Artifact, threads: int | None = None) -> LiteRtBackend:
    """Open a ``.tflite`` with tflite-runtime.

    Raises:
        MissingExtra: tflite-runtime is not installed.
        UnsupportedModel: it would run the file wrongly, or cannot run at all beside the installed numpy.
        InvalidModel: the file is damaged.
    """
    try:
        from tflite_runtime.interpreter import Interpreter
    except ImportError as e:
        raise MissingExtra("tflite-runtime", "tflite", "run .tflite files with the backend 'tflite-runtime'") from e
    if reason := _refusal(artifact):
        raise UnsupportedModel(f"{artifact.path}: not for tflite-runtime: {reason}, or use the backend 'litert'")
    return LiteRtBackend("tflite-runtime", Interpreter, artifact, threads)


class LiteRtBackend:
    """The one signature of a ``.tflite``: inputs and outputs by name, one picture at a time."""

    def __init__(self, name: str, interpreter: Any, artifact: Artifact, threads: int | None) -> None:
        self.name, self._model = name, str(artifact.path)
        try:
            self._interpreter = interpreter(model_path=self._model, num_threads=threads)
        except ValueError as e:
            raise InvalidModel(f"{self._model}: {name} cannot load it: {e}") from e
        if len(signatures := self._interpreter.get_signature_list()) != 1:
            raise UnsupportedModel(f"{self._model}: it has {len(signatures)} signatures, expected one")
        try:
            self._interpreter.allocate_tensors()
            self._run = self._interpreter.get_signature_runner()
        except (RuntimeError, ValueError) as e:  # an operator that this engine does not have
            raise UnsupportedModel(f"{self._model}: {name} cannot run it: {e}") from e
        details = self._run.get_input_details()
        self._steps = steps_of(details, self._model)
        self._output_steps = steps_of(self._run.get_output_details(), self._model)
        self._inputs = {key: TensorSpec(self._type(key, d), tuple(d["shape"])) for key, d in details.items()}

    def _type(self, key: str, detail: Any) -> str:
        """What an input is fed with: where the file quantizes it, the numbers that its integers stand for."""
        return "float32" if key in self._steps else np.dtype(detail["dtype"]).name

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run the model once. Inputs and outputs that the file quantizes come and go as float32.

        Raises:
            InvalidContract: wrong names, types or shapes.
            UnsupportedModel: an operator fails on this input.
        """
        check_feeds(self._model, feeds, self._inputs)
        try:
            outputs: dict[str, Array] = self._run(**quantize(feeds, self._steps))
        except (RuntimeError, ValueError) as e:
            raise UnsupportedModel(f"{self._model}: {self.name} fails to run it: {e}") from e
        return dequantize(outputs, self._output_steps)


def _refusal(artifact: Artifact) -> str | None:
    """Why tflite-runtime must not be given this file, and what else could be done; None if it may."""
    if int(np.__version__.split(".")[0]) >= 2:
        return f"it needs numpy < 2 and {np.__version__} is installed: pip install 'numpy<2'"
    if not sidecar_path(artifact.path).is_file():
        return f"it crashes on damaged files and no {sidecar_path(artifact.path).name} confirms this one: copy that too"
    try:
        operators = read_operators(artifact.path.read_bytes())
    except ValueError as e:
        raise InvalidModel(f"{artifact.path}: {e}") from e
    return next(filter(None, map(_fault, operators)), None)


def _fault(operator: Operator) -> str | None:
    """What is known to go wrong with an operator in tflite-runtime 2.14. Measured, see the tests."""
    types = [tensor.type for tensor in operator.inputs]
    if _INT4 in types:
        return "it answers nonsense for int4 weights: quantize to int8"
    if operator.code == _FULLY_CONNECTED and types[:2] == [_FLOAT32, _INT8] and operator.inputs[1].scales > 1:
        return "it answers nonsense for dynamic-range FULLY_CONNECTED with a scale per channel: use one per tensor"
    if operator.code == _GELU and types[:1] == [_INT16]:
        return "it has no GELU for int16 activations: quantize to int8"
    return None
