"""What an evaluation costs beside its network: reading, decoding, aligning, batching."""

from __future__ import annotations

import io
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from ..evaluate.crew import cores
from ..evaluate.data import ImageSet, open_images
from ..evaluate.embeddings import embed_images
from ..report import Column, Row, Section
from ..runtime.embedder import Embedder
from .timing import Task, elapsed_ms, interleaved

COLUMNS = (
    Column(key="side", name="crops", unit="px", kind="number"),
    Column(key="pictures", name="pictures", kind="number"),
    Column(key="engine_per_s", name="engine alone", unit="pictures/s", kind="number", spec=".1f"),
    Column(key="engines_per_s", name="an engine per core", unit="pictures/s", kind="number", spec=".1f"),
    Column(key="pass_per_s", name="whole pass", unit="pictures/s", kind="number", spec=".1f"),
    Column(key="share", name="longer than an engine per core", kind="number", spec="+.1%"),
    Column(key="overhead", name="longer than the engine", kind="number", spec="+.1%"),
    Column(key="limit", name="limit", kind="number", spec=".0%"),
    Column(key="within", name="verdict", kind="verdict"),
)


def measure_evaluation(
    recognizer: Path, *, sides: tuple[int, ...] = (112,), pictures: int = 1024, rounds: int = 3, limit: float = 0.15
) -> Section:
    """Embed JPEG crops in a tar file, and the same number of ready-made ones by the network alone, in turn.

    Alone it runs twice: as the engine's own choice of threads has it, which is what the pass is held to, and as one
    engine with one thread per core, which is how the pass uses it. How much longer the pass takes is the median over
    the rounds of the ratio of times, for in one round all meet the same machine. Crops of 112 pixels enter as they are;
    those of another side are warped, which costs half a millisecond of a core each. Opening the engines counts.
    """
    embedder = Embedder(recognizer)
    alone = [Embedder(recognizer, threads=1) for _ in range(cores())]
    rows = [_row(embedder, alone, side, pictures, rounds, limit) for side in sides]
    return Section(title=f"An evaluation's pass over aligned pictures, {recognizer.name}", columns=COLUMNS, rows=rows)


def _row(embedder: Embedder, alone: list[Embedder], side: int, pictures: int, rounds: int, limit: float) -> Row:
    ready = np.random.default_rng(0).integers(0, 256, (pictures, *embedder.size, 3), np.uint8)
    shares = np.array_split(ready, len(alone))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(alone)) as pool:
        images = _crops(Path(folder) / "crops.tar", side, pictures)
        tasks: dict[str, Task] = {
            "engine": lambda: embedder.raw(ready),
            "engines": lambda: list(pool.map(Embedder.raw, alone, shares)),
            "pass": lambda: embed_images(images, embedder),
        }
        times_ms = interleaved(
            {name: partial(elapsed_ms, task) for name, task in tasks.items()}, rounds=rounds, warmup=1
        )
    times = np.array(list(times_ms.values())) / 1e3  # (3, rounds)
    engine_s, engines_s, pass_s = np.median(times, axis=1)
    overhead, share = (float(n) for n in np.median(times[2] / times[:2], axis=1) - 1)
    return {
        "side": side,
        "pictures": pictures,
        "engine_per_s": float(pictures / engine_s),
        "engines_per_s": float(pictures / engines_s),
        "pass_per_s": float(pictures / pass_s),
        "share": share,
        "overhead": overhead,
        "limit": limit,
        "within": overhead < limit,
    }


def _crops(path: Path, side: int, count: int) -> ImageSet:
    """Crops as large as those of real faces: the bundled portraits in JPEG at quality 90, over and over."""
    from ..evaluate.faces import bundled_portraits

    encoded = []
    for portrait in bundled_portraits():
        stream = io.BytesIO()
        Image.fromarray(portrait.image).resize((side, side)).save(stream, "JPEG", quality=90)
        encoded.append(stream.getvalue())
    with tarfile.open(path, "w") as archive:
        for i in range(count):
            info, content = tarfile.TarInfo(f"{i:06d}.jpg"), encoded[i % len(encoded)]
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return open_images(path, aligned=True)
