"""What a process of its own measures: one model file, a detector and a recogniser together, or the machine itself.

All run on the bundled portraits, through the runtime that an app would use. Where the engine's own run begins and ends
is noted on the way, so that one call tells what it cost and what our pixels cost before and after it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..artifact import load_artifact
from ..contract import Detection
from ..errors import UnsupportedModel
from ..evaluate.faces import BUNDLED, Portrait, bundled_portraits
from ..runtime.analyzer import FaceAnalyzer
from ..runtime.backends import Backend, open_backend
from ..runtime.backends.tensors import Array, Feeds
from ..runtime.detector import DetectedFace, Detector
from ..runtime.embedder import Embedder
from ..runtime.images import load_image
from .engines import import_engine
from .messages import Answers, Job, Seen

#: Of the square matrices whose product is the roof: milliseconds of work, so that beginning it costs nothing beside it.
ROOF_SIDE = 512

#: A face that another file finds may score so much less here before it counts as missed.
FAINTER = 0.8


class Subject(Protocol):
    """Something to be run again and again."""

    @property
    def engine(self) -> str:
        """Its name."""

    @property
    def load_ms(self) -> float | None:
        """From the files' bytes to the first answer, the engine's own code loaded before; None for no model."""

    def run(self) -> dict[str, float]:
        """Run once, on the next picture: stage -> milliseconds."""

    def answers(self) -> Answers:
        """Its answers for all portraits."""


class Roof:
    """A product of two float32 matrices in numpy: what the machine can do at best, with a library made for it."""

    def __init__(self, side: int = ROOF_SIDE) -> None:
        self.engine, self.load_ms = "numpy", None
        self._a, self._b = np.random.default_rng(0).standard_normal((2, side, side), np.float32)
        self._product = np.empty((side, side), np.float32)

    def run(self) -> dict[str, float]:
        """Multiply once."""
        start = time.perf_counter()
        np.matmul(self._a, self._b, out=self._product)
        return {"network": (time.perf_counter() - start) * 1e3}

    def answers(self) -> Answers:
        """None: there is no model."""
        return Answers()


class Stopwatch:
    """A backend that notes when its last run began and ended, in seconds."""

    def __init__(self, backend: Backend) -> None:
        self._backend, self.name = backend, backend.name
        self.began = self.ended = 0.0

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run the model once."""
        self.began = time.perf_counter()
        answers = self._backend.run(feeds)
        self.ended = time.perf_counter()
        return answers


class Model:
    """One model file: a detector on portraits, a recogniser on the faces that their annotations mark in them."""

    def __init__(self, path: Path, backend: str, threads: int) -> None:
        artifact, portraits = load_artifact(path), bundled_portraits()
        import_engine(backend)
        self._portraits = itertools.cycle(portraits)
        start = time.perf_counter()
        self._watch = Stopwatch(open_backend(artifact, backend, threads))
        self._detects = isinstance(artifact.contract.task, Detection)
        if self._detects:
            self._detector = Detector(artifact, backend=self._watch)
        else:
            self._embedder = Embedder(artifact, backend=self._watch)
        self._ask(portraits[0])
        self.load_ms = (time.perf_counter() - start) * 1e3
        self.engine = self._watch.name

    def run(self) -> dict[str, float]:
        """Ask it for one portrait's faces or for one face's embedding."""
        portrait = next(self._portraits)
        start = time.perf_counter()
        self._ask(portrait)
        end = time.perf_counter()
        began, ended = self._watch.began, self._watch.ended
        seconds = {"preprocess": began - start, "network": ended - began, "postprocess": end - ended}
        return {stage: s * 1e3 for stage, s in seconds.items()}

    def answers(self) -> Answers:
        """Embeddings, or faces."""
        images = [portrait.image for portrait in bundled_portraits()]
        if not self._detects:
            return Answers(vectors=[self._embed(portrait)[0].tolist() for portrait in bundled_portraits()])
        least, find = FAINTER * self._detector.task.score_threshold, self._detector.candidates
        return Answers(
            kept=[_seen(self._detector.detect(image)) for image in images],
            seen=[_seen(find(image, score_threshold=least)) for image in images],
        )

    def _ask(self, portrait: Portrait) -> list[DetectedFace] | NDArray[np.float32]:
        return self._detector.detect(portrait.image) if self._detects else self._embed(portrait)

    def _embed(self, portrait: Portrait) -> NDArray[np.float32]:
        return self._embedder.embed(self._embedder.align(portrait.image, portrait.landmarks.astype(np.float32)))


def _seen(faces: Sequence[DetectedFace]) -> list[Seen]:
    return [Seen(tuple(face.box.tolist()), face.score, [tuple(p) for p in face.landmarks.tolist()]) for face in faces]


class Pipeline:
    """A picture's file in, its best face with an embedding out."""

    def __init__(self, detector: Path, recognizer: Path, backend: str, threads: int) -> None:
        artifacts = load_artifact(detector), load_artifact(recognizer)
        import_engine(backend)
        files = [BUNDLED / portrait.name for portrait in bundled_portraits()]
        start = time.perf_counter()
        finder = Detector(artifacts[0], backend=backend, threads=threads)
        self._analyzer = FaceAnalyzer(finder, Embedder(artifacts[1], backend=backend, threads=threads))
        self._analyzer.analyze(load_image(files[0]), max_faces=1)
        self.load_ms = (time.perf_counter() - start) * 1e3
        self.engine = finder.backend
        files = [file for file in files if finder.detect(load_image(file))]
        if not files:
            raise UnsupportedModel(f"{detector}: finds no face in any portrait, so no pipeline can be measured")
        self._files = itertools.cycle(files)

    def run(self) -> dict[str, float]:
        """Read a file and analyse what it shows."""
        file = next(self._files)
        start = time.perf_counter()
        image = load_image(file)
        read = time.perf_counter()
        self._analyzer.analyze(image, max_faces=1)
        return {"read": (read - start) * 1e3, "pipeline": (time.perf_counter() - start) * 1e3}

    def answers(self) -> Answers:
        """None: its parts are compared by themselves."""
        return Answers()


def open_subject(job: Job) -> Subject:
    """What a job names.

    Raises:
        PocketfaceError: a file or its contract is not sound, or no engine can run it here.
    """
    files = [Path(file) for file in job.files]
    if not files:
        return Roof()
    if len(files) == 1:
        return Model(files[0], job.backend, job.threads)
    return Pipeline(files[0], files[1], job.backend, job.threads)
