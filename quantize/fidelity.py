"""How nearly a quantized file answers as the float file that it was made from, on faces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..artifact import Artifact
from ..contract import Recognition
from ..errors import UnsupportedModel
from ..evaluate.matching import SAME_FACE
from ..runtime.boxes import iou, nms
from ..runtime.detector import Detector
from ..runtime.embedder import Embedder

#: What a gate may speak of, by task, beside what `evaluate verification` measures.
FIGURES = {
    "recognition": ("cosine", "cosine_p1", "cosine_min"),
    "detection": ("missed", "box_iou", "landmarks", "score"),
}


class Fidelity(msgspec.Struct, frozen=True, kw_only=True):
    """A quantized file beside its float parent.

    Attributes:
        pictures: number of them.
        engine: that ran both.
        figures: of a recogniser, the cosine between the two embeddings of a picture: mean, first percentile and least.
            Of a detector: ``missed``, the share of faces that one of the two keeps and the other one does not see;
            over the others the means of ``box_iou``, of the distance of ``landmarks`` as a share of the box's side, and
            of the difference of ``score``.
        loss: one number to order changes by, the less the better.
    """

    pictures: int
    engine: str
    figures: dict[str, float]
    loss: float


class Judge:
    """Compares files with one float file on the same pictures, which the float file answers only once.

    Args:
        parent: the float file.
        inputs: ``(N, h, w, 3) uint8`` RGB, ready for its input.
        backend: name of the engine; None for the first that can run the files.

    Raises:
        UnsupportedModel: the float detector finds no face, so there is nothing to compare.
    """

    def __init__(self, parent: Artifact, inputs: NDArray[np.uint8], backend: str | None = None) -> None:
        self.inputs, self.backend = inputs, backend
        self.recognizes = isinstance(parent.contract.task, Recognition)
        if self.recognizes:
            self._vectors = Embedder(parent, backend=backend, threads=1).embed(inputs)
        else:
            self._faces = list(_found(parent, inputs, backend))
            if not any(len(found.kept) for found in self._faces):
                raise UnsupportedModel(
                    f"{parent.path}: finds no face in {len(inputs)} pictures; give pictures of faces"
                )

    def compare(self, child: Artifact) -> Fidelity:
        """Judge one file.

        Raises:
            UnsupportedModel: it cannot be run, or answers NaN.
        """
        if self.recognizes:
            embedder = Embedder(child, backend=self.backend, threads=1)
            cosines = (embedder.embed(self.inputs) * self._vectors).sum(axis=1, dtype=np.float64)
            figures = {
                "cosine": float(cosines.mean()),
                "cosine_p1": float(np.percentile(cosines, 1)),
                "cosine_min": float(cosines.min()),
            }
            return Fidelity(pictures=len(cosines), engine=embedder.backend, figures=figures, loss=1 - figures["cosine"])
        engine = Detector(child, backend=self.backend, threads=1).backend
        figures = _agreement(self._faces, list(_found(child, self.inputs, self.backend)))
        loss = figures["missed"] + 1 - figures["box_iou"]
        return Fidelity(pictures=len(self.inputs), engine=engine, figures=figures, loss=loss)


#: A face that one of two files keeps may score so much less with the other one before it counts as missed.
_FAINTER = 0.8


class _Found(NamedTuple):
    """What a detector saw in a picture before suppression, and the places of what it keeps."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    kept: NDArray[np.intp]


def _found(artifact: Artifact, inputs: NDArray[np.uint8], backend: str | None) -> Iterator[_Found]:
    detector = Detector(artifact, backend=backend, threads=1)
    task = detector.task
    for image in inputs:
        seen = detector.candidates(image, score_threshold=task.score_threshold * _FAINTER)
        boxes = np.array([face.box for face in seen], np.float32).reshape(-1, 4)
        scores = np.array([face.score for face in seen], np.float32)
        landmarks = np.array([face.landmarks for face in seen], np.float32).reshape(-1, 5, 2)
        likely = np.flatnonzero(scores >= task.score_threshold)
        yield _Found(boxes, scores, landmarks, likely[nms(boxes[likely], scores[likely], task.nms_iou)])


def _agreement(parent: list[_Found], child: list[_Found]) -> dict[str, float]:
    """Every face that either keeps is looked for among all that the other one sees."""
    both = [pair for one, other in zip(parent, child, strict=True) for pair in ((one, other), (other, one))]
    pairs = np.concatenate([_matched(one, other) for one, other in both])
    count = sum(len(one.kept) for one, _ in both)
    if not len(pairs):
        return {"missed": 1.0, "box_iou": 0.0, "landmarks": float("inf"), "score": float("inf")}
    overlap, distance, score = (float(mean) for mean in pairs.mean(axis=0))
    return {"missed": 1 - len(pairs) / count, "box_iou": overlap, "landmarks": distance, "score": score}


def _matched(one: _Found, other: _Found) -> NDArray[np.float64]:
    """(M, 3) IoU, distance of the landmarks by the box's side, and of the scores, for the faces that the other sees."""
    if not len(one.kept) or not len(other.boxes):
        return np.empty((0, 3))
    overlaps = iou(one.boxes[one.kept], other.boxes)
    same = np.flatnonzero(overlaps.max(axis=1) >= SAME_FACE)
    ours, theirs = one.kept[same], overlaps.argmax(axis=1)[same]
    sides = np.maximum(one.boxes[ours, 2:] - one.boxes[ours, :2], 1e-6).prod(axis=1) ** 0.5
    apart = np.linalg.norm(one.landmarks[ours] - other.landmarks[theirs], axis=2).mean(axis=1)
    return np.stack(
        [overlaps[same].max(axis=1), apart / sides, np.abs(one.scores[ours] - other.scores[theirs])], axis=1
    )
