"""The command from its start to its status, with a client that is no browser."""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from pocketface.artifact import write_sidecar
from pocketface.bench.perf import load_perf
from pocketface.bench.serve.engines import ENGINES
from pocketface.contract import InputSpec, ModelContract, Recognition


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recogniser that gives the means of the channels, and an engine that is there by name."""
    steps = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["embedding"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 112, 112])
    graph = helper.make_graph(
        steps, "tiny", [image], [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, None)]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (tmp_path / "tiny.onnx").write_bytes(model.SerializeToString())
    spec = InputSpec(name="image", layout="NCHW", height=112, width=112, dynamic_batch=True)
    task = Recognition(embedding_size=3, normalized=False)
    values = {"outputs": {"embedding": "embedding"}, "fingerprint": "ab" * 32, "weights": "by hand", "trained": False}
    write_sidecar(tmp_path / "tiny.onnx", ModelContract(model="tiny", task=task, input=spec, **values))
    for name in (*ENGINES[0].files, f"{ENGINES[0].package}/package.json"):
        (tmp_path / "engines" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "engines" / name).write_text('{"version": "1.2.3"}')
    return tmp_path


@contextmanager
def running(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and the address that it prints."""
    command = [sys.executable, "-P", "-m", "pocketface", "bench", "serve", "tiny.onnx", "--engines", "engines"]
    command += ["--host", "127.0.0.1", "--pictures", "2", "--out", "out", "--json", *options]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        said = ""
        while not (found := re.search(r"Open on the device: (\S+)\n", said)):
            line = process.stderr.readline()
            assert line, said
            said += line
        yield process, found[1]
    finally:
        process.kill()
        process.communicate()


def report(url: str, wrong: bool) -> dict[str, Any]:
    """What a page would post: the means of the pictures that it is given, or their opposite."""
    with urllib.request.urlopen(f"{url}task.json", timeout=20) as answer:
        task = json.load(answer)
    (model,) = task["models"]
    with urllib.request.urlopen(url + model["inputs"], timeout=20) as answer:
        pictures = np.frombuffer(answer.read(), np.uint8).reshape(model["pictures"], *model["input"]["shape"][1:])
    means = pictures.mean(axis=(2, 3), dtype=np.float64).astype(np.float32) * (-1 if wrong else 1)
    outputs = {"embedding": {"dtype": "float32", "data": base64.b64encode(means.tobytes()).decode()}}
    run = {"model": 0, "setting": "wasm", "times_ms": [1.5] * 100, "outputs": outputs}
    device = {"name": "a <b>phone</b>", "agent": "B/1", "secure": True, "isolated": True, "clock_step_ms": 0.005}
    return {"ticket": task["ticket"], "device": device, "runs": [run]}


def post(url: str, content: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}report", json.dumps(content).encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("wrong", [False, True])
def test_it_ends_with_the_report_and_the_verdict(folder: Path, wrong: bool) -> None:
    with running(folder) as (process, url):
        post(url, report(url, wrong))
        out, err = process.communicate(timeout=60)
    assert process.returncode == (1 if wrong else 0), err
    assert ("1 of 1 answered wrongly" in err) is wrong
    (printed,) = json.loads(out)
    perf = load_perf(folder / "out" / "perf.json")
    assert printed["device"]["name"] == perf.device.name == "a <b>phone</b>"
    assert perf.measurements[0].percentile_ms(50) == 1.5
    assert perf.command == "pocketface bench serve tiny.onnx"
    page = (folder / "out" / "report.html").read_text()
    assert "a &lt;b&gt;phone&lt;/b&gt;" in page
    assert "<b>phone" not in page
    assert str(folder) not in page + out + (folder / "out" / "perf.json").read_text()


def test_an_interrupt_leaves_nothing(folder: Path) -> None:
    with running(folder) as (process, _):
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip().endswith("interrupted; nothing half-written is left")
    assert not (folder / "out").exists()


def test_nobody_comes(folder: Path) -> None:
    with running(folder, "--timeout", "1") as (process, _):
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "no report came within 1 s" in err
    assert json.loads(out) == []
    assert not (folder / "out").exists()


def test_what_cannot_be_written_is_told_all_the_same(folder: Path) -> None:
    (folder / "out").write_text("a file in the way")
    with running(folder) as (process, url):
        post(url, report(url, False))
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "cannot write to out" in err
    assert json.loads(out)[0]["device"]["name"] == "a <b>phone</b>"


def test_several_devices_have_a_folder_each(folder: Path) -> None:
    with running(folder, "--devices", "2") as (process, url):
        for _ in range(2):
            post(url, report(url, False))
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert len(json.loads(out)) == 2
    assert [load_perf(folder / "out" / f"device-{i}" / "perf.json").device.cores for i in (1, 2)] == [0, 0]
