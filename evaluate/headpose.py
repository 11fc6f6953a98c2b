"""Head pose on AFLW2000-3D: mean error of yaw, pitch and roll, and the angle of the whole rotation between the two.

A folder of pictures, each with a ``.mat`` of the same name that holds ``Pose_Para`` (pitch, yaw, roll in radians, and
more) and ``pt3d_68`` (68 points in pixels of the picture). Pictures with any angle beyond 99 degrees are left out, as
the field does it; so the official 2,000 pictures leave 1,969.

The detector sees the whole picture, not a crop around known landmarks; of what it finds, the face counts that overlaps
the box around the 68 points most. A picture where none overlaps it by an IoU of 0.3 counts as not detected: such
pictures have no error, so a mean must be read beside their number.

Source: Zhu et al. 2016, "Face Alignment Across Large Poses: A 3D Solution"; Ruiz et al. 2018, "Fine-Grained Head Pose
Estimation Without Keypoints", for the limit of 99 degrees.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact import Artifact
from ..errors import InvalidData, InvalidImage, UnsupportedModel
from ..runtime.backends import Backend
from ..runtime.boxes import iou
from ..runtime.detector import DetectedFace, Detector
from ..runtime.images import load_image
from ..runtime.pose import euler_angles, geodesic_deg
from .matfile import read_mat

Floats = NDArray[np.float64]
#: Called with the number of pictures done and the number of all.
Progress = Callable[[int, int], None]

LIMIT_DEG = 99.0
#: Least IoU of a detected face's box with the box around the landmarks.
SAME_FACE = 0.3
#: Ranges of the size of the yaw that are also shown for themselves, each from its first to below its second.
RANGES = ((0.0, 30.0), (30.0, 60.0), (60.0, LIMIT_DEG + 1e-9))
_ENDINGS = (".jpg", ".png", ".jpeg")


@dataclass(frozen=True, eq=False)
class PosedPicture:
    """A picture with one annotated head.

    Attributes:
        path: of the picture.
        angles_deg: ``(3,)`` yaw, pitch, roll; the signs are those of :mod:`pocketface.runtime.pose`.
        box: ``(4,)`` xyxy around the 68 points.
    """

    path: Path
    angles_deg: Floats
    box: Floats


@dataclass(frozen=True, eq=False)
class PoseSet:
    """Annotated pictures; ``beyond`` counts those that were left out for an angle beyond the limit."""

    name: str
    pictures: tuple[PosedPicture, ...]
    beyond: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class PoseError:
    """Mean absolute errors in degrees over the pictures of a range of yaws that were detected.

    Attributes:
        group: the range, in words.
        pictures: number of pictures in it.
        detected: those in which the face was found; the errors are over these.
        yaw_deg, pitch_deg, roll_deg: the smaller way around the circle. NaN if none was detected.
        mean_deg: of the three.
        geodesic_deg: mean angle of the rotation from the annotated to the estimated one.
    """

    group: str
    pictures: int
    detected: int
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    mean_deg: float
    geodesic_deg: float


@dataclass(frozen=True)
class PoseResult:
    """How well a detector estimates head pose; ``errors`` are over all pictures first, then by the size of the yaw."""

    artifact: Artifact
    backend: str
    data: str
    errors: tuple[PoseError, ...]
    beyond: int
    problems: tuple[str, ...]
    pictures_per_s: float


def read_aflw2000(folder: Path, *, strict: bool = False) -> PoseSet:
    """Read a folder of pictures with a ``.mat`` beside each.

    Raises:
        InvalidData: no such pair is there, or ``strict`` and a picture or a list is missing or malformed.
    """
    pictures, beyond, problems = [], 0, []
    for file in sorted(folder.rglob("*.mat")):
        try:
            picture = _read(file)
        except InvalidData as e:
            if strict:
                raise
            problems.append(str(e))
            continue
        if np.abs(picture.angles_deg).max() > LIMIT_DEG:
            beyond += 1
        else:
            pictures.append(picture)
    if not pictures:
        more = f": {problems[0]}" if problems else f"; {beyond} are beyond {LIMIT_DEG:g} degrees" if beyond else ""
        raise InvalidData(f"{folder}: no picture with a .mat of its pose in it{more}")
    return PoseSet(folder.name, tuple(pictures), beyond, tuple(problems))


def _read(file: Path) -> PosedPicture:
    found = read_mat(file, ("Pose_Para", "pt3d_68"))
    pose, points = (np.asarray(found[name], object) for name in ("Pose_Para", "pt3d_68"))
    try:
        radians, places = pose.astype(np.float64).reshape(-1)[:3], points.astype(np.float64)
        if len(radians) != 3 or places.ndim != 2 or len(places) < 2 or not places.shape[1]:
            raise ValueError(f"shapes {pose.shape} and {points.shape}")
        if not (np.isfinite(radians).all() and np.isfinite(places[:2]).all()):
            raise ValueError("NaN or infinity")
    except (TypeError, ValueError) as e:
        raise InvalidData(f"{file}: expected Pose_Para (1, 7) and pt3d_68 (3, 68): {e}") from e
    picture = next((p for ending in _ENDINGS if (p := file.with_suffix(ending)).is_file()), None)
    if picture is None:
        raise InvalidData(f"{file}: no picture {file.stem}{_ENDINGS[0]} beside it")
    pitch, yaw, roll = np.degrees(radians)
    box = np.concatenate([places[:2].min(axis=1), places[:2].max(axis=1)])
    return PosedPicture(picture, np.array([yaw, pitch, roll]), box)


def evaluate_pose(
    artifact: Artifact,
    data: PoseSet,
    *,
    backend: str | Backend | None = None,
    threads: int | None = None,
    size: tuple[int, int] | None = None,
    progress: Progress | None = None,
) -> PoseResult:
    """Compare the pose that a detector gives with the annotated one.

    Args:
        artifact: a detector that knows poses.
        data: the pictures.
        backend: name of the engine; None for the first that can run the file; or an open backend.
        threads: for the engine; None for its own choice.
        size: ``(height, width)`` to run it at; None for the contract's own.
        progress: called after each picture.

    Raises:
        InvalidData: not one picture could be read.
        UnsupportedModel: the detector knows no pose, or no engine can run it here.
    """
    detector = Detector(artifact, backend=backend, threads=threads, size=size)
    if "rotation" not in artifact.contract.outputs:
        raise UnsupportedModel(f"{artifact.path}: its contract names no output 'rotation', so it knows no head pose")
    start, problems, read, rotations = time.perf_counter(), list(data.problems), list[PosedPicture](), list[Floats]()
    for i, picture in enumerate(data.pictures):
        try:
            rotations.append(_estimate(detector, picture))
            read.append(picture)
        except InvalidImage as e:
            problems.append(str(e))
        if progress:
            progress(i + 1, len(data.pictures))
    if not read:
        raise InvalidData(f"{data.name}: not one of its {len(data.pictures)} pictures could be read: {problems[0]}")
    speed = len(data.pictures) / (time.perf_counter() - start)
    errors = pose_errors(np.array([picture.angles_deg for picture in read]), np.array(rotations))
    return PoseResult(artifact, detector.backend, data.name, errors, data.beyond, tuple(problems), speed)


def _estimate(detector: Detector, picture: PosedPicture) -> Floats:
    """``(3, 3)``, NaN where the face was not found."""
    faces = detector.detect(load_image(picture.path))
    best = same_face(faces, picture.box)
    if best is None or best.rotation is None:
        return np.full((3, 3), np.nan)
    return best.rotation.astype(np.float64)


def same_face(faces: Sequence[DetectedFace], box: NDArray[np.floating[Any]]) -> DetectedFace | None:
    """The face whose box overlaps another (4,) xyxy most; None if that is less than ``SAME_FACE``."""
    if not faces:
        return None
    overlaps = iou(np.stack([face.box for face in faces]), box[None])[:, 0]
    return faces[int(overlaps.argmax())] if overlaps.max() >= SAME_FACE else None


def pose_errors(angles_deg: Floats, rotations: Floats) -> tuple[PoseError, ...]:
    """Errors over all pictures, then by the size of the annotated yaw; ranges without a picture are left out.

    Args:
        angles_deg: (n, 3) annotated yaw, pitch, roll.
        rotations: (n, 3, 3) estimated; NaN where the face was not found.
    """
    around = apart_deg(euler_angles(rotations), angles_deg)
    geodesic = geodesic_deg(rotation_of(angles_deg), rotations)
    yaw = np.abs(angles_deg[:, 0])
    groups = [("all", np.ones(len(yaw), bool))]
    groups += [(f"|yaw| {low:.0f}–{high:.0f}°", (yaw >= low) & (yaw < high)) for low, high in RANGES]
    return tuple(_error(name, around[inside], geodesic[inside]) for name, inside in groups if inside.any())


def _error(group: str, around: Floats, geodesic: Floats) -> PoseError:
    return PoseError(group, len(around), int((~np.isnan(geodesic)).sum()), *mean_errors(around, geodesic))


def apart_deg(a: Floats, b: Floats) -> Floats:
    """How far angles in degrees are apart, the smaller way around the circle."""
    apart: Floats = np.abs((a - b + 180) % 360 - 180)
    return apart


def mean_errors(around: Floats, geodesic: Floats) -> tuple[float, float, float, float, float]:
    """Means over the heads that have both poses.

    Args:
        around: (n, 3) how far yaw, pitch and roll are apart.
        geodesic: (n,) the angle between the two rotations; NaN where one is unknown.

    Returns:
        Of yaw, pitch, roll, of the three, and of the angle; NaN if there is none.
    """
    detected = ~np.isnan(geodesic)
    means = around[detected].mean(axis=0) if detected.any() else np.full(3, np.nan)
    angle = float(geodesic[detected].mean()) if detected.any() else float("nan")
    yaw, pitch, roll = map(float, means)
    return yaw, pitch, roll, float(means.mean()), angle


def rotation_of(angles_deg: Floats) -> Floats:
    """``R = Rz(roll) @ Ry(yaw) @ Rx(pitch)``, the inverse of :func:`pocketface.runtime.pose.euler_angles`.

    Args:
        angles_deg: (..., 3) yaw, pitch, roll.

    Returns:
        (..., 3, 3).
    """
    (cy, cp, cr), (sy, sp, sr) = (np.moveaxis(f(np.radians(angles_deg)), -1, 0) for f in (np.cos, np.sin))
    rows = (
        (cr * cy, cr * sy * sp - sr * cp, cr * sy * cp + sr * sp),
        (sr * cy, sr * sy * sp + cr * cp, sr * sy * cp - cr * sp),
        (-sy, cy * sp, cy * cp),
    )
    return np.stack([np.stack(row, -1) for row in rows], -2)
