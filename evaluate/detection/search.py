"""Run a detector over a data set: every picture once, whatever is computed from its answers afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np

from ...errors import InvalidData, InvalidImage
from ...runtime.detector import DetectedFace
from ...runtime.images import load_image
from ..cache import Cache
from .annotations import AnnotatedPicture, DetectionSet
from .kept import PART, Answer, keep, key_of, recall
from .regime import Image, RegimeDetector
from .searched import Search, Searches

_AHEAD = 4  # pictures that are decoded while the engine works

#: Called with the number of pictures done and the number of all.
Progress = Callable[[int, int], None]


def search(
    data: DetectionSet,
    detector: RegimeDetector,
    lowest: float,
    *,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> Searches:
    """Detect every face with at least the lowest score in every picture.

    Args:
        data: the pictures.
        detector: at its test size.
        lowest: score, 0..1.
        cache: keeps the answers, so that a run that was killed goes on.
        progress: told after each picture.

    Raises:
        InvalidData: not one picture could be read.
        UnsupportedModel: the engine fails, or answers NaN.
    """
    tell = progress or (lambda done, of: None)
    answers, fresh, seconds = list[Answer](), 0, 0.0
    for first in range(0, len(data.pictures), PART):
        part = data.pictures[first : first + PART]
        key = key_of(data.fingerprint, first, detector, lowest) if cache else ""
        known = recall(cache, key, part) if cache else None
        if known is None:
            start = time.perf_counter()
            known = []
            for answer in _answers(part, detector, lowest):
                known.append(answer)
                tell(first + len(known), len(data.pictures))
            fresh, seconds = fresh + len(part), seconds + time.perf_counter() - start
            if cache:
                keep(cache, key, known)
        answers += known
        tell(len(answers), len(data.pictures))
    found = tuple(answer for answer in answers if isinstance(answer, Search))
    problems = tuple(answer for answer in answers if isinstance(answer, str))
    if not found:
        raise InvalidData(f"{data.name}: not one of its {len(data.pictures)} pictures could be read: {problems[0]}")
    return Searches(found, problems, fresh / seconds if fresh else float("nan"))


def _answers(pictures: Sequence[AnnotatedPicture], detector: RegimeDetector, lowest: float) -> Iterator[Answer]:
    for picture, image in _decoded(pictures):
        yield str(image) if isinstance(image, InvalidImage) else _search(picture, *detector.detect(image, lowest))


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
