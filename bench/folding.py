"""What folding brings: every network in training and in deployed form, on ONNX Runtime with one thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import onnxruntime as ort
import torch
from torch import nn

from ..models import create_model, list_models, model_spec, reparameterize
from ..report import Column, Row, Section
from .timing import median_ms

COLUMNS = (
    Column(key="model", name="model"),
    Column(key="training_ms", name="training form", unit="ms", kind="number", spec=".2f"),
    Column(key="deployed_ms", name="deployed", unit="ms", kind="number", spec=".2f", bar=True),
    Column(key="speedup", name="times faster", kind="number", spec=".2f"),
)


def measure_folding(rounds: int = 25, progress: Callable[[str], None] = lambda step: None) -> Section:
    """Median latency of one picture in both forms, and their ratio, for every registered network."""
    rows: list[Row] = []
    for name in list_models():
        progress(f"folding {name}")
        network, size = create_model(name, seed=0), model_spec(name).input_size
        tasks = {"training_ms": _session(network, size), "deployed_ms": _session(reparameterize(network), size)}
        times = median_ms(tasks, rounds=rounds)
        rows.append({"model": name, **times, "speedup": times["training_ms"] / times["deployed_ms"]})
    return Section(title="Training form and deployed form on ONNX Runtime, one thread", columns=COLUMNS, rows=rows)


def _session(network: nn.Module, size: tuple[int, int]) -> Callable[[], object]:
    image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    # Kept unoptimised by the exporter, which would fold norms into convolutions by itself.
    program = torch.onnx.export(network, (image,), dynamo=True, external_data=False, verbose=False, optimize=False)
    assert program is not None
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(program.model_proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return partial(session.run, None, {session.get_inputs()[0].name: np.asarray(image)})
