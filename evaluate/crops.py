"""From a picture of an image set to the crop that a recogniser takes, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..contract import ARCFACE_TEMPLATE
from ..errors import InvalidGeometry, InvalidImage, UnsupportedModel
from ..runtime.detector import DetectedFace, Detector
from ..runtime.embedder import Embedder
from .data import Image, Sample

_TEMPLATE_SIDE = 112  # pixels, of the crop that ARCFACE_TEMPLATE is given for

UNREADABLE = "cannot be read"
NOT_SQUARE = "are said to be aligned but are not square"
NO_FACE = "show no face that the detector finds"
NO_CROP = "have landmarks that no crop can be made from"


class Cropper:
    """Makes crops for one recogniser.

    An aligned picture has its landmarks on the ArcFace template scaled to its side, so it is warped from there to the
    recogniser's own template by the similarity between the two; nothing is detected. Of the faces in any other picture
    :func:`main_face` is taken.
    """

    def __init__(self, embedder: Embedder, detector: Detector | None) -> None:
        self._embedder, self._detector = embedder, detector

    def __call__(self, sample: Sample) -> Image | str:
        """The crop, or the reason why there is none, which completes "these pictures ...".

        Raises:
            UnsupportedModel: the detector fails, or answers NaN.
        """
        try:
            image = sample.read()
        except InvalidImage:
            return UNREADABLE
        if sample.aligned:
            return self._from_template(image)
        try:
            return self._from_face(image)
        except UnsupportedModel as e:
            raise UnsupportedModel(f"{sample.name}: {e}") from e

    def _from_template(self, image: Image) -> Image | str:
        height, width = image.shape[:2]
        if height != width:
            return NOT_SQUARE
        points = np.array(ARCFACE_TEMPLATE) * (height / _TEMPLATE_SIDE)
        if (height, width) == self._embedder.size and np.array_equal(points, self._embedder.task.template):
            return image  # the same bytes as align would give
        return self._embedder.align(image, points.astype(np.float32))

    def _from_face(self, image: Image) -> Image | str:
        assert self._detector is not None
        faces = self._detector.detect(image)
        if not faces:
            return NO_FACE
        try:
            return self._embedder.align(image, main_face(faces, (image.shape[0], image.shape[1])).landmarks)
        except InvalidGeometry:
            return NO_CROP


def main_face(faces: Sequence[DetectedFace], size: tuple[int, int]) -> DetectedFace:
    """The face that a picture is of: greatest area less twice the squared distance of its centre from the picture's.

    Both in pixels². LFW's pictures are of the face in the middle, and many have others; this is how FaceNet's
    ``align_dataset_mtcnn`` chose among them, and what published LFW figures mostly rest on.

    Args:
        faces: at least one.
        size: ``(height, width)`` of the picture.
    """
    boxes = np.stack([face.box for face in faces]).astype(np.float64)
    sides = boxes[:, 2:] - boxes[:, :2]
    middle = (np.array(size[::-1], np.float64) - 1) / 2
    away = (boxes[:, :2] + boxes[:, 2:]) / 2 - middle
    merit: NDArray[np.float64] = sides.prod(axis=1) - 2 * (away**2).sum(axis=1)
    return faces[int(merit.argmax())]
