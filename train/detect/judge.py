"""How good a detector is on the held-out scenes: precision, landmarks against marks by hand, pose against PnP.

A face counts if its side is at least 12 pixels in the 320 x 320 input; smaller ones are ignored. Everything else is the
protocol of :mod:`pocketface.evaluate.detection`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...evaluate.detection.annotations import AnnotatedPicture
from ...evaluate.detection.details import Operation, operation
from ...evaluate.detection.matching import Matching, match
from ...evaluate.detection.precision import AveragePrecision, all_points
from ...evaluate.detection.protocol import LOWEST
from ...evaluate.detection.searched import Search
from ...evaluate.headpose import apart_deg, mean_errors, same_face
from ...runtime.detector import DetectedFace
from ...runtime.pose import euler_angles, geodesic_deg
from .holdout import held_out
from .judge_pose import ANY, Poses, judge_poses
from .scenes import Scene
from .sources import PORTRAITS
from .tilt import turn

#: Finds the faces of a picture that score at least so much, best first.
Find = Callable[[NDArray[np.uint8], float], Sequence[DetectedFace]]

SIZE, SMALLEST = 320, 12.0
#: Scores at which recall and precision are told.
THRESHOLDS = (0.3, 0.4, 0.5)
#: Degrees by which portraits are turned, both ways.
TURNED_DEG = (0.0, 15.0, 30.0)


@dataclass(frozen=True)
class Portraits:
    """Errors on portraits that were marked by hand, over those whose face was found.

    Attributes:
        turned_deg: how far they were turned, one way and then the other.
        portraits: number of pictures.
        found: those whose face was found.
        nme, median_nme: mean distance of the five points as a share of the distance of the eyes.
        yaw_deg, pitch_deg, roll_deg, mean_deg, geodesic_deg: mean absolute errors against PnP; NaN without a pose.
    """

    turned_deg: float
    portraits: int
    found: int
    nme: float
    median_nme: float
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    mean_deg: float
    geodesic_deg: float


@dataclass(frozen=True)
class Judgement:
    """All that is asked of a detector.

    Attributes:
        precisions: over all sources first, then by source.
        operations: what is found and what is wrong at each of the ``THRESHOLDS``, over all sources.
        portraits: landmarks and pose, at each of ``TURNED_DEG``.
        poses: of faces in photographs.
    """

    precisions: tuple[AveragePrecision, ...]
    operations: tuple[Operation, ...]
    portraits: tuple[Portraits, ...]
    poses: Poses


#: Told how many pictures were searched, and of how many.
Progress = Callable[[int, int], None]


def unseen(done: int, total: int) -> None:
    """Progress that nobody watches."""


def judge(find: Find, scenes: Iterable[Scene], progress: Progress = unseen) -> Judgement:
    """Judge a detector on the held-out scenes among these; scenes of training are passed over."""
    held = [scene for scene in scenes if held_out(scene.name)]
    photographs = find_held_out(find, held, progress)
    searches = [(one.source, search_of(one, faces)) for one, faces in photographs]
    sources = ["all", *sorted({source for source, _ in searches})]
    precisions = tuple(_precision(name, [s for source, s in searches if name in ("all", source)]) for name in sources)
    everywhere = [search for _, search in searches]
    matchings = [matching_of(search) for search in everywhere]
    operations = tuple(operation(everywhere, matchings, threshold) for threshold in THRESHOLDS)
    marked = [one for one in held if one.source == PORTRAITS]
    portraits = tuple(_portraits(find, marked, angle) for angle in TURNED_DEG)
    return Judgement(precisions, operations, portraits, judge_poses(photographs))


def find_held_out(
    find: Find, scenes: Iterable[Scene], progress: Progress = unseen
) -> list[tuple[Scene, Sequence[DetectedFace]]]:
    """Each held-out scene with boxes marked by hand, and what was found in it, down to the lowest score."""
    held = [one for one in scenes if held_out(one.name) and one.source != PORTRAITS]
    found = []
    for count, one in enumerate(held, 1):
        found.append((one, find(one.image, LOWEST)))
        progress(count, len(held))
    return found


def _precision(name: str, searches: Sequence[Search]) -> AveragePrecision:
    return all_points(searches, [matching_of(search) for search in searches], name)


def matching_of(search: Search) -> Matching:
    """Which of the faces found are which of those that are there."""
    return match(search.boxes, search.picture.boxes, search.picture.ignore)


def counted(one: Scene) -> NDArray[np.bool_]:
    """``(n,)`` which faces of a scene are to be found: not ignored, and large enough in the network's input."""
    sides = np.sqrt((one.boxes[:, 2:] - one.boxes[:, :2]).prod(axis=1))
    wanted: NDArray[np.bool_] = ~one.ignore & (sides * _scale(one) >= SMALLEST)
    return wanted


def _scale(one: Scene) -> float:
    return SIZE / max(one.image.shape[:2])


def search_of(one: Scene, faces: Sequence[DetectedFace]) -> Search:
    """What was found in a scene, for the protocol of detection."""
    picture = AnnotatedPicture(one.name, Path(one.name), one.boxes.astype(np.float64), ~counted(one))
    return Search(
        picture,
        np.array([face.box for face in faces], np.float64).reshape(-1, 4),
        np.array([face.score for face in faces], np.float64),
        np.array([face.landmarks for face in faces], np.float64).reshape(-1, 5, 2),
        _scale(one),
    )


def _portraits(find: Find, upright: Sequence[Scene], angle: float) -> Portraits:
    shown = [turn(one, way * angle) for one in upright for way in (1, -1)] if angle else upright
    found = [(one, same_face(find(one.image, ANY), one.boxes[0])) for one in shown]
    pairs = [(one, face) for one, face in found if face is not None]
    if not pairs:
        return Portraits(angle, len(found), 0, *[float("nan")] * 7)
    marked = np.stack([one.landmarks[0] for one, _ in pairs]).astype(np.float64)
    points = np.stack([face.landmarks for _, face in pairs])
    eyes = np.linalg.norm(marked[:, 0] - marked[:, 1], axis=1)
    nme = np.linalg.norm(points - marked, axis=2).mean(axis=1) / eyes
    mean, median = float(nme.mean()), float(np.median(nme))
    unknown = np.full((3, 3), np.nan)
    known = np.stack([one.rotations[0] for one, _ in pairs]).astype(np.float64)  # NaN if too little was left in sight
    told = np.stack([unknown if face.rotation is None else face.rotation for _, face in pairs]).astype(np.float64)
    errors = mean_errors(apart_deg(euler_angles(told), euler_angles(known)), geodesic_deg(told, known))
    return Portraits(angle, len(found), len(pairs), mean, median, *errors)
