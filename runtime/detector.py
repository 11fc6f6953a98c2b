"""Find faces in a picture: letterbox, run, decode, threshold, suppress, and back to the picture's own pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..artifact import Artifact
from ..contract import Detection
from ..errors import InvalidContract, UnsupportedModel
from .backends import Backend
from .boxes import nms
from .decode import DECODERS, Candidates
from .pose import euler_angles
from .preprocess import letterbox, to_source
from .session import Session


class Pose(NamedTuple):
    """Where a head looks; the signs are those of :mod:`pocketface.runtime.pose`."""

    yaw_deg: float
    pitch_deg: float
    roll_deg: float


@dataclass(frozen=True, eq=False)
class DetectedFace:
    """A face found in a picture, in the pixels of that picture.

    Attributes:
        box: ``(4,) float32`` xyxy; it may reach beyond the picture, as a face at the edge does.
        score: how sure the detector is, 0..1.
        landmarks: ``(5, 2) float32`` left eye, right eye, nose, left and right mouth corner, as seen in the picture.
        rotation: ``(3, 3) float32`` from the head's axes to the camera's; None from a detector that knows no pose.
    """

    box: NDArray[np.float32]
    score: float
    landmarks: NDArray[np.float32]
    rotation: NDArray[np.float32] | None

    @property
    def pose(self) -> Pose | None:
        """The head's yaw, pitch and roll in degrees; None from a detector that knows no pose."""
        return None if self.rotation is None else Pose(*map(float, euler_angles(self.rotation)))


class Detector:
    """A face detector, open and ready.

    Args:
        model: a model file with a contract for detection, or a loaded artifact.
        backend: name of the engine; None for the first that can run the file; or an open backend.
        threads: for the engine; None for its own choice.
        size: ``(height, width)`` to run it at, where the contract allows several; None for the contract's own.

    Raises:
        InvalidModel, InvalidContract: the file or its contract is not sound, or not a detector's.
        UnsupportedModel, MissingExtra: no engine can run it here, or not at this size.

    >>> faces = Detector("detector.onnx").detect(load_image("group.jpg"))  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | Path | Artifact,
        *,
        backend: str | Backend | None = None,
        threads: int | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        self._session = Session(model, Detection, backend, threads)
        self.artifact, self.contract = self._session.artifact, self._session.contract
        self.task, self.backend = self._session.task, self._session.backend.name
        self.size = size or (self.contract.input.height, self.contract.input.width)
        self._check_size()

    def detect(
        self, image: NDArray[np.uint8], *, score_threshold: float | None = None, max_faces: int | None = None
    ) -> list[DetectedFace]:
        """Find the faces in a picture, best score first; an empty list where there is none.

        Args:
            image: ``(H, W, 3) uint8`` RGB, of any size.
            score_threshold: lowest score of a face, 0..1; None for the contract's.
            max_faces: at most so many, those with the best scores; None for all.

        Raises:
            InvalidImage: not such an array.
            InvalidContract: it does not describe the file.
            UnsupportedModel: the engine fails, or answers NaN.
            ValueError: an option out of its range.
        """
        _check_options(score_threshold, max_faces)
        likely, scale = self._likely(image, score_threshold)
        return _faces(likely.take(nms(likely.boxes, likely.scores, self._session.task.nms_iou)), scale)[:max_faces]

    def candidates(self, image: NDArray[np.uint8], *, score_threshold: float | None = None) -> list[DetectedFace]:
        """Every place that scores high enough, before any is suppressed for overlapping a better one.

        For comparing engines: which of two equally good places is suppressed hangs on the last bit of a score.
        Arguments and errors are those of :meth:`detect`.
        """
        _check_options(score_threshold, None)
        return _faces(*self._likely(image, score_threshold))

    def _decoded(self, canvas: NDArray[np.uint8]) -> Candidates:
        outputs, decoder = self._session.run(canvas[None]), self._session.task.decoder
        try:
            return DECODERS[decoder](outputs, self.size).checked()
        except (ValueError, IndexError) as e:
            shapes = ", ".join(f"{meaning} {values.shape}" for meaning, values in outputs.items())
            raise InvalidContract(
                f"{self.artifact.path}: gave {shapes}, not outputs for the decoder {decoder!r}"
            ) from e

    def _likely(self, image: NDArray[np.uint8], score_threshold: float | None) -> tuple[Candidates, float]:
        """Those above the threshold, in pixels of the canvas, and the canvas's scale."""
        canvas, scale = letterbox(image, self.size, planes=self.contract.input.layout == "NCHW")
        decoded = self._decoded(canvas)
        self._session.require_finite("scores", decoded.scores)
        threshold = self._session.task.score_threshold if score_threshold is None else score_threshold
        likely = decoded.take(np.flatnonzero(decoded.scores >= threshold))
        for meaning, values in zip(Candidates._fields[1:], likely[1:], strict=True):
            if values is not None:
                self._session.require_finite(meaning, values)
        return likely, scale

    def _check_size(self) -> None:
        spec, path = self.contract.input, self.artifact.path
        fixed = (spec.height, spec.width)
        if spec.size_step == 0 and self.size != fixed:
            raise UnsupportedModel(f"{path}: takes {fixed[0]} x {fixed[1]} only, got {self.size[0]} x {self.size[1]}")
        if spec.size_step and any(side < spec.size_step or side % spec.size_step for side in self.size):
            raise UnsupportedModel(f"{path}: takes multiples of {spec.size_step}, got {self.size[0]} x {self.size[1]}")


def _check_options(score_threshold: float | None, max_faces: int | None) -> None:
    if score_threshold is not None and not 0 <= score_threshold <= 1:
        raise ValueError(f"score_threshold must be in 0..1, got {score_threshold}")
    if max_faces is not None and max_faces < 0:
        raise ValueError(f"max_faces must be 0 or more, got {max_faces}")


def _faces(candidates: Candidates, scale: float) -> list[DetectedFace]:
    boxes, landmarks = (to_source(part, scale).astype(np.float32) for part in (candidates.boxes, candidates.landmarks))
    count = len(candidates.scores)
    rotations = [None] * count if candidates.rotations is None else candidates.rotations.astype(np.float32)
    return [
        DetectedFace(box=boxes[i], score=float(candidates.scores[i]), landmarks=landmarks[i], rotation=rotations[i])
        for i in range(count)
    ]
