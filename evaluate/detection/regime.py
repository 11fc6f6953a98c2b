"""The size at which a detector is tested. Numbers may only be compared within one regime, so each result names it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...artifact import Artifact
from ...errors import UnsupportedModel
from ...runtime.backends import Backend, open_backend
from ...runtime.detector import DetectedFace, Detector
from ...runtime.preprocess import letterbox, to_source

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Regime:
    """A test size.

    Attributes:
        size: ``(height, width)`` that every picture is letterboxed into; None for each picture's own size.
        max_side: where pictures keep their size: those with a longer side are scaled down to it.
    """

    size: tuple[int, int] | None = None
    max_side: int | None = None

    @property
    def name(self) -> str:
        """As results name it."""
        if self.size:
            return f"single scale, letterboxed into {self.size[0]} x {self.size[1]}"
        if self.max_side:
            return f"single scale, longer side at most {self.max_side}"
        return "single scale, original size"


class RegimeDetector:
    """A detector at a regime; one engine for all sizes.

    Raises:
        UnsupportedModel: the file cannot run at the regime's size.
    """

    def __init__(
        self, artifact: Artifact, regime: Regime, *, backend: str | Backend | None = None, threads: int | None = None
    ) -> None:
        if backend is None or isinstance(backend, str):
            backend = open_backend(artifact, backend, threads)
        self.artifact, self._engine = artifact, backend
        self._step = artifact.contract.input.size_step
        self.backend, self.regime = self._engine.name, regime
        if regime.size is None and not self._step:
            spec = artifact.contract.input
            raise UnsupportedModel(
                f"{artifact.path}: takes {spec.height} x {spec.width} only, so it cannot be tested at "
                f"{regime.name}; use --size {spec.height}"
            )
        self._fixed = self._detector(regime.size) if regime.size else None

    def detect(self, image: Image, score_threshold: float) -> tuple[list[DetectedFace], float]:
        """The faces of a picture in its own pixels, best first, and the scale at which the network saw it."""
        if self._fixed:
            height, width = self._fixed.size
            scale = min(height / image.shape[0], width / image.shape[1])
            return self._fixed.detect(image, score_threshold=score_threshold), scale
        canvas, scale = self._canvas(image)
        faces = self._detector((canvas.shape[0], canvas.shape[1])).detect(canvas, score_threshold=score_threshold)
        return [_in_source(face, scale) for face in faces], scale

    def _detector(self, size: tuple[int, int]) -> Detector:
        return Detector(self.artifact, backend=self._engine, size=size)

    def _canvas(self, image: Image) -> tuple[Image, float]:
        """The picture, scaled down if it must be, on black that fills it up to what the network takes."""
        height, width = image.shape[:2]
        share, scale = min(1.0, (self.regime.max_side or max(height, width)) / max(height, width)), 1.0
        if share < 1:
            image, scale = letterbox(image, (max(1, round(height * share)), max(1, round(width * share))))
        bottom, right = (-side % self._step for side in image.shape[:2])
        return np.pad(image, ((0, bottom), (0, right), (0, 0))), scale


def _in_source(face: DetectedFace, scale: float) -> DetectedFace:
    if scale == 1:
        return face
    box, landmarks = (to_source(part, scale).astype(np.float32) for part in (face.box, face.landmarks))
    return DetectedFace(box, face.score, landmarks, face.rotation)
