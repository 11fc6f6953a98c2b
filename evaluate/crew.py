"""Workers that turn pictures into embeddings, each with an engine of its own: what one network does on all cores.

On a CPU, several engines with one thread each do more pictures per second than one engine with several threads, which
wait for each other after every layer; and they leave no core idle while pictures are decoded.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ..runtime.backends import available_backends
from ..runtime.detector import Detector
from ..runtime.embedder import Embedder
from .crops import Cropper
from .data import Sample

NOT_FINITE = "have an embedding with NaN or infinity"
ZERO = "have an embedding of zeros"

_MOST = 16  # engines: beyond, Python's lock is what they wait for


@dataclass(frozen=True)
class Batch:
    """What is known of some pictures in a row.

    Attributes:
        vectors: ``(n, D) float32`` as the network gave them, not normalised; zeros where there is a reason.
        reasons: ``(n,)`` why there is no embedding, completing "these pictures ..."; empty where there is one.
    """

    vectors: NDArray[np.float32]
    reasons: NDArray[np.str_]


class Crew:
    """Threads that embed batches, to be used in a ``with`` statement.

    Where the embedder's engine can be opened again, every thread has one; an engine that the caller made, such as a
    fake or a torch module, is used by one thread at a time, while the others decode.

    Args:
        embedder: the recogniser.
        detector: for pictures that are not aligned.
        flip: whether to add the embedding of the mirror image.
        threads: number of threads; None for one per core that this process may use.
    """

    def __init__(self, embedder: Embedder, detector: Detector | None, flip: bool, threads: int | None = None) -> None:
        self._threads = threads or cores()
        self._flip = flip
        self._embedders = SimpleQueue[Embedder]()
        for engine in _engines(embedder, self._threads):
            self._embedders.put(engine)
        self._croppers = SimpleQueue[Cropper]()
        finders = _finders(detector, self._threads) if detector else [None] * self._threads
        for finder in finders:
            self._croppers.put(Cropper(embedder, finder))
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="embed")

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def embed(self, batches: Iterable[Sequence[Sample]]) -> Iterator[Batch]:
        """Embed batches, in their order; as many pictures and crops are held as the threads are at work on."""
        return self._pool.map(self._embed, batches)

    def _embed(self, samples: Sequence[Sample]) -> Batch:
        cropper = self._croppers.get()
        try:
            crops = [cropper(sample) for sample in samples]
        finally:
            self._croppers.put(cropper)
        embedder = self._embedders.get()
        try:
            good = [crop for crop in crops if not isinstance(crop, str)]
            raw = embedder.raw(good)
            if self._flip:
                raw = raw + embedder.raw([crop[:, ::-1] for crop in good])
        finally:
            self._embedders.put(embedder)
        return _judged([crop if isinstance(crop, str) else "" for crop in crops], raw)


def cores() -> int:
    """Threads that a crew has by default: one per core that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _MOST)


def _judged(reasons: list[str], raw: NDArray[np.float32]) -> Batch:
    vectors = np.zeros((len(reasons), raw.shape[1]), np.float32)
    good = [i for i, reason in enumerate(reasons) if not reason]
    for i, vector in zip(good, raw, strict=True):
        if not np.isfinite(vector).all():
            reasons[i] = NOT_FINITE
        elif not vector.any():
            reasons[i] = ZERO
        else:
            vectors[i] = vector
    return Batch(vectors, np.array(reasons, str))


def _engines(embedder: Embedder, count: int) -> list[Embedder]:
    if embedder.backend not in available_backends(embedder.artifact.format):
        return [embedder]
    return [Embedder(embedder.artifact, backend=embedder.backend, threads=1) for _ in range(count)]


def _finders(detector: Detector, count: int) -> list[Detector]:
    if detector.backend not in available_backends(detector.artifact.format):
        return [detector]
    artifact, backend, size = detector.artifact, detector.backend, detector.size
    return [Detector(artifact, backend=backend, threads=1, size=size) for _ in range(count)]
