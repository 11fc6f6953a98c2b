"""How well head poses follow those that were taught, on held-out faces in photographs.

Portraits are nearly frontal, so a constant answer errs little on them. A correlation tells it from one that follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...evaluate.headpose import apart_deg, same_face
from ...runtime.detector import DetectedFace
from ...runtime.pose import euler_angles
from .scenes import Scene

#: Lowest score of what is taken for a face that is known to be there.
ANY = 0.1


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


def judge_poses(photographs: Iterable[tuple[Scene, Sequence[DetectedFace]]]) -> Poses:
    """Of held-out scenes, each with what was found in it."""
    faces, pairs = 0, []
    for one, found in photographs:
        taught = np.flatnonzero(np.isfinite(one.rotations).all(axis=(1, 2)) & ~one.ignore)
        faces += len(taught)
        posed = [face for face in found if face.rotation is not None and face.score >= ANY]
        best = [(one.rotations[i], same_face(posed, one.boxes[i])) for i in taught]
        pairs += [(rotation, face.rotation) for rotation, face in best if face is not None]
    if len(pairs) < 3:
        return Poses(faces, len(pairs), *[float("nan")] * 6)
    told, said = euler_angles(np.array(pairs, np.float64).swapaxes(0, 1))
    with np.errstate(invalid="ignore"):  # a constant answer follows nothing
        follows = [float(np.corrcoef(told[:, axis], said[:, axis])[0, 1]) for axis in range(3)]
    return Poses(faces, len(pairs), *follows, *map(float, apart_deg(said, told).mean(axis=0)))
