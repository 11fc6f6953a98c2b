"""Export models to every format and show what came out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..artifact import Artifact
from ..bench.timing import median_ms
from ..draw import ORANGE, contact_sheet, draw_faces, encode
from ..evaluate.faces import bundled_portraits, inputs_for
from ..evaluate.table import PARITY_COLUMNS, parity_row
from ..export import Exported, build_model, export_model
from ..export.quiet import quiet
from ..report import Column, Picture, Row, Section
from ..runtime.backends import open_backend
from ..runtime.detector import Detector
from ..runtime.preprocess import to_tensor

if TYPE_CHECKING:
    from rich.console import Console

FORMATS = ("onnx", "tflite", "coreml")
#: An interpreter checks answers; how long it takes says nothing about the engine it stands for.
NOT_TIMED = ("mil",)

COLUMNS = (
    Column(key="file", name="file"),
    Column(key="format", name="format"),
    Column(key="precision", name="precision"),
    Column(key="size_bytes", name="size", kind="bytes", bar=True),
    Column(key="parameters", name="parameters", kind="count"),
    Column(key="macs", name="MACs", kind="count"),
    *(c for c in PARITY_COLUMNS if c.key in ("cosine", "max_abs", "box_iou", "landmarks_px")),
    Column(key="backend", name="engine"),
    Column(key="latency_ms", name="latency", unit="ms", kind="number", spec=".2f", bar=True),
    Column(key="weights", name="weights"),
    Column(key="passed", name="verdict", kind="verdict"),
)


def export_all(folder: Path, console: Console, models: Sequence[str]) -> list[Exported]:
    """Export every model to every format into ``folder``, each file proven, with a bar that shows how far it is."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    look = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    exports: list[Exported] = []
    with Progress(*look, console=console) as bar:
        task = bar.add_task("", total=4 * len(models))  # ONNX, TFLite, and two precisions of Core ML

        def tell(step: str) -> None:
            bar.update(task, description=step)

        for name in models:
            for one in export_model(build_model(name), folder, formats=FORMATS, progress=tell):
                exports.append(one)
                bar.advance(task)
    return exports


def exports_section(exports: Sequence[Exported]) -> Section:
    """A row for every file: its size, how near it is to the original, how fast it is."""
    return Section(title="Exports", columns=COLUMNS, rows=[_row(one) for one in exports], notes=_notes(exports))


def pictures_section(artifacts: Sequence[Artifact]) -> Section:
    """What untrained networks see and mark."""
    return Section(title="Faces", notes=_picture_notes(artifacts), pictures=_pictures(artifacts))


def _row(one: Exported) -> Row:
    contract, parity = one.artifact.contract, parity_row(one.parity)
    shown = {key: parity[key] for key in parity if key in {column.key for column in COLUMNS}}
    return {
        **shown,
        "size_bytes": one.artifact.size_bytes,
        "parameters": contract.parameters,
        "macs": contract.macs,
        "latency_ms": _latency_ms(one),
        "weights": "trained" if contract.trained else "untrained",
    }


def _latency_ms(one: Exported) -> float | None:
    """Median latency of one picture on one thread."""
    if one.parity.backend in NOT_TIMED:
        return None
    spec = one.artifact.contract.input
    image = inputs_for(one.artifact.contract, bundled_portraits()[:1])
    with quiet():
        engine = open_backend(one.artifact, one.parity.backend, threads=1)
    feeds = {spec.name: to_tensor(image, spec)}
    return median_ms({"run": lambda: engine.run(feeds)}, rounds=50)["run"]


def _notes(exports: Sequence[Exported]) -> list[str]:
    faces = exports[0].parity.faces
    return [
        f"Cosine and max |Δ| are the worst over {faces} faces and all outputs, against the network in training form in "
        "torch; box IoU and landmarks are the worst over the faces that the detector finds in them.",
        "Latency is the median of one picture on one thread of this machine. Core ML runs in our interpreter here, "
        "which checks the file and not Apple's engine, so it is not timed.",
    ]


def _picture_notes(artifacts: Sequence[Artifact]) -> list[str]:
    notes = ["The people in these pictures do not exist: they were generated."]
    if not all(a.contract.trained for a in artifacts):
        notes.append("The weights are seeded, not trained: what is marked is no face, but every engine marks the same.")
    return notes


def _pictures(artifacts: Sequence[Artifact]) -> list[Picture]:
    """What the recogniser sees, and what the detector marks."""
    pictures = []
    portraits = bundled_portraits()
    for artifact in artifacts:
        if artifact.format != "onnx":
            continue
        if artifact.contract.task_name == "recognition":
            sheet = contact_sheet(list(inputs_for(artifact.contract, portraits)))
            pictures.append(Picture(f"What {artifact.contract.model} sees: aligned faces", encode(sheet, "JPEG")))
        else:
            detector = Detector(artifact)
            marked = [draw_faces(p.image, detector.detect(p.image, max_faces=3), ORANGE) for p in portraits[:8]]
            sheet = contact_sheet([np.ascontiguousarray(m[::2, ::2]) for m in marked], columns=4)
            pictures.append(Picture(f"What {artifact.contract.model} marks", encode(sheet, "JPEG")))
    return pictures
