"""A detector's answers, kept for the next run: a run that was killed goes on, and a second one is instant."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import __version__
from ..cache import Cache, cache_key
from .annotations import AnnotatedPicture
from .regime import RegimeDetector
from .searched import Search

PART = 100  # pictures in one entry: what a killed run loses at most

#: What was found in a picture, or why it could not be read.
Answer = Search | str
Arrays = dict[str, NDArray[Any]]


def key_of(fingerprint: str, first: int, detector: RegimeDetector, lowest: float) -> str:
    """Everything that the answers on a part depend on, down to the release of this program."""
    artifact = detector.artifact
    return cache_key(
        result="detections",
        release=__version__,
        data=fingerprint,
        first=first,
        part=PART,
        model=(artifact.sha256, artifact.contract.to_json(), detector.backend),
        regime=detector.regime.name,
        lowest=lowest,
    )


def keep(cache: Cache, key: str, answers: Sequence[Answer]) -> None:
    """Put the answers on a part into the cache."""
    found = [answer for answer in answers if isinstance(answer, Search)]
    arrays: Arrays = {
        "reasons": np.array([answer if isinstance(answer, str) else "" for answer in answers], str),
        "counts": np.array([len(one.scores) for one in found], np.int64),
        "scales": np.array([one.scale for one in found], np.float64),
        "boxes": np.concatenate([np.empty((0, 4)), *(one.boxes for one in found)]),
        "scores": np.concatenate([np.empty(0), *(one.scores for one in found)]),
        "landmarks": np.concatenate([np.empty((0, 5, 2)), *(one.landmarks for one in found)]),
    }
    cache.put(key, arrays)


def recall(cache: Cache, key: str, pictures: Sequence[AnnotatedPicture]) -> list[Answer] | None:
    """The answers on a part, if the cache has them and they are answers on so many pictures."""
    entry = cache.get(key)
    if entry is None or not _sound(entry, len(pictures)):
        return None
    ends = np.append(0, np.cumsum(entry["counts"]))
    parts = ((slice(a, b), scale) for (a, b), scale in zip(pairwise(ends), entry["scales"], strict=True))
    answers: list[Answer] = []
    for picture, reason in zip(pictures, entry["reasons"], strict=True):
        if reason:
            answers.append(str(reason))
            continue
        part, scale = next(parts)
        boxes, scores, landmarks = (entry[name][part] for name in ("boxes", "scores", "landmarks"))
        answers.append(Search(picture, boxes, scores, landmarks, float(scale)))
    return answers


def _sound(entry: Arrays, pictures: int) -> bool:
    """Whether an entry has the right shapes and values: anyone may have written it."""
    try:
        total, found = int(entry["counts"].sum()), int((entry["reasons"] == "").sum())
        shapes: dict[str, tuple[int, ...]] = {
            "reasons": (pictures,),
            "counts": (found,),
            "scales": (found,),
            "scores": (total,),
        }
        shapes |= {"boxes": (total, 4), "landmarks": (total, 5, 2)}
        numbers = [entry[name] for name in shapes if name != "reasons"]
        return (
            all(entry[name].shape == shape for name, shape in shapes.items())
            and all(np.isfinite(values).all() for values in numbers)
            and bool((entry["counts"] >= 0).all())
        )
    except (KeyError, TypeError, ValueError):
        return False
