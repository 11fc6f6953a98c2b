"""Faces from a detector's raw outputs: decoding, overlap, suppression, pose, and all of it in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...artifact import Artifact
from ...contract import Detection, InputSpec, ModelContract
from ...runtime.backends import FakeBackend
from ...runtime.boxes import iou, nms
from ...runtime.decode import DECODERS
from ...runtime.detector import DetectedFace, Detector
from ...runtime.pose import euler_angles, rotation_from_6d
from ...runtime.preprocess import to_source
from .pictures import Image, Pictures
from .vectors import XY, XYXY, Matrix3, Number, Struct, Tensor, array, floats, numbers


class Decoding(Struct):
    """Raw outputs of one picture, by meaning, of a model with this input size (height, width)."""

    decoder: str
    size: tuple[int, int]
    outputs: dict[str, Tensor]


class Decoded(Struct):
    """Every candidate, in pixels of the input."""

    scores: tuple[Number, ...]
    boxes: tuple[XYXY, ...]
    landmarks: tuple[tuple[XY, ...], ...]
    rotations: tuple[Matrix3, ...] | None


class Overlapping(Struct):
    """Boxes ``a`` against boxes ``b``."""

    a: tuple[XYXY, ...]
    b: tuple[XYXY, ...]


class Overlaps(Struct):
    """A row for each of ``a``, in it a number for each of ``b``."""

    iou: tuple[tuple[float, ...], ...]


class Suppressing(Struct):
    """Candidates."""

    boxes: tuple[XYXY, ...]
    scores: tuple[Number, ...]
    iou_threshold: float


class Kept(Struct):
    """Indices of those kept, in order."""

    kept: tuple[int, ...]


class Turned(Struct):
    """A rotation."""

    rotation: Matrix3


class Angles(Struct):
    """A head's pose."""

    yaw_deg: Number
    pitch_deg: Number
    roll_deg: Number


class SixNumbers(Struct):
    """Two vectors."""

    six: tuple[Number, Number, Number, Number, Number, Number]


class Returning(Struct):
    """Points of a letterboxed picture, and the scale that letterbox returned."""

    points: tuple[XY, ...]
    scale: Number


class Returned(Struct):
    """The points in the picture."""

    points: tuple[XY, ...]


class Detecting(Struct):
    """A picture's size (height, width), and what the model answered for it once it was letterboxed to ``size``."""

    picture_size: tuple[int, int]
    size: tuple[int, int]
    task: Detection
    outputs: dict[str, Tensor]
    score_threshold: float | None = None
    max_faces: int | None = None


class Found(Struct):
    """A face, in pixels of the picture."""

    box: XYXY
    score: float
    landmarks: tuple[XY, ...]
    rotation: Matrix3 | None
    pose: Angles | None


class Detected(Struct):
    """The faces, best first."""

    faces: tuple[Found, ...]


def decode(given: Decoding, _: Pictures) -> Decoded:
    """``decode.DECODERS``."""
    outputs = {meaning: floats(values) for meaning, values in given.outputs.items()}
    candidates = DECODERS[given.decoder](outputs, given.size).checked()
    return Decoded(**{name: numbers(values) for name, values in candidates._asdict().items()})


def overlap(given: Overlapping, _: Pictures) -> Overlaps:
    """``boxes.iou``."""
    return Overlaps(numbers(iou(array(given.a), array(given.b))))


def suppress(given: Suppressing, _: Pictures) -> Kept:
    """``boxes.nms``."""
    boxes = array(given.boxes).reshape(-1, 4)
    return Kept(numbers(nms(boxes, array(given.scores), given.iou_threshold)))


def pose(given: Turned, _: Pictures) -> Angles:
    """``pose.euler_angles``."""
    return Angles(*numbers(euler_angles(array(given.rotation))))


def rotation(given: SixNumbers, _: Pictures) -> Turned:
    """``pose.rotation_from_6d``."""
    return Turned(numbers(rotation_from_6d(array(given.six))))


def give_back(given: Returning, _: Pictures) -> Returned:
    """``preprocess.to_source``."""
    return Returned(numbers(to_source(array(given.points), float(given.scale))))


def detect(given: Detecting, _: Pictures) -> Detected:
    """``Detector.detect`` on an engine that answers as told."""
    outputs = {meaning: floats(values) for meaning, values in given.outputs.items()}
    height, width = given.size
    contract = ModelContract(
        model="golden",
        task=given.task,
        input=InputSpec(name="image", layout="NCHW", height=height, width=width),
        outputs={meaning: meaning for meaning in outputs},
        fingerprint="0" * 64,
        weights="none",
        trained=False,
    )
    detector = Detector(Artifact(Path("golden.onnx"), contract, "0" * 64, 0), backend=FakeBackend(outputs))
    picture: Image = np.zeros((*given.picture_size, 3), np.uint8)
    faces = detector.detect(picture, score_threshold=given.score_threshold, max_faces=given.max_faces)
    return Detected(tuple(_found(face) for face in faces))


def _found(face: DetectedFace) -> Found:
    rotation = None if face.rotation is None else numbers(face.rotation)
    pose = None if face.pose is None else Angles(*numbers(tuple(face.pose)))
    return Found(numbers(face.box), face.score, numbers(face.landmarks), rotation, pose)
