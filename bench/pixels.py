"""What the pixels cost beside the network: letterbox, alignment, suppression, on one thread."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np

from ..artifact import load_artifact
from ..contract import ARCFACE_TEMPLATE, InputSpec
from ..report import Column, Row, Section
from ..runtime.align import align_face
from ..runtime.backends import open_backend
from ..runtime.boxes import nms
from ..runtime.preprocess import letterbox, to_tensor
from .timing import Task, median_ms

COLUMNS = (
    Column(key="task", name="task"),
    Column(key="latency_ms", name="latency", unit="ms", kind="number", spec=".2f", bar=True),
    Column(key="ratio", name="of a forward pass", kind="number", spec=".2f"),
    Column(key="peak_bytes", name="peak memory", kind="bytes"),
)


def pixel_tasks(size: tuple[int, int] = (320, 320), seed: int = 0) -> dict[str, Task]:
    """The pixel work of one picture, by name, on random pictures; ``size`` is the detector's input."""
    random = np.random.default_rng(seed)
    vga, hd, phone = (random.integers(0, 256, (*s, 3), np.uint8) for s in ((480, 640), (720, 1280), (3000, 4000)))
    points = np.array(ARCFACE_TEMPLATE, np.float64) - 56
    small, large = points * 1.3 + 360, points * 8 + 1500
    corner = random.uniform(0, 300, (2100, 2))
    crowd = np.hstack([corner, corner + random.uniform(5, 60, (2100, 2))])
    near = np.repeat(random.uniform(0, 280, (20, 2)), 105, axis=0) + random.uniform(0, 2, (2100, 2))
    faces, scores = np.hstack([near, near + 40]), random.random(2100)
    spec = InputSpec(name="image", layout="NCHW", height=size[0], width=size[1])
    canvas = letterbox(hd, size)[0][None]
    return {
        "letterbox 640 x 480": lambda: letterbox(vga, size),
        "letterbox 1280 x 720": lambda: letterbox(hd, size),
        "letterbox 4000 x 3000": lambda: letterbox(phone, size),
        "tensor": lambda: to_tensor(canvas, spec),
        "align a face": lambda: align_face(hd, small),
        "align a face of 12 megapixels": lambda: align_face(phone, large),
        "suppress 2100 candidates, 20 faces": lambda: nms(faces, scores, 0.4),
        "suppress 2100 candidates, a crowd": lambda: nms(crowd, scores, 0.4),
    }


def measure_pixels(detector: Path | None = None, rounds: int = 25) -> Section:
    """Median latency and peak of newly allocated memory for each task, and its share of a detector's forward pass."""
    forward: dict[str, Task] = {}
    size = (320, 320)
    if detector is not None:
        artifact = load_artifact(detector)
        spec = artifact.contract.input
        size = (spec.height, spec.width)
        backend, feeds = open_backend(artifact, threads=1), to_tensor(np.zeros((1, *size, 3), np.uint8), spec)
        forward[f"forward pass of {artifact.path.name}"] = lambda: backend.run({spec.name: feeds})
    tasks = forward | pixel_tasks(size)
    medians = median_ms(tasks, rounds=rounds)
    rows: list[Row] = []
    for name, task in tasks.items():
        row: Row = {"task": name, "latency_ms": medians[name], "peak_bytes": _peak_bytes(task)}
        if forward:
            row["ratio"] = medians[name] / medians[next(iter(forward))]
        rows.append(row)
    return Section(title=f"Pixels, for an input of {size[0]} x {size[1]}", columns=COLUMNS, rows=rows)


def _peak_bytes(task: Task) -> int:
    """Most memory that numpy and Python held at once for a task, beyond what they held before. Engines do not count."""
    tracemalloc.start()
    try:
        task()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
