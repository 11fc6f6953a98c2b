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
from ...runtime.boxes import iou
from ...runtime.detector import DetectedFace
from ...runtime.pose import euler_angles, geodesic_deg
from .holdout import held_out
from .judge_pose import ANY, SAME_FACE, Find, Poses, judge_poses
from .scenes import Scene
from .sources import PORTRAITS
from .tilt import turn

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
    searches = search_held_out(find, held, progress)
    sources = ["all", *sorted({source for source, _ in searches})]
    precisions = tuple(_precision(name, [s for source, s in searches if name in ("all", source)]) for name in sources)
    everywhere = [search for _, search in searches]
    matchings = [matching_of(search) for search in everywhere]
    operations = tuple(operation(everywhere, matchings, threshold) for threshold in THRESHOLDS)
    marked = [one for one in held if one.source == PORTRAITS]
    portraits = tuple(_portraits(find, marked, angle) for angle in TURNED_DEG)
    return Judgement(precisions, operations, portraits, judge_poses(find, held))


def search_held_out(find: Find, scenes: Iterable[Scene], progress: Progress = unseen) -> list[tuple[str, Search]]:
    """The source of each held-out scene with boxes marked by hand, and what was found in it."""
    held = [one for one in scenes if held_out(one.name) and one.source != PORTRAITS]
    searches = []
    for count, one in enumerate(held, 1):
        searches.append((one.source, _search(find, one)))
        progress(count, len(held))
    return searches


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


def _search(find: Find, one: Scene) -> Search:
    picture = AnnotatedPicture(one.name, Path(one.name), one.boxes.astype(np.float64), ~counted(one))
    faces = find(one.image, LOWEST)
    return Search(
        picture,
        np.array([face.box for face in faces], np.float64).reshape(-1, 4),
        np.array([face.score for face in faces], np.float64),
        np.array([face.landmarks for face in faces], np.float64).reshape(-1, 5, 2),
        _scale(one),
    )


def _best(find: Find, one: Scene) -> DetectedFace | None:
    faces = find(one.image, ANY)
    if not faces:
        return None
    overlaps = iou(np.stack([face.box for face in faces]), one.boxes[:1])[:, 0]
    return faces[int(overlaps.argmax())] if overlaps.max() >= SAME_FACE else None


def _portraits(find: Find, upright: Sequence[Scene], angle: float) -> Portraits:
    shown = [turn(one, way * angle) for one in upright for way in (1, -1)] if angle else upright
    found = [(one, _best(find, one)) for one in shown]
    pairs = [(one, face) for one, face in found if face is not None]
    if not pairs:
        return Portraits(angle, len(found), 0, *[float("nan")] * 7)
    marked = np.stack([one.landmarks[0] for one, _ in pairs]).astype(np.float64)
    points = np.stack([face.landmarks for _, face in pairs])
    eyes = np.linalg.norm(marked[:, 0] - marked[:, 1], axis=1)
    nme = np.linalg.norm(points - marked, axis=2).mean(axis=1) / eyes
    mean, median = float(nme.mean()), float(np.median(nme))
    return Portraits(angle, len(found), len(pairs), mean, median, *_pose_errors(pairs))


def _pose_errors(pairs: Sequence[tuple[Scene, DetectedFace]]) -> tuple[float, float, float, float, float]:
    """Over those whose pose is known and told: part of a face that was turned may be outside the picture."""
    both = [(one.rotations[0], face.rotation) for one, face in pairs if face.rotation is not None]
    known, told = np.array(both, np.float64).reshape(-1, 2, 3, 3).swapaxes(0, 1)
    there = np.isfinite(known).all(axis=(1, 2))
    if not there.any():
        nan = float("nan")
        return nan, nan, nan, nan, nan
    known, told = known[there], told[there]
    apart = np.abs((euler_angles(told) - euler_angles(known) + 180) % 360 - 180).mean(axis=0)
    yaw, pitch, roll = map(float, apart)
    return yaw, pitch, roll, float(apart.mean()), float(geodesic_deg(told, known).mean())
