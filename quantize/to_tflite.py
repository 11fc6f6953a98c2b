"""Quantize TFLite with the AI Edge Quantizer, from the float file and ranges that we measure ourselves."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtra
from ..export.quiet import quiet
from .layers import Operation
from .ranges import Extremes, Range, observe
from .recipe import Recipe

#: Operations that may have weights.
_WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL", "TRANSPOSE_CONV"})
#: Elements from which on a stored tensor counts as weights: a product with a shape or a single number is none.
_FEWEST = 16


def operations(path: Path) -> list[Operation]:
    """The operations of a file in the order in which they run.

    Raises:
        MissingExtra: ai-edge-litert is not installed.
    """
    model = _schema(path)
    graph = model.subgraphs[0]
    kinds = _kinds(model)
    return [_operation(model, graph, op, kinds[op.opcodeIndex]) for op in graph.operators]


def _kinds(model: Any) -> list[str]:
    """The schema's names of a file's kinds of operations, as its operations count them."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    names = {number: name for name, number in vars(BuiltinOperator).items() if isinstance(number, int)}
    numbers = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return [names.get(number, str(number)) for number in numbers]


def _operation(model: Any, graph: Any, operator: Any, kind: str) -> Operation:
    name = graph.tensors[operator.outputs[0]].name.decode()
    takes, gives = (tuple(graph.tensors[i].name.decode() for i in ids if i >= 0) for ids in _ends(operator))
    if kind not in _WEIGHTED:
        return Operation(name, kind, takes=takes, gives=gives)
    for index in operator.inputs[:2]:
        tensor = graph.tensors[index]
        elements = int(np.prod(tensor.shape)) if tensor.shape is not None else 0
        if model.buffers[tensor.buffer].data is not None and elements >= _FEWEST:
            return Operation(name, kind, scope_of(tensor.name.decode()), elements, takes, gives)
    return Operation(name, kind, takes=takes, gives=gives)


def _ends(operator: Any) -> tuple[list[int], list[int]]:
    return list(operator.inputs), list(operator.outputs)


def scope_of(tensor: str) -> str:
    """The module that a tensor belongs to, as a path: ``...Mos_network/...Head_0/...Conv2d_tasks;2`` -> ``0.tasks``.

    The converter names a tensor after the calls that led to it, each as ``package.Class_attribute``. The first ones, up
    to ``body`` and ``network``, are the frame that export puts around a network.
    """
    calls = tensor.split(";;")[-1].rpartition(";")[0].split("/")
    attributes = [call.rpartition(".")[2].partition("_")[2] for call in calls]
    if "body" not in attributes:
        return tensor
    inside = attributes[attributes.index("body") + 1 :]
    return ".".join(inside[1:] if inside[:1] == ["network"] else inside)


def extremes(path: Path, feeds: NDArray[np.float32], name: str) -> Extremes:
    """Least and greatest values of every tensor over pictures ``(N, H, W, 3)``, one at a time."""
    return observe(_runs(path, feeds))


def _runs(path: Path, feeds: NDArray[np.float32]) -> Iterator[dict[str, NDArray[Any]]]:
    with quiet():  # it warns that to keep all tensors takes memory, which is the purpose
        interpreter = _interpreter()(str(path), num_threads=1, experimental_preserve_all_tensors=True)
        interpreter.allocate_tensors()
    (fed,) = interpreter.get_input_details()
    made = {i for op in interpreter._get_ops_details() for i in op["outputs"]} | {fed["index"]}
    names = {d["index"]: d["name"] for d in interpreter.get_tensor_details() if d["index"] in made}
    for feed in feeds:
        interpreter.set_tensor(fed["index"], feed[None])
        interpreter.invoke()
        yield {name: interpreter.get_tensor(i) for i, name in names.items()}


def write(source: Path, recipe: Recipe, chosen: Collection[str], found: Mapping[str, Range], path: Path) -> None:
    """Quantize a float file; arguments are those of :func:`pocketface.quantize.to_onnx.write`.

    Raises:
        MissingExtra: ai-edge-quantizer is not installed.
    """
    with quiet(), contextlib.redirect_stdout(io.StringIO()):  # it prints what it saved, also where stdout is no file
        try:
            from ai_edge_quantizer import quantizer
        except ImportError as e:
            raise MissingExtra("ai-edge-quantizer", "quantize", "quantize TFLite files") from e
        statistics = _statistics(source, found) if recipe.static else None
        left = [operation.name for operation in operations(source) if operation.name not in chosen]
        made = quantizer.Quantizer(str(source), _rules(recipe, left)).quantize(statistics)
        made.export_model(str(path))


def _statistics(source: Path, found: Mapping[str, Range]) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Ranges as the AI Edge Quantizer takes them: arrays with as many axes as the tensor."""
    known = {}
    for tensor in _schema(source).subgraphs[0].tensors:
        if (name := tensor.name.decode()) in found:
            axes = [1] * (0 if tensor.shape is None else len(tensor.shape))
            ends = {"min": found[name].low, "max": found[name].high}
            known[name] = {end: np.full(axes, value, np.float32) for end, value in ends.items()}
    return known


def _rules(recipe: Recipe, left: Collection[str]) -> list[dict[str, Any]]:
    """The recipe in the AI Edge Quantizer's words: later rules win.

    A product with stored weights has one scale for all of them. The quantizer gives it one for each index of an axis,
    which for weights on the left is the one that is summed over, and the kernel then answers nonsense without a word.
    """
    from ai_edge_quantizer import algorithm_manager, qtyping, recipe_manager

    rules, names = recipe_manager.RecipeManager(), qtyping.TFLOperationName
    _add(rules, recipe, names.ALL_SUPPORTED, qtyping.QuantGranularity.CHANNELWISE)
    if recipe.scheme in ("static", "weight_only"):
        _add(rules, recipe, names.BATCH_MATMUL, qtyping.QuantGranularity.TENSORWISE)
    nothing = algorithm_manager.AlgorithmName.NO_QUANTIZE
    if recipe.io == "float":
        for operation in (names.INPUT, names.OUTPUT):
            rules.add_quantization_config(".*", operation, algorithm_key=nothing)
    exact = f"^(?:{'|'.join(map(re.escape, left))});?$"
    for operation in set(names) - {names.INPUT, names.OUTPUT, names.ALL_SUPPORTED} if left else ():
        rules.add_quantization_config(exact, operation, algorithm_key=nothing)
    return rules.get_quantization_recipe()  # type: ignore[no-any-return]


def _add(rules: Any, recipe: Recipe, operation: Any, size: Any) -> None:
    from ai_edge_quantizer import algorithm_manager

    if recipe.scheme == "static":
        rules.add_static_config(".*", operation, 8, 8, weight_granularity=size)
    elif recipe.scheme == "dynamic":
        rules.add_dynamic_config(".*", operation, 8, granularity=size)
    elif recipe.scheme == "weight_only":
        rules.add_weight_only_config(".*", operation, 8, granularity=size)
    else:
        half = algorithm_manager.AlgorithmName.FLOAT_CASTING
        rules.add_weight_only_config(".*", operation, 16, granularity=size, algorithm_key=half)


def _schema(path: Path) -> Any:
    """The file as the objects of TensorFlow Lite's schema."""
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as e:
        raise MissingExtra("ai-edge-litert", "litert", "look inside TFLite files") from e
    return schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)


def _interpreter() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as e:
        raise MissingExtra("ai-edge-litert", "litert", "run .tflite files") from e
    return Interpreter
