"""Turn aligned face crops into embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..artifact import Artifact
from ..contract import Recognition
from ..errors import InvalidContract, InvalidImage, UnsupportedModel
from .align import align_face
from .backends import Backend
from .embedding import Embedding
from .session import Session

_AT_ONCE = 8  # crops per run: on a CPU, more take memory and save no time


class Embedder:
    """A face recogniser, open and ready.

    Args:
        model: a model file with a contract for recognition, or a loaded artifact.
        backend: name of the engine; None for the first that can run the file; or an open backend.
        threads: for the engine; None for its own choice.

    Raises:
        InvalidModel, InvalidContract: the file or its contract is not sound, or not a recogniser's.
        UnsupportedModel, MissingExtra: no engine can run it here.

    >>> embedder = Embedder("recogniser.onnx")  # doctest: +SKIP
    >>> vectors = embedder.embed([embedder.align(image, face.landmarks) for face in faces])  # doctest: +SKIP
    """

    def __init__(
        self, model: str | Path | Artifact, *, backend: str | Backend | None = None, threads: int | None = None
    ) -> None:
        self._session = Session(model, Recognition, backend, threads)
        self.artifact, self.contract = self._session.artifact, self._session.contract
        self.task, self.backend = self._session.task, self._session.backend.name

    @property
    def fingerprint(self) -> str:
        """Which network this is: embeddings may be compared only within one fingerprint."""
        return self.contract.fingerprint

    def embedding(self, vector: NDArray[np.float32]) -> Embedding:
        """A row of :meth:`embed` with all that must be known to compare it with another."""
        return Embedding(vector, self.fingerprint, self.contract.precision, tuple(self.task.compatible or ()))

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)`` of a crop."""
        return self.contract.input.height, self.contract.input.width

    def align(self, image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Cut out a face so that its five landmarks lie where this network expects them.

        Args:
            image: ``(H, W, 3) uint8`` RGB.
            landmarks: ``(5, 2)`` in its pixels, as a detected face has them.

        Returns:
            A crop for :meth:`embed`.

        Raises:
            InvalidImage: not such a picture.
            InvalidGeometry: landmarks of another shape, not finite, or all in one place.
        """
        planes = self.contract.input.layout == "NCHW"
        return align_face(image, landmarks, self.task.template, self.size, planes=planes)

    def embed(self, crops: NDArray[np.uint8] | list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embed aligned crops, one ``(h, w, 3) uint8`` RGB or ``(N, h, w, 3)`` of them.

        Returns:
            ``(N, D) float32``, each row of length 1, so that the dot product of two rows is their cosine. N may be 0.

        Raises:
            InvalidImage: crops of another shape or type.
            UnsupportedModel: the engine fails, or answers NaN or zeros.
        """
        return self.judge(crops)[0]

    def judge(
        self, crops: NDArray[np.uint8] | list[NDArray[np.uint8]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Embed aligned crops and say how far each can be recognised, in one run of the network.

        Returns:
            Embeddings as :meth:`embed` has them, and ``(N,) float32`` quality in 0..1, higher is better; None from a
            network that does not judge.

        Raises:
            InvalidImage: crops of another shape or type.
            InvalidContract: the file gives outputs of another shape than its contract says.
            UnsupportedModel: the engine fails, or answers NaN or zeros.
        """
        vectors, quality = self._run(crops)
        self._session.require_finite("embedding", vectors)
        vectors = vectors.astype(np.float64)  # in float32 the square of 2e19 is infinite, that of 1e-23 is zero
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not lengths.all():
            raise UnsupportedModel(
                f"{self.artifact.path}: an embedding of zeros, which has no direction; its weights are damaged"
            )
        if quality is not None:
            self._session.require_finite("quality", quality)
        unit = (vectors / lengths).astype(np.float32)  # even what the graph normalised: float16 is off by 1e-3
        return unit, quality

    def raw(self, crops: NDArray[np.uint8] | list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """What the network itself answers for crops as :meth:`embed` takes them: of any length, and NaN where it fails.

        For programs that judge a network. Where the graph does not normalise, the length tells of a crop's quality.

        Returns:
            ``(N, D) float32``.

        Raises:
            InvalidImage: crops of another shape or type.
            UnsupportedModel: the engine fails.
        """
        return self._run(crops)[0]

    def _run(
        self, crops: NDArray[np.uint8] | list[NDArray[np.uint8]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """``(N, D)`` and, from a network that judges, ``(N,)``, as the engine gives them."""
        batch = self._checked(crops)
        answers = [self._answer(batch[i : i + _AT_ONCE]) for i in range(0, len(batch), _AT_ONCE)]
        empty = np.empty((0, self.task.embedding_size), np.float32)
        vectors = np.concatenate([empty, *(vector for vector, _ in answers)])
        if "quality" not in self.contract.outputs:
            return vectors, None
        return vectors, np.concatenate([empty[:, 0], *(quality for _, quality in answers)])

    def _checked(self, crops: NDArray[np.uint8] | list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        try:
            if isinstance(crops, list) and crops:  # np.asarray would not keep colours together that are
                crops = np.concatenate([np.asarray(crop)[None] for crop in crops])
            batch = np.asarray(crops)
        except ValueError as e:
            raise InvalidImage(f"crops of different shapes, expected {self.size} for all; use align()") from e
        if batch.shape[:1] == (0,):
            return np.empty((0, *self.size, 3), np.uint8)
        if batch.ndim == 3:
            batch = batch[None]
        if batch.dtype != np.uint8 or batch.shape[1:] != (*self.size, 3):
            wanted = "(N, {}, {}, 3)".format(*self.size)
            raise InvalidImage(f"expected crops uint8 {wanted}, got {batch.dtype} {batch.shape}; use align()")
        return batch

    def _answer(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        answer = self._session.run(crops)
        vectors, quality = answer["embedding"], answer.get("quality", np.empty(len(crops), np.float32))
        if vectors.shape != (len(crops), self.task.embedding_size):
            wanted = f"({len(crops)}, {self.task.embedding_size})"
            raise InvalidContract(f"{self.artifact.path}: an embedding of shape {vectors.shape}, expected {wanted}")
        if quality.size != len(crops):
            raise InvalidContract(f"{self.artifact.path}: quality of shape {quality.shape}, expected one for each crop")
        return vectors, quality.reshape(-1)
