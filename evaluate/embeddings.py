"""Embed a set of pictures: each once, in batches, on all cores, in bounded memory, and on from where a run stopped."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..errors import InvalidData, UnsupportedModel
from ..runtime.detector import Detector
from ..runtime.embedder import Embedder
from .cache import Cache, cache_key
from .crops import Cropper
from .data import Image, ImageSet, Sample
from .data.shelf import named

#: Told how many pictures are done, and of how many.
Progress = Callable[[int, int], None]

_BATCH = 32  # pictures between two words of progress
_PART = 256  # pictures that a killed run loses at most; each part is a cache entry
_AHEAD = 64  # crops that may wait for the network

_NOT_FINITE = "have an embedding with NaN or infinity"
_ZERO = "have an embedding of zeros"


@dataclass(frozen=True, eq=False)
class Embedded:
    """The embeddings of an image set, in its order.

    Attributes:
        vectors: ``(N, D) float32`` rows of length 1; zeros where a picture failed.
        failed: ``(N,) bool`` pictures without an embedding: unreadable, no face found, or NaN.
        norms: ``(N,) float32`` length before normalisation, 0 where failed. Where the graph itself normalises, about 1
            (with ``flip`` up to 2), and it says nothing about quality.
        problems: a sentence for each kind of failure, with the pictures' names.
        images_per_s: of the pictures that this run embedded; NaN if all came from the cache.
        cached: number of pictures that came from the cache.
    """

    vectors: NDArray[np.float32]
    failed: NDArray[np.bool_]
    norms: NDArray[np.float32]
    problems: tuple[str, ...]
    images_per_s: float
    cached: int


@dataclass(frozen=True)
class _Part:
    """What is known of some pictures in a row: raw vectors, zeros where there is a reason for failure."""

    vectors: NDArray[np.float32]
    reasons: NDArray[np.str_]


def embed_images(
    images: ImageSet,
    embedder: Embedder,
    *,
    detector: Detector | None = None,
    flip: bool = False,
    cache: Cache | None = None,
    progress: Progress = lambda done, total: None,
) -> Embedded:
    """Embed every picture of a set once; how it becomes a crop, see :class:`~.crops.Cropper`.

    Threads read, decode, find and align the next pictures while the network works on these.

    Args:
        images: the pictures.
        embedder: the recogniser.
        detector: finds the faces of pictures that are not aligned.
        flip: whether to sum the embeddings of each crop and of its mirror image, before they are normalised.
        cache: keeps what is done, so that a run that was killed goes on, and a second run is instant.
        progress: told after each batch.

    Raises:
        InvalidData: pictures that are not aligned, and no detector.
        UnsupportedModel: the engine fails, or every embedding is NaN or zeros.
    """
    if detector is None and not all(sample.aligned for sample in images.samples):
        raise InvalidData(
            f"{images.name}: pictures that are not aligned need a detector; name one, or say that they are aligned if "
            "they are square crops on the ArcFace template"
        )
    total = len(images)
    keys = {range(i, min(i + _PART, total)): "" for i in range(0, total, _PART)}
    parts: dict[range, _Part] = {}
    for place in keys:
        if cache is not None:
            keys[place] = _key(images, embedder, detector, flip, place)
            if part := _from_cache(cache, keys[place], place, embedder):
                parts[place] = part
    cached = sum(map(len, parts))
    start = time.perf_counter()
    fresh = [place for place in keys if place not in parts]
    for place, part in _embed_parts(images, fresh, embedder, Cropper(embedder, detector), flip, cached, progress):
        parts[place] = part
        if cache is not None:
            cache.put(keys[place], {"vectors": part.vectors, "reasons": part.reasons})
    rate = (total - cached) / (time.perf_counter() - start) if fresh else float("nan")
    return _joined(images, embedder, [parts[place] for place in keys], rate, cached)


def _embed_parts(
    images: ImageSet,
    places: Sequence[range],
    embedder: Embedder,
    crop: Cropper,
    flip: bool,
    done: int,
    progress: Progress,
) -> Iterator[tuple[range, _Part]]:
    total = len(images)
    progress(done, total)
    with ThreadPoolExecutor(_cores(), thread_name_prefix="crops") as pool:
        crops = _ahead(pool, crop, (images.samples[i] for place in places for i in place))
        for place in places:
            batches = []
            for first in range(0, len(place), _BATCH):
                batch = list(islice(crops, min(_BATCH, len(place) - first)))
                batches.append(_embed_batch(batch, embedder, flip))
                progress(done := done + len(batch), total)
            vectors = np.concatenate([batch.vectors for batch in batches])
            yield place, _Part(vectors, np.concatenate([batch.reasons for batch in batches]))


def _ahead(pool: Executor, function: Callable[[Sample], Image | str], items: Iterable[Sample]) -> Iterator[Image | str]:
    """Map in order, working at most ``_AHEAD`` items ahead, so that no more crops than that are held."""
    waiting: deque[Future[Image | str]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _embed_batch(crops: Sequence[Image | str], embedder: Embedder, flip: bool) -> _Part:
    reasons = [crop if isinstance(crop, str) else "" for crop in crops]
    good = np.flatnonzero([not reason for reason in reasons])
    vectors = np.zeros((len(crops), embedder.task.embedding_size), np.float32)
    if len(good):
        batch = np.stack([crop for crop in crops if not isinstance(crop, str)])
        found = embedder.raw(batch) + (embedder.raw(batch[:, :, ::-1]) if flip else np.float32(0))
        for i, vector in zip(good, found, strict=True):
            if not np.isfinite(vector).all():
                reasons[i] = _NOT_FINITE
            elif not vector.any():
                reasons[i] = _ZERO
            else:
                vectors[i] = vector
    return _Part(vectors, np.array(reasons, str))


def _joined(images: ImageSet, embedder: Embedder, parts: Sequence[_Part], rate: float, cached: int) -> Embedded:
    empty = np.empty((0, embedder.task.embedding_size), np.float32)
    raw = np.concatenate([empty, *(part.vectors for part in parts)])
    reasons = [str(reason) for part in parts for reason in part.reasons]
    failed = np.array([bool(reason) for reason in reasons], bool)
    norms = np.linalg.norm(raw, axis=1)
    vectors = raw / np.where(failed, np.float32(1), norms)[:, None]
    problems = []
    for reason in dict.fromkeys(filter(None, reasons)):
        who = [sample.name for sample, said in zip(images.samples, reasons, strict=True) if said == reason]
        problems.append(f"{len(who)} of {len(reasons)} pictures {reason}: {named(who)}")
    if failed.all() and {_NOT_FINITE, _ZERO} & set(reasons):
        raise UnsupportedModel(f"{embedder.artifact.path}: no embedding at all; {'; '.join(problems)}")
    return Embedded(vectors, failed, norms.astype(np.float32), tuple(problems), rate, cached)


def _key(images: ImageSet, embedder: Embedder, detector: Detector | None, flip: bool, place: range) -> str:
    """Everything that the embeddings of a part depend on, down to the release of this program."""
    return cache_key(
        result="embeddings",
        release=__version__,
        images=images.fingerprint,
        part=[(sample.name, sample.aligned) for sample in images.samples[place.start : place.stop]],
        embedder=_identity(embedder),
        detector=_identity(detector) if detector else None,
        size=detector.size if detector else None,
        flip=flip,
    )


def _identity(model: Embedder | Detector) -> tuple[str, str, str]:
    return model.artifact.sha256, model.contract.to_json(), model.backend


def _from_cache(cache: Cache, key: str, place: range, embedder: Embedder) -> _Part | None:
    """A part, if it is one: an entry with other shapes or values was made by someone else."""
    entry: dict[str, NDArray[Any]] | None = cache.get(key)
    if entry is None:
        return None
    match entry:
        case {"vectors": vectors, "reasons": reasons} if (
            vectors.shape == (len(place), embedder.task.embedding_size)
            and vectors.dtype == np.float32
            and np.isfinite(vectors).all()
            and reasons.shape == (len(place),)
            and reasons.dtype.kind == "U"
            and np.array_equal(vectors.any(axis=1), reasons == "")
        ):
            return _Part(vectors, reasons)
    cache.notes.append(f"entry {key[:12]} is ignored and made again, for it holds no embeddings of these pictures")
    return None


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
