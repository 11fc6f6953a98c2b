"""Files of a few steps that every engine for ONNX runs in no time, and measurements made by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from pocketface.artifact import write_sidecar
from pocketface.bench.perf import Device, Measurement, Perf
from pocketface.contract import ARCFACE_TEMPLATE, Detection, InputSpec, ModelContract, Recognition

#: A process that measures nothing: half of what it is told it makes up, from the names of its files.
FAKE = """
import json, os, signal, sys, time
from pathlib import Path

def tell(kind, **values):
    print(json.dumps({"type": kind, **values}), flush=True)

job = json.loads(sys.stdin.readline())
names = [Path(file).name for file in job["files"]]
name = " ".join(names)
if "refused" in name:
    tell("refused", why="it is too old")
    sys.exit(1)
tell("opened", engine="fake", version="7", load_ms=5.0 if names else None, pinned=True)
took = 2.0 if "slow" in name else 1.0
stages = {0: ["network"], 1: ["network", "preprocess", "postprocess"], 2: ["pipeline", "read"]}[len(names)]
for line in sys.stdin:
    request = json.loads(line)
    if request["type"] == "ask":
        wrong = "wrong" in name
        tell("answers", vectors=[[0.0, 1.0] if wrong else [1.0, 0.0]] * 3)
        continue
    if "crash" in name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "hang" in name:
        time.sleep(60)
    if "mute" in name:
        print("out of ideas", file=sys.stderr)
        sys.exit(3)
    times = {stage: [took] * request["count"] for stage in stages}
    tell("times", stages=times, cpu_s=5e-4 * request["count"], peak_memory_bytes=1000 * len(names))
"""


@pytest.fixture
def fake() -> list[str]:
    """The command of a process that makes its times up."""
    return [sys.executable, "-c", FAKE]


@pytest.fixture
def recognizer(tmp_path: Path) -> Path:
    """A network of one step: the means of the channels."""
    return write_recognizer(tmp_path / "tiny.onnx")


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    """A network that finds the same face in every picture."""
    return write_detector(tmp_path / "finder.onnx")


@pytest.fixture
def make_recognizer() -> Callable[..., Path]:
    """Writes one to a path, with changes of its contract."""
    return write_recognizer


def write_recognizer(path: Path, **changes: Any) -> Path:
    steps = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["embedding"]),
    ]
    result = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, None)
    task = Recognition(embedding_size=3, normalized=False)
    return _write(path, steps, [result], task, 112, {"embedding": "embedding"}, **changes)


def write_detector(path: Path) -> Path:
    answers = {
        "scores": np.array([[0.9]], np.float32),
        "boxes": np.array([[[100, 80, 220, 240]]], np.float32),
        "landmarks": (np.array(ARCFACE_TEMPLATE, np.float32) + 104)[None, None],
    }
    steps = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(values, name))
        for name, values in answers.items()
    ]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, a.shape) for name, a in answers.items()]
    return _write(path, steps, results, Detection(), 320, {name: name for name in answers})


def _write(path: Path, steps: Any, results: Any, task: Any, side: int, outputs: dict[str, str], **changes: Any) -> Path:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, side, side])
    graph = helper.make_graph(steps, "tiny", [image], results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    spec = InputSpec(name="image", layout="NCHW", height=side, width=side, dynamic_batch=True)
    values = {"model": "tiny", "outputs": outputs, "fingerprint": "ab" * 32, "weights": "by hand", "trained": False}
    contract = ModelContract(task=task, input=spec, **{**values, "macs": 1000, **changes})
    return write_sidecar(path, contract).path


@pytest.fixture
def measured() -> Callable[..., Measurement]:
    """A measurement of times in rounds of ten, each around its own median."""

    def measure(medians: Any, *, seed: int = 0, rounds: bool = True, **values: Any) -> Measurement:
        noise = np.random.default_rng(seed).lognormal(0, 0.02, (len(medians), 10))
        times = (np.asarray(medians, float)[:, None] * noise).ravel()
        known = {"model": "m.onnx", "network": "n", "engine": "e", "precision": "float32"}
        return Measurement(times_ms=tuple(times.tolist()), rounds=len(medians) if rounds else 0, **{**known, **values})

    return measure


@pytest.fixture
def perf_of() -> Callable[..., Perf]:
    """A run of these measurements."""
    return lambda *ms, name="a machine": Perf(device=Device(kind="host", name=name), measurements=ms)
