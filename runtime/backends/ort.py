"""ONNX Runtime, on the CPU. Measured with 1.31."""

from __future__ import annotations

from typing import Any

from ...artifact import Artifact
from ...errors import InvalidModel, MissingExtra, UnsupportedModel
from .tensors import Array, Feeds, TensorSpec, check_feeds

#: ONNX Runtime's names for element types -> numpy's.
_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8", "tensor(int8)": "int8"}


def load_onnxruntime(artifact: Artifact, threads: int | None = None) -> OrtBackend:
    """Open an ``.onnx`` with ONNX Runtime.

    Raises:
        MissingExtra: onnxruntime is not installed.
        UnsupportedModel: an operator that this release of onnxruntime does not have.
        InvalidModel: the file is damaged.
    """
    try:
        import onnxruntime as ort
    except ImportError as e:
        raise MissingExtra("onnxruntime", None, "run .onnx files") from e
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 4  # quiet: what it warns of it handles, and its errors come as exceptions too
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        # Without the fallback, which would print to stdout and then try the same provider again.
        session = ort.InferenceSession(
            str(artifact.path), options, providers=["CPUExecutionProvider"], enable_fallback=False
        )
    except Exception as e:  # onnxruntime has a dozen exception types without a common base
        raise _translated(e, artifact) from e
    return OrtBackend(session, str(artifact.path))


class OrtBackend:
    """An ``onnxruntime.InferenceSession`` that says clearly what is wrong with its feeds."""

    name = "onnxruntime"

    def __init__(self, session: Any, model: str) -> None:
        self._session, self._model = session, model
        self._inputs = {i.name: TensorSpec(_DTYPES.get(i.type, i.type), _shape(i.shape)) for i in session.get_inputs()}
        self._outputs = [o.name for o in session.get_outputs()]

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run the model once.

        Raises:
            InvalidContract: wrong names, types or shapes.
            UnsupportedModel: an operator fails on this input.
        """
        check_feeds(self._model, feeds, self._inputs)
        try:
            return dict(zip(self._outputs, self._session.run(None, dict(feeds)), strict=True))
        except Exception as e:  # as above
            raise UnsupportedModel(f"{self._model}: onnxruntime fails to run it: {_reason(e)}") from e


def _shape(shape: list[int | str | None]) -> tuple[int | None, ...]:
    return tuple(n if isinstance(n, int) else None for n in shape)


def _translated(error: Exception, artifact: Artifact) -> InvalidModel | UnsupportedModel:
    kind = UnsupportedModel if type(error).__name__ == "NotImplemented" else InvalidModel
    return kind(f"{artifact.path}: onnxruntime cannot load it: {_reason(error)}")


def _reason(error: Exception) -> str:
    """The first line, without onnxruntime's codes and the path: ``[...] : 7 : CODE : Load model from x failed:why``."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line.split(" : ", 3)[-1].split(" failed:", 1)[-1]
