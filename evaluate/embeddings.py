"""Embed a set of pictures: each once, in batches, on all cores, in bounded memory, and on from where a run stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..artifact import content_digest
from ..contract import Recognition
from ..errors import InvalidData, UnsupportedModel
from ..runtime.detector import Detector
from ..runtime.embedder import Embedder
from .cache import Cache, cache_key
from .crew import NOT_FINITE, ZERO, Batch, Crew
from .data import ImageSet
from .data.shelf import named

#: Told how many pictures are done, and of how many.
Progress = Callable[[int, int], None]

_BATCH = 16  # pictures that a thread takes at a time
_PART = 256  # pictures that a killed run loses at most; each part is a cache entry


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


def embed_images(
    images: ImageSet,
    embedder: Embedder,
    *,
    detector: Detector | None = None,
    flip: bool = False,
    cache: Cache | None = None,
    threads: int | None = None,
    progress: Progress = lambda done, total: None,
) -> Embedded:
    """Embed every picture of a set once; how it becomes a crop, see :class:`~.crops.Cropper`.

    Args:
        images: the pictures.
        embedder: the recogniser.
        detector: finds the faces of pictures that are not aligned.
        flip: whether to sum the embeddings of each crop and of its mirror image, before they are normalised.
        cache: keeps what is done, so that a run that was killed goes on, and a second run is instant.
        threads: number of threads, each with an engine of its own; None for one per core.
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
    places = [range(i, min(i + _PART, len(images))) for i in range(0, len(images), _PART)]
    keys = _keys(images, embedder, detector, flip, places) if cache else {}
    parts = {place: part for place, key in keys.items() if cache and (part := _kept(cache, key, place, embedder))}
    cached, start = sum(map(len, parts)), time.perf_counter()
    fresh = [place for place in places if place not in parts]
    progress(cached, len(images))
    if fresh:
        with Crew(embedder, detector, flip, threads) as crew:
            for place, part in _embed_parts(images, fresh, crew, embedder, lambda n: progress(cached + n, len(images))):
                parts[place] = part
                if cache:
                    cache.put(keys[place], {"vectors": part.vectors, "reasons": part.reasons})
    rate = (len(images) - cached) / (time.perf_counter() - start) if fresh else float("nan")
    return _finished(images, embedder, _concatenated([parts[place] for place in places], embedder), rate, cached)


def _embed_parts(
    images: ImageSet, places: Sequence[range], crew: Crew, embedder: Embedder, done: Callable[[int], None]
) -> Iterator[tuple[range, Batch]]:
    slices = [[slice(i, min(i + _BATCH, place.stop)) for i in place[::_BATCH]] for place in places]
    batches, count = crew.embed(images.samples[s] for part in slices for s in part), 0
    for place, part in zip(places, slices, strict=True):
        made = []
        for batch in islice(batches, len(part)):
            made.append(batch)
            done(count := count + len(batch.reasons))
        yield place, _concatenated(made, embedder)


def _concatenated(batches: Sequence[Batch], embedder: Embedder) -> Batch:
    none = np.empty((0, embedder.task.embedding_size), np.float32)
    reasons = [np.empty(0, "U1"), *(batch.reasons for batch in batches)]
    return Batch(np.concatenate([none, *(batch.vectors for batch in batches)]), np.concatenate(reasons))


def _finished(images: ImageSet, embedder: Embedder, found: Batch, rate: float, cached: int) -> Embedded:
    raw, reasons = found.vectors, found.reasons.tolist()
    failed = np.array([bool(reason) for reason in reasons], bool)
    norms = np.linalg.norm(raw.astype(np.float64), axis=1)  # in float32, squares beyond 1e38 are infinite
    vectors = (raw / np.where(failed, 1.0, norms)[:, None]).astype(np.float32)
    problems = []
    for reason in dict.fromkeys(filter(None, reasons)):
        who = [sample.name for sample, said in zip(images.samples, reasons, strict=True) if said == reason]
        problems.append(f"{len(who)} of {len(reasons)} pictures {reason}: {named(who)}")
    if failed.all() and {NOT_FINITE, ZERO} & set(reasons):
        raise UnsupportedModel(f"{embedder.artifact.path}: no embedding at all; {'; '.join(problems)}")
    return Embedded(vectors, failed, norms.astype(np.float32), tuple(problems), rate, cached)


def _keys(
    images: ImageSet, embedder: Embedder, detector: Detector | None, flip: bool, places: Sequence[range]
) -> dict[range, str]:
    """Of each part: everything that its embeddings depend on, down to the release of this program."""
    common = {
        "result": "embeddings",
        "release": __version__,
        "images": images.fingerprint,
        "embedder": _identity(embedder),
        "detector": _identity(detector) if detector else None,
        "size": detector.size if detector else None,
        "flip": flip,
    }
    parts = {place: images.samples[place.start : place.stop] for place in places}
    return {
        place: cache_key(**common, part=[(sample.name, sample.aligned) for sample in samples])
        for place, samples in parts.items()
    }


def _identity(model: Embedder | Detector) -> tuple[str, str, str]:
    """Graph, weights and contract, but for what a contract says about decisions: that changes no embedding."""
    contract = model.contract
    if isinstance(contract.task, Recognition):
        task = msgspec.structs.replace(contract.task, calibration=msgspec.UNSET, compatible=msgspec.UNSET)
        contract = msgspec.structs.replace(contract, task=task)
    return content_digest(model.artifact), contract.to_json(), model.backend


def _kept(cache: Cache, key: str, place: range, embedder: Embedder) -> Batch | None:
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
            return Batch(vectors, reasons)
    cache.notes.append(f"entry {key[:12]} is ignored and made again, for it holds no embeddings of these pictures")
    return None
