"""How verification falls when the second picture of every pair is spoiled, and the threshold stays as it was.

A person enrols once, in good light; what comes later is what suffers. So the first picture of a pair stays clean, and
so does the threshold: that of a FAR on clean pairs. Of pictures with identities, the one that comes first in the order
of the data is the clean one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import numpy as np

from .. import __version__
from ..runtime.detector import Detector
from ..runtime.embedder import Embedder
from .aligned import aligned_crops
from .bootstrap import ROUNDS, Interval
from .cache import Cache
from .corruptions import CORRUPTIONS, corrupt
from .data import ImageSet, Sample
from .embeddings import Embedded, embed_images
from .slice_rates import slice_rates
from .slice_run import common_threshold
from .slices import Slices
from .verification import Data, images_of

#: Told what is being done, in a few words.
Progress = Callable[[str], None]


class Spoiled(msgspec.Struct, frozen=True, kw_only=True):
    """What is left under one corruption.

    Attributes:
        kind: of corruption; ``clean`` for none.
        strength: 1..5; 0 for none.
        value: what that means, see :data:`~.corruptions.CORRUPTIONS`; None for none.
        tar: share of genuine pairs that pass the clean threshold.
        tar_interval: 95 %, over identities.
        far: share of impostor pairs that pass it.
        far_interval: likewise.
        failed: pictures without an embedding; their genuine pairs are rejected.
    """

    kind: str
    strength: int
    value: float | None
    tar: float
    tar_interval: Interval | None
    far: float
    far_interval: Interval | None
    failed: int


class Robustness(msgspec.Struct, frozen=True, kw_only=True):
    """One file under all corruptions.

    Attributes:
        far: that the threshold stands for, on clean pairs.
        threshold: a cosine.
        genuine, impostors: number of pairs.
        results: clean first, then kind by kind with rising strength.
        problems: what was wrong with the data, or failed in them.
    """

    far: float
    threshold: float
    genuine: int
    impostors: int
    results: tuple[Spoiled, ...]
    problems: tuple[str, ...] = ()


def run_robustness(
    data: Data,
    embedder: Embedder,
    *,
    kinds: Sequence[str] = tuple(CORRUPTIONS),
    strengths: Sequence[int] = (1, 2, 3, 4, 5),
    far: float = 1e-3,
    detector: Detector | None = None,
    cache: Cache | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
    progress: Progress = lambda step: None,
) -> Robustness:
    """Embed the pictures clean and under each corruption, and score pairs of one with the other.

    Args:
        data: pairs, or pictures with identities.
        embedder: the recogniser.
        kinds: of corruption.
        strengths: 1..5 each.
        far: for the threshold, on clean pairs.
        detector: for pictures that are not aligned: they are first cut out, and the crops of 112 x 112 then spoiled.
        cache: keeps the embeddings, so that a run that was killed goes on.
        rounds: of the bootstrap.
        seed: of the bootstrap and of all corruptions.
        progress: told what is being done.

    Raises:
        InvalidData: too few impostor pairs for the FAR, no such corruption, or pictures that need a detector.
    """
    images, first = images_of(data), embedder.artifact.path.name

    def embed(some: ImageSet, what: str, finder: Detector | None = None) -> Embedded:
        def told(done: int, total: int) -> None:
            progress(f"{first}, {what}: {done:,} of {total:,} pictures")

        return embed_images(some, embedder, detector=finder, cache=cache, progress=told)

    clean = embed(images, "clean", detector)
    threshold = common_threshold(data, clean, far)
    crops = aligned_crops(images, detector)
    measure = _Measure(data, clean, threshold, far, rounds, seed)
    results = [measure("clean", 0, clean)]
    for kind in kinds:
        for strength in strengths:
            probes = embed(spoiled(crops, kind, strength, seed), f"{kind} {strength}")
            results.append(measure(kind, strength, probes))
    return Robustness(
        far=far,
        threshold=threshold,
        genuine=measure.genuine,
        impostors=measure.impostors,
        results=tuple(results),
        problems=(*images.problems, *clean.problems),
    )


class _Measure:
    """Rates of pairs of clean pictures with other ones."""

    def __init__(self, data: Data, clean: Embedded, threshold: float, far: float, rounds: int, seed: int) -> None:
        self._data, self._clean = data, clean
        self._options = {"threshold": threshold, "far": far, "rounds": rounds, "seed": seed}
        self._all = Slices("", ("all",), np.zeros(len(images_of(data)), np.int64))
        self.genuine = self.impostors = 0

    def __call__(self, kind: str, strength: int, probes: Embedded) -> Spoiled:
        rates = slice_rates(self._data, self._clean, self._all, probes=probes, **self._options)  # type: ignore[arg-type]
        found = rates.slices[0]
        self.genuine, self.impostors = found.genuine, found.impostors
        assert found.fnmr is not None
        assert found.fmr is not None
        wrong = found.fnmr_interval
        return Spoiled(
            kind=kind,
            strength=strength,
            value=CORRUPTIONS[kind].values[strength - 1] if strength else None,
            tar=1 - found.fnmr,
            tar_interval=wrong and Interval(1 - wrong.high, 1 - wrong.low),
            far=found.fmr,
            far_interval=found.fmr_interval,
            failed=int(probes.failed.sum()),
        )


def spoiled(crops: ImageSet, kind: str, strength: int, seed: int = 0) -> ImageSet:
    """The same pictures under a corruption; each is spoiled when it is read."""

    def wrap(sample: Sample) -> Sample:
        return replace(sample, read=lambda: corrupt(sample.read(), kind, strength, name=sample.name, seed=seed))

    how = f"{kind} {strength}, seed {seed}, pocketface {__version__}"
    return crops.derive(how, map(wrap, crops.samples))
