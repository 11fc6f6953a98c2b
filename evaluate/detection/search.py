"""Run a detector over a data set: every picture once, whatever is computed from its answers afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidData, InvalidImage
from ...runtime.detector import DetectedFace
from ...runtime.images import load_image
from .annotations import AnnotatedPicture, Boxes, DetectionSet
from .regime import Image, RegimeDetector

_AHEAD = 4  # pictures that are decoded while the engine works

#: Called with the number of pictures done and the number of all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Search:
    """What a detector found in one picture, best score first, beside what is there.

    Attributes:
        picture: the picture and its faces.
        boxes: ``(n, 4)`` xyxy in its pixels.
        scores: ``(n,)`` falling.
        landmarks: ``(n, 5, 2)``.
        scale: pixels of the network's input per pixel of the picture.
    """

    picture: AnnotatedPicture
    boxes: Boxes
    scores: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    scale: float


@dataclass(frozen=True, eq=False)
class Searches:
    """A detector's answers on a data set; ``problems`` name the pictures that could not be read."""

    pictures: tuple[Search, ...]
    problems: tuple[str, ...]
    seconds: float


def search(
    data: DetectionSet, detector: RegimeDetector, score_threshold: float, progress: Progress | None = None
) -> Searches:
    """Detect every face with at least that score in every picture.

    Raises:
        InvalidData: not one picture could be read.
        UnsupportedModel: the engine fails, or answers NaN.
    """
    start, done, problems = time.perf_counter(), list[Search](), list[str]()
    for i, (picture, image) in enumerate(_decoded(data.pictures)):
        if isinstance(image, InvalidImage):
            problems.append(str(image))
        else:
            done.append(_search(picture, *detector.detect(image, score_threshold)))
        if progress:
            progress(i + 1, len(data.pictures))
    if not done:
        raise InvalidData(f"{data.name}: not one of its {len(data.pictures)} pictures could be read: {problems[0]}")
    return Searches(tuple(done), tuple(problems), time.perf_counter() - start)


def _decoded(pictures: Sequence[AnnotatedPicture]) -> Iterator[tuple[AnnotatedPicture, Image | InvalidImage]]:
    """Each picture with its pixels, or with the error that it cost; a few are decoded ahead, never all."""
    with ThreadPoolExecutor(1) as pool:
        todo = iter(pictures)
        waiting = [(picture, pool.submit(_load, picture)) for picture in islice(todo, _AHEAD)]
        while waiting:
            picture, future = waiting.pop(0)
            waiting += [(more, pool.submit(_load, more)) for more in islice(todo, 1)]
            yield picture, future.result()


def _load(picture: AnnotatedPicture) -> Image | InvalidImage:
    try:
        return load_image(picture.path)
    except InvalidImage as e:
        return e


def _search(picture: AnnotatedPicture, faces: Sequence[DetectedFace], scale: float) -> Search:
    return Search(
        picture,
        np.array([face.box for face in faces], np.float64).reshape(-1, 4),
        np.array([face.score for face in faces], np.float64),
        np.array([face.landmarks for face in faces], np.float64).reshape(-1, 5, 2),
        scale,
    )
