"""Verification of one file or several on one data set, with everything kept so that a second run is instant."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from .. import __version__
from ..errors import EmbeddingMismatch
from ..runtime.detector import Detector
from ..runtime.embedder import Embedder
from .bootstrap import ROUNDS
from .cache import Cache, cache_key
from .drift import OPERATING_FAR, Drift, measure_drift
from .embeddings import Embedded, embed_images
from .verification import FARS, Data, Judged, Verification, fingerprint_of, images_of, judge

#: Told what is being done, in a few words.
Progress = Callable[[str], None]


class Outcome(msgspec.Struct, frozen=True):
    """One result for each file, and the drift of each but the first against the first."""

    results: tuple[Verification, ...]
    drifts: tuple[Drift, ...]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a result depends on besides data and files.

    Attributes:
        flip: whether the embeddings of a picture and of its mirror image are summed.
        fars: to give TAR at.
        far: where the decisions of several files are compared.
        rounds, seed: of the bootstrap.
        allow_different: whether files of different networks may be compared.
    """

    flip: bool = False
    fars: tuple[float, ...] = FARS
    far: float = OPERATING_FAR
    rounds: int = ROUNDS
    seed: int = 0
    allow_different: bool = False


def run_verification(
    data: Data,
    embedders: Sequence[Embedder],
    *,
    detector: Detector | None = None,
    settings: Settings | None = None,
    cache: Cache | None = None,
    progress: Progress = lambda step: None,
) -> Outcome:
    """Embed every picture once with each file, run the protocol, and compare each file's decisions with the first's.

    Args:
        data: pairs, or pictures with identities.
        embedders: of one network, the first being what the others are held to.
        detector: for pictures that are not aligned; one for all, so that only the recogniser differs.
        settings: what else the result depends on.
        cache: keeps embeddings and the outcome.
        progress: told what is being done.

    Raises:
        EmbeddingMismatch: files of different networks, and ``allow_different`` is not set.
        InvalidData: the data support no result.
    """
    settings = settings or Settings()
    _require_one_network(embedders, settings.allow_different)
    key = _key(data, embedders, detector, settings)
    if cache is not None and (kept := _kept(cache, key)):
        return kept
    judged = []
    for embedder in embedders:
        embedded = _embed(data, embedder, detector, settings, cache, progress)
        progress(f"{embedder.artifact.path.name}: scoring pairs")
        result = judge(data, embedded, fars=settings.fars, rounds=settings.rounds, seed=settings.seed)
        judged.append((embedded, result))
    drifts = [_drift(data, embedders, judged, i, settings, progress) for i in range(1, len(embedders))]
    outcome = Outcome(tuple(result.result for _, result in judged), tuple(drifts))
    if cache is not None:
        cache.put(key, {"outcome": np.array(msgspec.json.encode(outcome).decode())})
    return outcome


def _embed(
    data: Data,
    embedder: Embedder,
    detector: Detector | None,
    settings: Settings,
    cache: Cache | None,
    progress: Progress,
) -> Embedded:
    def told(done: int, total: int) -> None:
        progress(f"{embedder.artifact.path.name} on {embedder.backend}: {done:,} of {total:,} pictures")

    images = images_of(data)
    return embed_images(images, embedder, detector=detector, flip=settings.flip, cache=cache, progress=told)


def _drift(
    data: Data,
    embedders: Sequence[Embedder],
    judged: Sequence[tuple[Embedded, Judged]],
    i: int,
    settings: Settings,
    progress: Progress,
) -> Drift:
    progress(f"{embedders[i].artifact.path.name}: comparing decisions")
    alike = embedders[i].fingerprint == embedders[0].fingerprint
    options = {"far": settings.far, "rounds": settings.rounds, "seed": settings.seed}
    return measure_drift(data, judged[0], judged[i], same_network=alike, **options)  # type: ignore[arg-type]


def _require_one_network(embedders: Sequence[Embedder], allow_different: bool) -> None:
    first = embedders[0]
    for other in embedders[1:]:
        if other.fingerprint != first.fingerprint and not allow_different:
            raise EmbeddingMismatch(
                f"{other.artifact.path.name} is network {other.fingerprint[:12]}, {first.artifact.path.name} is "
                f"{first.fingerprint[:12]}: drift is between files of one network; give files of one export, or "
                "--allow-different to compare the decisions of two networks"
            )


def _key(data: Data, embedders: Sequence[Embedder], detector: Detector | None, settings: Settings) -> str:
    return cache_key(
        result="verification",
        release=__version__,
        data=fingerprint_of(data),
        problems=images_of(data).problems,
        files=[(e.artifact.sha256, e.contract.to_json(), e.backend) for e in embedders],
        detector=(detector.artifact.sha256, detector.contract.to_json(), detector.backend) if detector else None,
        size=detector.size if detector else None,
        settings=settings,
    )


def _kept(cache: Cache, key: str) -> Outcome | None:
    entry = cache.get(key)
    try:
        return msgspec.json.decode(str(entry["outcome"]), type=Outcome) if entry else None
    except (msgspec.MsgspecError, KeyError) as e:
        cache.notes.append(f"entry {key[:12]} is ignored and made again, for it is no result: {e}")
        return None
