"""A device's results as a report: one row for each model at each setting."""

from __future__ import annotations

import msgspec
import numpy as np

from ...environment import current_environment
from ...report import Column, Report, Row, Section
from ..perf import Measurement, Perf

COLUMNS = (
    Column(key="model", name="model"),
    Column(key="engine", name="engine"),
    Column(key="precision", name="precision"),
    Column(key="threads", name="threads", kind="number"),
    Column(key="p50_ms", name="p50", unit="ms", kind="number", spec=".2f", bar=True),
    Column(key="p90_ms", name="p90", unit="ms", kind="number", spec=".2f"),
    Column(key="p99_ms", name="p99", unit="ms", kind="number", spec=".2f"),
    Column(key="runs", name="runs", kind="number"),
    Column(key="per_s", name="throughput", unit="pictures/s", kind="number", spec=".1f"),
    Column(key="load_ms", name="load", unit="ms", kind="number", spec=".0f"),
    Column(key="measure", name="parity by"),
    Column(key="parity", name="parity", kind="number", spec=".6f"),
    Column(key="pictures", name="pictures", kind="number"),
    Column(key="passed", name="verdict", kind="verdict"),
)


def row_of(one: Measurement) -> Row:
    """A measurement in plain values."""
    parity = one.parity
    return {
        "model": one.model,
        "engine": f"{one.engine} {one.engine_version}".strip(),
        "precision": one.precision,
        "threads": one.threads,
        **{f"p{percent}_ms": one.percentile_ms(percent) for percent in (50, 90, 99)},
        "runs": len(one.times_ms),
        "per_s": float(1e3 / np.mean(one.times_ms)) if any(one.times_ms) else None,
        "load_ms": one.load_ms,
        "measure": parity.measure if parity else None,
        "parity": parity.value if parity else None,
        "pictures": parity.pictures if parity else None,
        "passed": parity.passed if parity else None,
    }


def perf_report(perf: Perf) -> Report:
    """What a device did, as a report that says of itself where it was measured."""
    device = perf.device
    facts = device.facts
    notes = [
        f"Browser: {device.system}",
        f"Isolated, so that threads can share memory: {facts['isolated']}; secure context: {facts['secure']}; WebGPU: "
        f"{facts['gpu']}; the clock's steps: {facts['clock_step_ms']} ms.",
        "Measured in a browser's runtime, which is neither ONNX Runtime nor LiteRT in an app. Load is from the start "
        "of the engine, its files and the model's bytes being there, to a first answer.",
        *(
            f"{one.model}, {one.engine}, {one.threads} thread{'s' * (one.threads != 1)}: {note}."
            for one in perf.measurements
            for note in one.notes
        ),
    ]
    section = Section(title=device.name, columns=COLUMNS, rows=[row_of(one) for one in perf.measurements], notes=notes)
    environment = msgspec.structs.replace(
        current_environment(),
        system="a browser",
        machine=device.machine,
        cpu=device.name,
        cores=device.cores,
        packages=perf.packages,
    )
    return Report(
        title=f"In a browser: {device.name}",
        command=perf.command,
        sections=[section],
        environment=environment,
        created=perf.created,
    )
