"""Find the first tensor of an export that departs from the network it came from.

Converters rename, transpose and fuse, so tensors are not matched by name but by content: a tensor of the file is
explained if some tensor of the original has as many elements and, sorted, the same values. The first one that
has candidates but no match is where the trouble begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..artifact import Artifact
from ..errors import MissingExtra
from .onnx_file import load_onnx

Array = npt.NDArray[np.float32]
Named = Iterator[tuple[str, Array]]

#: How far a tensor may be off, as a share of the original's largest absolute value.
_TOLERANCES = {"float32": 5e-3, "float16": 5e-2}


@dataclass(frozen=True)
class Departure:
    """Where an export begins to differ.

    Attributes:
        tensor: its name in the file.
        nearest: the original's tensor that comes closest, by its name in the torch graph.
        difference: largest difference of the sorted values, as a share of the original's largest absolute value.
        position: index among the file's computed tensors, from 0.

    """

    tensor: str
    nearest: str
    difference: float
    position: int

    def __str__(self) -> str:
        where = f"tensor {self.position}; nearest in torch: {self.nearest!r}"
        return f"first departs at {self.tensor!r} ({where}, off by {self.difference:.1e})"


def first_departure(artifact: Artifact, original: nn.Module, feed: Array, tensor: Array) -> Departure | None:
    """Run one picture through both and compare every tensor between.

    Args:
        artifact: the export.
        original: the deployed graph in torch, which takes ``tensor``.
        feed: the picture as the file's input wants it.
        tensor: the same picture, ``(1, 3, H, W)``.

    """
    known: dict[int, list[tuple[str, Array]]] = {}
    for name, values in _torch_tensors(original, tensor):
        known.setdefault(values.size, []).append((name, np.sort(values, axis=None)))
    tolerance = _TOLERANCES.get(artifact.contract.precision, 5e-2)
    for position, (name, values) in enumerate(_TRACERS[artifact.format](artifact, feed)):
        if values.size < 16 or values.size not in known:
            continue
        ranked = sorted((_distance(np.sort(values, axis=None), v), n) for n, v in known[values.size])
        if not ranked[0][0] <= tolerance:
            return Departure(name, ranked[0][1], ranked[0][0], position)
    return None


def _distance(ours: Array, theirs: Array) -> float:
    off = float(np.abs(ours - theirs).max()) / (float(np.abs(theirs).max()) or 1.0)
    return off if np.isfinite(off) else np.inf


def _torch_tensors(graph: nn.Module, tensor: Array) -> Named:
    found: list[tuple[str, Array]] = []

    class Recorder(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> Any:
            result = super().run_node(n)
            if isinstance(result, torch.Tensor) and result.is_floating_point() and n.op != "get_attr":
                found.append((n.name, result.detach().numpy().astype(np.float32)))
            return result

    image = torch.from_numpy(tensor)
    with torch.no_grad():
        Recorder(torch.export.export(graph, (image,)).module()).run(image)
    return iter(found)


def _onnx_tensors(artifact: Artifact, feed: Array) -> Named:
    import onnxruntime as ort

    model = load_onnx(artifact.path)
    names = [name for node in model.graph.node for name in node.output if name]
    del model.graph.output[:]
    for name in names:
        model.graph.output.add(name=name)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = session.run(names, {artifact.contract.input.name: feed})
    return _floats(dict(zip(names, values, strict=True)))


def _tflite_tensors(artifact: Artifact, feed: Array) -> Named:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as e:
        raise MissingExtra("ai-edge-litert", "litert", "look inside a TFLite file") from e
    interpreter = Interpreter(str(artifact.path), num_threads=1, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], feed)
    interpreter.invoke()
    names = {d["index"]: d["name"] for d in interpreter.get_tensor_details()}
    order = [i for op in interpreter._get_ops_details() if op["op_name"] != "DELEGATE" for i in op["outputs"]]
    return _floats({names[i]: interpreter.get_tensor(i) for i in order})


def _coreml_tensors(artifact: Artifact, feed: Array) -> Named:
    from .mil import open_package

    return _floats(open_package(artifact.path).values({artifact.contract.input.name: feed}))


def _floats(values: Mapping[str, Any]) -> Named:
    for name, value in values.items():
        array = np.asarray(value)
        if array.dtype.kind == "f":
            yield name, array.astype(np.float32)


_TRACERS: Mapping[str, Callable[[Artifact, Array], Named]] = {
    "onnx": _onnx_tensors,
    "tflite": _tflite_tensors,
    "coreml": _coreml_tensors,
}
