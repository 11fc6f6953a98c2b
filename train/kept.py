"""What is kept of a generated picture: a crop of its surest face, or all of it with the faces that are found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..draw import encode
from ..errors import InvalidGeometry
from ..runtime.align import align_face
from ..runtime.detector import DetectedFace, Detector
from ..runtime.images import load_image
from .detect.sources import Face

#: Scores of a face in a whole picture: annotated from the first on, but to be ignored below the second.
FOUND, SURE = 0.5, 0.8


class Kept(NamedTuple):
    """An encoded picture, and the faces in it."""

    encoded: bytes
    faces: list[Face]


def crop_of(picture: NDArray[np.uint8], detector: Detector) -> Kept | None:
    """The surest face, aligned, as PNG; None where there is none."""
    faces = detector.detect(picture, max_faces=1)
    try:
        crop = align_face(picture, faces[0].landmarks) if faces else None
    except InvalidGeometry:
        return None
    return None if crop is None else Kept(encode(crop, compress_level=3), [])


def whole_of(picture: NDArray[np.uint8], detector: Detector) -> Kept | None:
    """The whole picture as JPEG; None where no face is sure.

    A face that the detector is in doubt about, often half a second person at the edge, is neither to be found nor
    wrong to find.
    """
    encoded = encode(picture, "JPEG", quality=92)
    faces = detector.detect(load_image(encoded), score_threshold=FOUND)  # in what is stored, so that anyone can check
    if not faces or faces[0].score < SURE:
        return None
    return Kept(encoded, [_annotation(face) for face in faces])


def _annotation(face: DetectedFace) -> Face:
    """Rounded to hundredths of a pixel."""
    left, top, right, bottom = face.box.astype(float)
    box = np.round([left, top, right - left, bottom - top], 2).tolist()
    return Face(tuple(box), face.score < SURE, face.landmarks.astype(float).round(2).tolist())
