"""What hangs on stored values alone is computed once, and the graph answers as before."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from pocketface.quantize.constants import fold


def model():
    """``x @ w + 2 * sum(w)``, where the sum hangs on nothing that is fed."""
    weights = np.arange(6, dtype=np.float32).reshape(2, 3)
    stored = {"w": weights, "two": np.float32(2), "axis": np.array([0])}
    nodes = [
        helper.make_node("ReduceSum", ["w", "axis"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "two"], ["twice"]),
        helper.make_node("MatMul", ["x", "w"], ["product"]),
        helper.make_node("Add", ["product", "twice"], ["y"]),
    ]
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])] for name, size in (("x", 2), ("y", 3))
    ]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()]
    graph = helper.make_graph(nodes, "g", *ends, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_constants_are_stored_and_the_rest_stays():
    made, x = model(), np.array([[1, -1], [0.5, 2]], np.float32)
    fold(made)
    onnx.checker.check_model(made)
    assert [node.op_type for node in made.graph.node] == ["MatMul", "Add"]
    (sums,) = [numpy_helper.to_array(t) for t in made.graph.initializer if t.name == "twice"]
    assert sums.tolist() == [6, 10, 14]
    (y,) = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})
    np.testing.assert_array_equal(y, x @ np.arange(6, dtype=np.float32).reshape(2, 3) + [6, 10, 14])


def test_a_graph_without_any_is_left_alone():
    made = model()
    fold(made)
    before = made.SerializeToString()
    fold(made)
    assert made.SerializeToString() == before
