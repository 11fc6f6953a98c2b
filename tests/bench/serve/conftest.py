"""A recogniser of one step, engines that are there by name only, and a desk that asks both."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from pocketface.artifact import write_sidecar
from pocketface.bench.serve.desk import Desk
from pocketface.bench.serve.engines import ENGINES
from pocketface.bench.serve.exam import Exam, set_exam
from pocketface.bench.serve.server import Serving, serving
from pocketface.contract import InputSpec, ModelContract, Recognition

PICTURES = 3


def save_recognizer(folder: Path) -> Path:
    """The means of the channels, as the only three numbers of an embedding."""
    steps = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["embedding"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 112, 112])
    result = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, None)
    graph = helper.make_graph(steps, "tiny", [image], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (folder / "tiny.onnx").write_bytes(model.SerializeToString())
    spec = InputSpec(name="image", layout="NCHW", height=112, width=112, dynamic_batch=True)
    task = Recognition(embedding_size=3, normalized=False)
    values = {"outputs": {"embedding": "embedding"}, "fingerprint": "ab" * 32, "weights": "by hand", "trained": False}
    return write_sidecar(
        folder / "tiny.onnx", ModelContract(model="tiny", task=task, input=spec, macs=7, **values)
    ).path


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("node_modules")
    for engine in ENGINES:
        for name in (*engine.files, f"{engine.package}/package.json"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"// {name}")
        (folder / engine.package / "package.json").write_text('{"name": "x", "version": "9.8.7"}')
    return folder


@pytest.fixture(scope="session")
def exam(tmp_path_factory: pytest.TempPathFactory, engines: Path) -> Exam:
    return set_exam(save_recognizer(tmp_path_factory.mktemp("model")), pictures=PICTURES, engines=engines)


@pytest.fixture
def desk(exam: Exam) -> Desk:
    return Desk([exam], command="pocketface bench serve tiny.onnx")


@pytest.fixture
def server(desk: Desk) -> Iterator[Serving]:
    with serving(desk) as running:
        yield running


@pytest.fixture(scope="session")
def honest() -> Callable[..., dict[str, Any]]:
    """What an honest page posts to a desk: the right answers, and times."""

    def report(desk: Desk) -> dict[str, Any]:
        outputs = {
            name: {"dtype": "float32", "data": base64.b64encode(exam.right[meaning].tobytes()).decode()}
            for exam in desk.exams
            for meaning, name in exam.artifact.contract.outputs.items()
        }
        run = {"model": 0, "setting": "wasm", "load_ms": 5.0, "times_ms": [2.0, 1.0] * 60, "outputs": outputs}
        device = {"name": "a phone", "agent": "Browser/1", "secure": True, "isolated": False, "clock_step_ms": 0.1}
        return {"ticket": desk.task()["ticket"], "device": device, "runs": [run]}

    return report
