"""Quantize ONNX: ONNX Runtime's QDQ form for activations, plain DequantizeLinear or Cast for weights alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..evaluate.onnx_file import load_onnx
from .constants import fold
from .layers import Operation
from .ranges import Extremes, Range, observe
from .recipe import Recipe
from .ties import Scale, settled

if TYPE_CHECKING:
    import onnx

#: Operations with weights, and the axis of the weights that has a scale for each index; None for one scale in all.
AXES: Mapping[str, int | None] = {"Conv": 0, "Gemm": 0, "MatMul": None, "ConvTranspose": 1}
_EPSILON = 1e-12


def operations(path: Path) -> list[Operation]:
    """The operations of a file in the order of its graph.

    Raises:
        MissingExtra: onnx is not installed.
        InvalidModel: the file is damaged.
    """
    model = load_onnx(path)
    stored = {tensor.name: int(np.prod(tensor.dims)) for tensor in model.graph.initializer}
    return [_operation(node, stored) for node in model.graph.node]


def _operation(node: Any, stored: Mapping[str, int]) -> Operation:
    weight = next((name for name in node.input if name in stored), "") if node.op_type in AXES else ""
    ends = tuple(node.input), tuple(node.output)
    return Operation(node.output[0], node.op_type, weight, stored.get(weight, 0), *ends)


def extremes(path: Path, feeds: NDArray[np.float32], name: str) -> Extremes:
    """Least and greatest values of every tensor over pictures ``(N, 3, H, W)`` that go into the input ``name``."""
    return observe(_runs(load_onnx(path), feeds, name))


def _runs(model: onnx.ModelProto, feeds: NDArray[np.float32], name: str) -> Iterator[dict[str, NDArray[Any]]]:
    import onnx
    import onnxruntime as ort

    outputs = [output for node in model.graph.node for output in node.output if output]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=output) for output in outputs)
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for feed in feeds:
        values = session.run(outputs, {name: feed[None]})
        yield {name: feed, **dict(zip(outputs, values, strict=True))}


def write(source: Path, recipe: Recipe, chosen: Collection[str], found: Mapping[str, Range], path: Path) -> None:
    """Quantize a float file.

    Args:
        source: the float file.
        recipe: how.
        chosen: names of the operations to quantize, as :func:`operations` gives them.
        found: ranges of its tensors, where the recipe is static.
        path: where the quantized file goes; its contract is still the float file's.
    """
    model = load_onnx(source)
    if recipe.static:
        model = _static(model, recipe, chosen, found)
    else:
        _store_weights(model, recipe, chosen)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _static(
    model: onnx.ModelProto, recipe: Recipe, chosen: Collection[str], found: Mapping[str, Range]
) -> onnx.ModelProto:
    """Quantize and dequantize around every chosen operation; engines fuse the pairs into kernels for 8 bits.

    Done a second time if some steps are to be others, see :mod:`pocketface.quantize.ties`.
    """
    fold(model)
    made = _with_pairs(model, recipe, chosen, found, {})
    changed = settled(made)
    return _with_pairs(model, recipe, chosen, found, changed) if changed else made


def _with_pairs(
    model: onnx.ModelProto,
    recipe: Recipe,
    chosen: Collection[str],
    found: Mapping[str, Range],
    scales: Mapping[str, Scale],
) -> onnx.ModelProto:
    from copy import deepcopy

    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.registry import QDQRegistry

    known = {name: (np.float32(r.low), np.float32(r.high)) for name, r in found.items()}
    nodes = [node for node in model.graph.node if node.output[0] in chosen and node.op_type in QDQRegistry]
    left = [node.name for node in model.graph.node if node.output[0] not in chosen]
    kind = QuantType.QInt8 if recipe.activations == "i8" else QuantType.QUInt8
    quantizer = QDQQuantizer(
        deepcopy(model),
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=kind,
        tensors_range=TensorsData(CalibrationMethod.MinMax, known),
        nodes_to_quantize=[node.name for node in nodes],
        nodes_to_exclude=left,
        op_types_to_quantize=sorted({node.op_type for node in nodes}),
        extra_options={"TensorQuantOverrides": {**_overrides(model), **_fixed(scales, kind)}},
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()  # it appends what it adds; ONNX wants every value computed before it is used
    return quantizer.model.model


def _fixed(scales: Mapping[str, Scale], kind: Any) -> dict[str, list[dict[str, Any]]]:
    """Scales that are given instead of found from a range."""
    zeros = {name: np.array(scale.zero, np.uint8 if scale.least == 0 else np.int8) for name, scale in scales.items()}
    return {
        name: [{"quant_type": kind, "scale": np.array(scale.step), "zero_point": zeros[name]}]
        for name, scale in scales.items()
    }


def _overrides(model: onnx.ModelProto) -> dict[str, list[dict[str, Any]]]:
    """One scale for the weights of a product: QLinearMatMul fails on a scale for each column of 3-D weights."""
    from onnxruntime.quantization import QuantType

    stored = {tensor.name for tensor in model.graph.initializer}
    whole = {name for node in model.graph.node if AXES.get(node.op_type, 0) is None for name in node.input}
    return {name: [{"quant_type": QuantType.QInt8, "symmetric": True}] for name in sorted(whole & stored)}


def _store_weights(model: onnx.ModelProto, recipe: Recipe, chosen: Collection[str]) -> None:
    """Store weights in half or in 8 bits, with an operation before their use that makes them float again."""
    import onnx

    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    axes = {
        op.weight: AXES[op.kind]
        for op in (_operation(node, dict.fromkeys(stored, 1)) for node in graph.node)
        if op.weight and op.name in chosen
    }
    added = []
    for name, axis in axes.items():
        values = onnx.numpy_helper.to_array(stored[name])
        pack = _in_half if recipe.scheme == "fp16" else _in_bytes
        tensors, node = pack(name, values, axis)
        graph.initializer.remove(stored[name])
        graph.initializer.extend(tensors)
        added.append(node)
    nodes = [*added, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _in_half(name: str, values: NDArray[np.float32], axis: int | None) -> tuple[list[Any], Any]:
    import onnx

    half = onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half")
    return [half], onnx.helper.make_node("Cast", [half.name], [name], f"{name}_cast", to=onnx.TensorProto.FLOAT)


def _in_bytes(name: str, values: NDArray[np.float32], axis: int | None) -> tuple[list[Any], Any]:
    import onnx

    scale = scale_of(values, axis)
    spread = scale if axis is None else scale.reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    packed = np.clip(np.round(values / spread), -127, 127).astype(np.int8)
    tensors = [
        onnx.numpy_helper.from_array(packed, f"{name}_int8"),
        onnx.numpy_helper.from_array(scale.astype(np.float32), f"{name}_scale"),
        onnx.numpy_helper.from_array(np.zeros(scale.shape, np.int8), f"{name}_zero"),
    ]
    names = [tensor.name for tensor in tensors]
    how = {} if axis is None else {"axis": axis}
    return tensors, onnx.helper.make_node("DequantizeLinear", names, [name], f"{name}_dequantize", **how)


def scale_of(values: NDArray[np.float32], axis: int | None) -> NDArray[np.float32]:
    """What one step of 8 bits is worth, so that -127..127 holds all values: for each index of an axis, or in all."""
    others = tuple(i for i in range(values.ndim) if i != axis)
    peak = np.abs(values).max(axis=others if axis is not None else None)
    return np.asarray(np.maximum(peak / 127, _EPSILON), np.float32)
