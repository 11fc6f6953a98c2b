"""The whole pipeline on one picture: detect, align, embed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..artifact import Artifact
from .decision import Decision, decide
from .detector import DetectedFace, Detector
from .embedder import Embedder
from .embedding import Embedding, compare


@dataclass(frozen=True, eq=False)
class Face(DetectedFace):
    """A detected face and what the recogniser says of it.

    Attributes:
        embedding: for :func:`pocketface.compare`.
        quality: how far the face can be recognised, 0..1; None from a recogniser that does not judge.
    """

    embedding: Embedding
    quality: float | None = None


class FaceAnalyzer:
    """A detector and a recogniser, each open already or given as a model file.

    >>> faces = FaceAnalyzer("detector.onnx", "recogniser.onnx").analyze(load_image("group.jpg"))  # doctest: +SKIP
    """

    def __init__(self, detector: Detector | str | Path | Artifact, embedder: Embedder | str | Path | Artifact) -> None:
        self.detector = detector if isinstance(detector, Detector) else Detector(detector)
        self.embedder = embedder if isinstance(embedder, Embedder) else Embedder(embedder)

    def analyze(
        self, image: NDArray[np.uint8], *, score_threshold: float | None = None, max_faces: int | None = None
    ) -> list[Face]:
        """Find and embed the faces in a ``(H, W, 3) uint8`` RGB picture, best score first, as the detector has them.

        Args:
            image: the picture.
            score_threshold: lowest score of a face, 0..1; None for the contract's.
            max_faces: at most so many, those with the best scores; None for all.

        Raises:
            InvalidImage: not such an array.
            UnsupportedModel: an engine fails, or answers NaN.
        """
        found = self.detector.detect(image, score_threshold=score_threshold, max_faces=max_faces)
        vectors, judged = self.embedder.judge([self.embedder.align(image, face.landmarks) for face in found])
        qualities = [None] * len(found) if judged is None else judged.tolist()
        return [
            Face(face.box, face.score, face.landmarks, face.rotation, self.embedder.embedding(vector), quality)
            for face, vector, quality in zip(found, vectors, qualities, strict=True)
        ]

    def decide(self, a: Face, b: Face) -> Decision:
        """Whether two faces show one person, by the thresholds of the recogniser's file.

        >>> print(analyzer.decide(one, other))  # doctest: +SKIP
        same person at FAR 1e-3: cosine 0.6120 >= 0.4311

        Raises:
            EmbeddingMismatch: other files made the embeddings, which cannot be compared.
        """
        return decide(compare(a.embedding, b.embedding), self.embedder.task)
