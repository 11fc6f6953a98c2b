"""How well head poses follow those that were taught, on held-out faces in photographs.

Portraits are nearly frontal, so a constant answer errs little on them. A correlation tells it from one that follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.boxes import iou
from ...runtime.detector import DetectedFace
from ...runtime.pose import euler_angles
from .holdout import held_out
from .scenes import Scene
from .sources import PORTRAITS

#: Finds the faces of a picture that score at least so much, best first.
Find = Callable[[NDArray[np.uint8], float], Sequence[DetectedFace]]

#: Lowest score, and least IoU of the box, of what is taken for a face that is known to be there.
ANY, SAME_FACE = 0.1, 0.3


@dataclass(frozen=True)
class Poses:
    """Poses of held-out faces against those that a teacher told.

    Attributes:
        faces: with a pose that was taught; portraits are not among them.
        found: those that the detector found, with a pose.
        yaw_r, pitch_r, roll_r: correlation of found and taught angles, -1..1; NaN if there is none.
        yaw_deg, pitch_deg, roll_deg: mean absolute differences.
    """

    faces: int
    found: int
    yaw_r: float
    pitch_r: float
    roll_r: float
    yaw_deg: float
    pitch_deg: float
    roll_deg: float


def judge_poses(find: Find, scenes: Iterable[Scene]) -> Poses:
    """Of the held-out scenes among these, without the portraits."""
    faces, pairs = 0, []
    for one in scenes:
        taught = np.flatnonzero(np.isfinite(one.rotations).all(axis=(1, 2)) & ~one.ignore)
        if one.source == PORTRAITS or not held_out(one.name) or not len(taught):
            continue
        faces += len(taught)
        seen = [face for face in find(one.image, ANY) if face.rotation is not None]
        pairs += _pairs(one, taught, seen)
    if len(pairs) < 3:
        return Poses(faces, len(pairs), *[float("nan")] * 6)
    told, said = euler_angles(np.array(pairs, np.float64).swapaxes(0, 1))
    apart = np.abs((said - told + 180) % 360 - 180).mean(axis=0)
    with np.errstate(invalid="ignore"):  # a constant answer follows nothing
        follows = [float(np.corrcoef(told[:, axis], said[:, axis])[0, 1]) for axis in range(3)]
    return Poses(faces, len(pairs), *follows, *map(float, apart))


def _pairs(one: Scene, taught: NDArray[np.intp], seen: Sequence[DetectedFace]) -> list[tuple[object, object]]:
    """The taught rotation and the found one of each face that was found."""
    if not seen:
        return []
    overlaps = iou(one.boxes[taught], np.stack([face.box for face in seen]))
    best = overlaps.argmax(axis=1)
    return [
        (one.rotations[i], seen[j].rotation)
        for i, j, overlap in zip(taught, best, overlaps.max(axis=1), strict=True)
        if overlap >= SAME_FACE
    ]
