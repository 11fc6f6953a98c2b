"""ONNX Runtime, on the CPU. Measured with 1.31."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...artifact import Artifact
from ...errors import InvalidModel, MissingExtra, UnsupportedModel
from .tensors import Array, Feeds, TensorSpec, check_feeds

#: ONNX Runtime's names for element types -> numpy's.
_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8", "tensor(int8)": "int8"}
#: What Linux says of the processor.
_PROCESSOR = Path("/proc/cpuinfo")


def load_onnxruntime(
    artifact: Artifact,
    threads: int | None = None,
    *,
    optimized: bool = True,
    entries: Mapping[str, str] | None = None,
) -> OrtBackend:
    """Open an ``.onnx`` with ONNX Runtime.

    Args:
        artifact: the file.
        threads: their number; None for one per core.
        optimized: whether ONNX Runtime may rewrite the graph.
        entries: of its session's configuration, beside those that make answers right.

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
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimized else level.ORT_DISABLE_ALL
    options.log_severity_level = 4  # quiet: what it warns of it handles, and its errors come as exceptions too
    if threads is not None:
        options.intra_op_num_threads = threads
    if artifact.contract.precision == "int8" and overflows():
        entries = {"session.x64quantprecision": "1", **(entries or {})}
    for key, value in (entries or {}).items():
        options.add_session_config_entry(key, value)
    try:
        # Without the fallback, which would print to stdout and then try the same provider again.
        session = ort.InferenceSession(
            str(artifact.path), options, providers=["CPUExecutionProvider"], enable_fallback=False
        )
    except Exception as e:  # onnxruntime has a dozen exception types without a common base
        raise _translated(e, artifact) from e
    return OrtBackend(session, str(artifact.path))


def overflows() -> bool:
    """Whether products of 8 bits may overflow here: on x86 without VNNI they are added in pairs, in 16 bits.

    ONNX Runtime then answers without a word what is no face's embedding (lowest cosine to the true one .77, measured on
    an emulated Haswell), unless it is told to take kernels that are slower and right. Where nobody says whether there
    is VNNI, on an x86 other than Linux, they are taken too.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    try:
        return "vnni" not in _PROCESSOR.read_text(errors="replace")
    except OSError:
        return True


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
