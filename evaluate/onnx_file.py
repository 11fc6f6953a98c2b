"""Read an ONNX file, for all that look at its graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InvalidModel, MissingExtra

if TYPE_CHECKING:
    import onnx


def load_onnx(path: Path) -> onnx.ModelProto:
    """Read a graph and the weights in the same file; other files that it may name are not opened.

    Raises:
        MissingExtra: onnx is not installed.
        InvalidModel: the file is damaged.
    """
    try:
        import onnx
    except ImportError as e:
        raise MissingExtra("onnx", "export", "look inside ONNX files") from e
    try:
        return onnx.load(str(path), load_external_data=False)
    except Exception as e:  # protobuf's errors have no common base that can be imported without it
        raise InvalidModel(f"{path}: damaged .onnx file: {e}") from e
