"""The last whole numbers of a file: what is behind them is float and may differ in its last digits, they may not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...artifact import Artifact
from ..onnx_file import load_onnx

if TYPE_CHECKING:
    import onnx


def with_integers(artifact: Artifact, folder: Path) -> tuple[Path, tuple[str, ...]]:
    """A copy of an ONNX file in 8 bits that gives its last integers too.

    Args:
        artifact: a file of any format.
        folder: where the copy goes.

    Returns:
        the copy and the names of these tensors; the file itself and none where the format does not show them.

    Raises:
        MissingExtra: onnx is not installed.
    """
    if artifact.format != "onnx" or artifact.contract.precision != "int8":
        return artifact.path, ()
    model = load_onnx(artifact.path)
    names = last_integers(model)
    for name in names:
        model.graph.output.add(name=name)
    copy = folder / artifact.path.name
    copy.write_bytes(model.SerializeToString())
    return copy, names


def last_integers(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the quantized tensors behind which nothing is quantized any more, in the order of the graph."""
    needed, last = set[str](), list[str]()
    for node in reversed(model.graph.node):
        quantizes, leads = node.op_type == "QuantizeLinear", bool(needed & set(node.output))
        if quantizes and not leads:
            last.append(node.output[0])
        if quantizes or leads:
            needed |= set(node.input)
    return tuple(reversed(last))
