"""What an app might do wrong with a detector's answers: the ways from candidates to faces in the picture's pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...contract import Detection
from ...runtime.boxes import nms
from ...runtime.decode import Candidates
from .cuts import OTHER_SIDE

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """Faces on their way to the app's list.

    Attributes:
        candidates: those above the threshold that suppression left, in pixels of the input.
        scale: (x, y) that the picture was cut with.
        size: (width, height) of the picture.
        canvas: (width, height) of the input.
    """

    candidates: Candidates
    scale: tuple[float, float]
    size: tuple[int, int]
    canvas: tuple[int, int]

    def boxes(self) -> Floats:
        """``(n, 4)`` in the picture's pixels."""
        return _back(self.candidates.boxes, np.tile(self.scale, 2))

    def landmarks(self) -> Floats:
        """``(n, 5, 2)`` likewise."""
        return _back(self.candidates.landmarks, np.array(self.scale))

    def rows(self, boxes: Floats | None = None, landmarks: Floats | None = None) -> Floats:
        """``(n, 15)`` box, score, landmarks; these, or the right ones."""
        boxes = self.boxes() if boxes is None else boxes
        points = self.landmarks() if landmarks is None else landmarks
        scores = self.candidates.scores.astype(np.float64)[:, None]
        return np.concatenate([boxes, scores, points.reshape(len(boxes), 10)], axis=1)


@dataclass(frozen=True)
class Reading:
    """One way to report faces.

    Attributes:
        fault, detail: as of a change; both empty for the right way.
        report: what the app's list then holds, ``(n, 15)``.
        suppress: whether overlapping boxes were removed.
    """

    fault: str
    detail: str
    report: Callable[[Seen], Floats]
    suppress: bool = True


def select(candidates: Candidates, task: Detection, threshold: float, suppress: bool) -> Candidates:
    """Candidates above a threshold, best first, with or without those that overlap better ones."""
    likely = candidates.take(np.flatnonzero(candidates.scores >= threshold))
    if suppress:
        return likely.take(nms(likely.boxes, likely.scores, task.nms_iou))
    return likely.take(np.argsort(-likely.scores, kind="stable"))


def undecoded_yunet(outputs: Mapping[str, NDArray[np.float32]], candidates: Candidates) -> Candidates:
    """The candidates with the raw maps' numbers for boxes and landmarks, as if they were pixels."""
    boxes = np.concatenate([outputs[f"bbox_{s}"].reshape(-1, 4) for s in (8, 16, 32)])
    points = np.concatenate([outputs[f"kps_{s}"].reshape(-1, 5, 2) for s in (8, 16, 32)])
    return candidates._replace(boxes=boxes, landmarks=points)


def _back(points: NDArray[np.float32], scale: Floats) -> Floats:
    return (points.astype(np.float64) + 0.5) / scale - 0.5


def _unscaled(seen: Seen) -> Floats:
    c = seen.candidates
    return seen.rows(c.boxes.astype(np.float64), c.landmarks.astype(np.float64))


def _multiplied(seen: Seen) -> Floats:
    scale = np.array(seen.scale)
    return seen.rows(seen.candidates.boxes * np.tile(scale, 2), seen.candidates.landmarks * scale)


def _corner_and_sides(seen: Seen) -> Floats:
    boxes = seen.boxes()
    return seen.rows(np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1))


def _centre_and_sides(seen: Seen) -> Floats:
    boxes = seen.boxes()
    return seen.rows(np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1))


def _sides_added(seen: Seen) -> Floats:
    """Corners taken for a corner and sides, and made into corners once more."""
    boxes = seen.boxes()
    return seen.rows(np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1))


def _shares_of_picture(seen: Seen) -> Floats:
    size = np.array(seen.size)
    return seen.rows(seen.boxes() / np.tile(size, 2), seen.landmarks() / size)


def _shares_of_canvas(seen: Seen) -> Floats:
    canvas = np.array(seen.canvas)
    return seen.rows(seen.candidates.boxes / np.tile(canvas, 2), seen.candidates.landmarks / canvas)


def _crossed(seen: Seen) -> Floats:
    return seen.rows(seen.boxes()[:, [1, 0, 3, 2]], seen.landmarks()[..., ::-1])


def _other_side(seen: Seen) -> Floats:
    return seen.rows(landmarks=seen.landmarks()[:, OTHER_SIDE])


RIGHT = Reading("", "", Seen.rows)

READINGS: tuple[Reading, ...] = (
    Reading("letterbox not undone", "pixels of the input", _unscaled),
    Reading("letterbox not undone", "multiplied by the scale", _multiplied),
    Reading("xywh for xyxy", "corner, width, height", _corner_and_sides),
    Reading("xywh for xyxy", "centre, width, height", _centre_and_sides),
    Reading("xywh for xyxy", "second corner taken for width and height", _sides_added),
    Reading("normalised coordinates", "0..1 of the picture", _shares_of_picture),
    Reading("normalised coordinates", "0..1 of the input", _shares_of_canvas),
    Reading("x and y swapped", "boxes and landmarks", _crossed),
    Reading("landmarks out of order", "left for right", _other_side),
    Reading("NMS missing", "every box above the threshold", Seen.rows, suppress=False),
)
