"""What an ONNX graph computes from stored values alone, computed once and stored, before its weights become integers.

The sums of a token mixing's weights are such: summed anew wherever the file is loaded, they would differ between
processors in the last digits, and would keep the weights from having one reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx


def fold(model: onnx.ModelProto) -> None:
    """Replace every operation that depends on no input by the tensor that it gives."""
    import onnx

    graph = model.graph
    known = {tensor.name for tensor in graph.initializer}
    fixed, rest = list[Any](), list[Any]()
    for node in graph.node:
        constant = all(name in known for name in node.input if name)
        (fixed if constant else rest).append(node)
        known |= set(node.output) if constant else set()
    wanted = {name for node in rest for name in node.input} | {output.name for output in graph.output}
    names = [name for node in fixed for name in node.output if name in wanted]
    if names:
        values = _values(model, fixed, names)
        graph.initializer.extend(map(onnx.numpy_helper.from_array, values, names))
        del graph.node[:]
        graph.node.extend(rest)


def _values(model: onnx.ModelProto, nodes: list[Any], names: list[str]) -> list[Any]:
    import onnx
    import onnxruntime as ort

    taken = {name for node in nodes for name in node.input}
    stored = [tensor for tensor in model.graph.initializer if tensor.name in taken]
    graph = onnx.GraphProto(name="constants", node=nodes, initializer=stored)
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    part = onnx.ModelProto(graph=graph, ir_version=model.ir_version, opset_import=model.opset_import)
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = ort.InferenceSession(part.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(names, {})  # type: ignore[no-any-return]
