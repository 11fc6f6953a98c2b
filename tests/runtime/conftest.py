"""Tiny models whose right answers can be worked out by hand, each with a contract, for every test of the runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pocketface.artifact import Artifact, write_sidecar
from pocketface.contract import Detection, InputSpec, ModelContract, Recognition

Contracts = Callable[..., ModelContract]
SIDE = 32


@pytest.fixture(scope="session")
def contract_of() -> Contracts:
    """``contract_of(task, **changes to the input or the contract)`` for models of 32 x 32 pixels."""

    def make(task: Detection | Recognition, **changes: object) -> ModelContract:
        of_input = {k: changes.pop(k) for k in list(changes) if k in InputSpec.__struct_fields__}
        spec = {"name": "image", "layout": "NCHW", "height": SIDE, "width": SIDE, **of_input}
        names = ["embedding"] if isinstance(task, Recognition) else ["scores", "boxes", "landmarks", "rotation"]
        values = {"model": "tiny", "outputs": {n: n for n in names}, "fingerprint": "ab" * 32, "weights": "by hand"}
        return ModelContract(task=task, input=InputSpec(**spec), **{"trained": False, **values, **changes})

    return make


@pytest.fixture(scope="session")
def artifact_of() -> Callable[[ModelContract], Artifact]:
    """An artifact without a file, for fake backends."""
    return lambda contract: Artifact(Path("fake.onnx"), contract, "0" * 64, 0)


def save(path: Path, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], outputs: list[str]) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", [image], results, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())


@pytest.fixture(scope="session")
def recognizer_onnx(tmp_path_factory: pytest.TempPathFactory, contract_of: Contracts) -> Artifact:
    """The embedding is the picture, averaged over blocks of 8 x 8 and less 100: (B, 3 * 4 * 4), of any length."""
    path = tmp_path_factory.mktemp("recognizer") / "recognizer.onnx"
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Sub", ["flat", "offset"], ["embedding"]),
    ]
    save(path, nodes, {"offset": np.float32(100)}, ["embedding"])
    template = ((11.0, 15.0), (21.0, 15.0), (16.0, 20.0), (12.0, 26.0), (20.0, 26.0))
    task = Recognition(embedding_size=48, normalized=False, template=template)
    return write_sidecar(path, contract_of(task, dynamic_batch=True))


@pytest.fixture(scope="session")
def detector_onnx(tmp_path_factory: pytest.TempPathFactory, contract_of: Contracts) -> Artifact:
    """One face at 4..28 x 6..30 of the canvas, whose score is the mean brightness, turned by 20 degrees of yaw."""
    path = tmp_path_factory.mktemp("detector") / "detector.onnx"
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    constants = {
        "axes": np.array([1, 2, 3]),
        "shape": np.array([1, 1]),
        "white": np.float32(255),
        "box": np.array([[[4, 6, 28, 30]]], np.float32),
        "points": np.array([[[[11, 15], [21, 15], [16, 20], [12, 26], [20, 26]]]], np.float32),
        "turn": np.array([[[[c, 0, s], [0, 1, 0], [-s, 0, c]]]], np.float32),
    }
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "white"], ["share"]),
        helper.make_node("Reshape", ["share", "shape"], ["scores"]),
        *(helper.make_node("Identity", [a], [b]) for a, b in (("box", "boxes"), ("points", "landmarks"))),
        helper.make_node("Identity", ["turn"], ["rotation"]),
    ]
    save(path, nodes, constants, ["scores", "boxes", "landmarks", "rotation"])
    return write_sidecar(path, contract_of(Detection()))
