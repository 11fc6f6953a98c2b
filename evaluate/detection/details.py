"""Behind one number: which sizes of face are found, how exact landmarks are, and what goes wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .matching import DUPLICATE, FALSE, TRUE, Matching
from .searched import Search

Floats = NDArray[np.float64]

#: Sides of a face in pixels that the table of recalls goes by, each row up to the next.
SIZES = (0.0, 8.0, 16.0, 32.0, 64.0, 128.0, math.inf)


@dataclass(frozen=True)
class SizeRecall:
    """How many faces of a size are found.

    Attributes:
        pixels: of the ``network`` input, or of the ``picture``.
        from_px, to_px: the square root of the face's area, ``from_px <= side < to_px``.
        faces: number of such faces.
        found: those found at the operating threshold.
        found_at_all: those found at the lowest score that was looked at.
    """

    pixels: Literal["network", "picture"]
    from_px: float
    to_px: float
    faces: int
    found: int
    found_at_all: int


@dataclass(frozen=True)
class Operation:
    """What a user meets at the operating threshold.

    Attributes:
        threshold: the score.
        faces: number of faces to be found.
        found, missed: of these.
        false: detections on no face.
        duplicates: further detections of a face that was found already.
    """

    threshold: float
    faces: int
    found: int
    false: int
    duplicates: int

    @property
    def missed(self) -> int:
        """Faces without a detection."""
        return self.faces - self.found

    @property
    def precision(self) -> float:
        """Share of detections that are a face; duplicates are wrong. NaN if nothing was detected."""
        detections = self.found + self.false + self.duplicates
        return self.found / detections if detections else float("nan")

    @property
    def recall(self) -> float:
        """Share of faces that are found."""
        return self.found / self.faces if self.faces else float("nan")


@dataclass(frozen=True)
class LandmarkError:
    """Distance of the five landmarks from where they were annotated, on faces found at the operating threshold.

    A face's error is the mean of its five distances. It is given as a share of the distance of the eyes, as most
    papers do, which grows without bound on profiles; and as a share of the square root of the box's area.

    Attributes:
        faces: number of faces found that have landmarks.
        by_eyes, by_box: mean over faces.
        median_by_eyes, median_by_box: median over faces.
    """

    faces: int
    by_eyes: float
    by_box: float
    median_by_eyes: float
    median_by_box: float


def size_recalls(searches: Sequence[Search], matchings: Sequence[Matching], threshold: float) -> list[SizeRecall]:
    """Recall by size, in pixels of the network's input and of the picture; sizes without a face are left out."""
    counts = [_sizes(s, m) for s, m in zip(searches, matchings, strict=True)]
    side, scale, score = np.concatenate(counts, axis=1)
    rows = []
    for pixels, sides in (("network", side * scale), ("picture", side)):
        for low, high in pairwise(SIZES):
            inside = (sides >= low) & (sides < high)
            found, at_all = int((score[inside] >= threshold).sum()), int((score[inside] > -1).sum())
            rows.append(SizeRecall(pixels, low, high, int(inside.sum()), found, at_all))  # type: ignore[arg-type]
    return [row for row in rows if row.faces]


def _sizes(search: Search, matching: Matching) -> Floats:
    """``(3, n)`` for each face that is to be found: its side, its scale, and the score it was found with, else -1."""
    wanted = ~search.picture.ignore
    boxes, finder = search.picture.boxes[wanted], matching.finder[wanted]
    side = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
    score = np.append(search.scores, -1.0)[finder]
    return np.stack([side, np.full_like(side, search.scale), score])


def operation(searches: Sequence[Search], matchings: Sequence[Matching], threshold: float) -> Operation:
    """What is found, missed and wrong at a threshold."""
    shown = np.concatenate([s.scores for s in searches]) >= threshold
    outcome = np.concatenate([m.outcome for m in matchings])[shown]
    found, false, duplicates = (int((outcome == kind).sum()) for kind in (TRUE, FALSE, DUPLICATE))
    return Operation(threshold, sum(int((~s.picture.ignore).sum()) for s in searches), found, false, duplicates)


def landmark_error(searches: Sequence[Search], matchings: Sequence[Matching], threshold: float) -> LandmarkError | None:
    """The error of the landmarks; None if no face that was found has any annotated."""
    pairs = [_landmarks(s, m, threshold) for s, m in zip(searches, matchings, strict=True)]
    by_eyes, by_box = np.concatenate([np.empty((2, 0)), *(pair for pair in pairs if pair is not None)], axis=1)
    if not len(by_eyes):
        return None
    return LandmarkError(
        len(by_eyes), float(by_eyes.mean()), float(by_box.mean()), float(np.median(by_eyes)), float(np.median(by_box))
    )


def _landmarks(search: Search, matching: Matching, threshold: float) -> Floats | None:
    """``(2, n)`` errors of the faces of one picture, by the distance of the eyes and by the side of the box."""
    truth = search.picture.landmarks
    if truth is None:
        return None
    eyes = np.linalg.norm(truth[:, 0] - truth[:, 1], axis=1)
    found = np.append(search.scores, -1.0)[matching.finder] >= threshold
    usable = np.flatnonzero(found & np.isfinite(truth).all(axis=(1, 2)) & (eyes > 0))
    distance = np.linalg.norm(search.landmarks[matching.finder[usable]] - truth[usable], axis=2).mean(axis=1)
    boxes = search.picture.boxes[usable]
    sides = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
    errors: Floats = np.stack([distance / eyes[usable], distance / sides])
    return errors
