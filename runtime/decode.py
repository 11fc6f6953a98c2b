"""From a detector's raw outputs to faces in pixels of its input. A decoder is one function and one line in DECODERS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
#: Meaning of an output -> array, for one picture; and the input's size (height, width).
Decoder = Callable[[Mapping[str, Floats], tuple[int, int]], "Candidates"]


class Candidates(NamedTuple):
    """Every place where the detector looked, good or not, in pixels of its input.

    Attributes:
        scores: ``(N,)``, 0..1.
        boxes: ``(N, 4)`` xyxy.
        landmarks: ``(N, 5, 2)`` left eye, right eye, nose, left and right mouth corner, as seen in the picture.
        rotations: ``(N, 3, 3)``, or None if the detector knows no pose.
    """

    scores: Floats
    boxes: Floats
    landmarks: Floats
    rotations: Floats | None = None

    def take(self, index: NDArray[np.intp]) -> Candidates:
        """Those at the given places, in that order."""
        rotations = None if self.rotations is None else self.rotations[index]
        return Candidates(self.scores[index], self.boxes[index], self.landmarks[index], rotations)

    def checked(self) -> Candidates:
        """Itself, if the parts have these shapes; ValueError otherwise."""
        shapes = [part.shape for part in self if part is not None]
        if shapes != [(self.scores.size, *rest) for rest in ((), (4,), (5, 2), (3, 3))][: len(shapes)]:
            raise ValueError(f"shapes {shapes} are not those of scores, boxes, landmarks and rotations")
        return self


def decode_pixels(outputs: Mapping[str, Floats], size: tuple[int, int]) -> Candidates:
    """Our own exports: decoding is part of the graph."""
    rotations = outputs.get("rotation")
    return Candidates(
        outputs["scores"][0], outputs["boxes"][0], outputs["landmarks"][0], None if rotations is None else rotations[0]
    )


def decode_yunet(outputs: Mapping[str, Floats], size: tuple[int, int]) -> Candidates:
    """YuNet: for each stride, one candidate per cell of ``stride`` x ``stride`` pixels, rows first.

    A cell's anchor is its top-left pixel; centres and landmarks are offsets from it in strides, sides are logarithms
    of strides. The score is the geometric mean of the class and the object score, as OpenCV takes it. The
    landmarks already come in our order: OpenCV calls the first the person's right eye, which is the left one in the
    picture. Source: ShiqiYu/libfacedetection.train; opencv/modules/objdetect/src/face_detect.cpp.
    """
    parts = [_yunet_stride(outputs, stride, size) for stride in (8, 16, 32)]
    scores, boxes, landmarks = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Candidates(scores, boxes, landmarks)


def _yunet_stride(outputs: Mapping[str, Floats], stride: int, size: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
    cls, obj, bbox, kps = (outputs[f"{kind}_{stride}"][0] for kind in ("cls", "obj", "bbox", "kps"))
    cells = np.indices((size[0] // stride, size[1] // stride), np.float32)[::-1].reshape(2, -1).T  # (N, 2) x, y
    score = np.sqrt(np.clip(cls, 0, 1) * np.clip(obj, 0, 1)).reshape(-1)
    centre = (cells + bbox[:, :2]) * stride
    with np.errstate(over="ignore"):  # a broken net's infinity is reported later, and if it is a face's
        half = np.exp(bbox[:, 2:]) * (stride / 2)
    landmarks = (cells[:, None] + kps.reshape(-1, 5, 2)) * stride  # (N, 5, 2)
    return score, np.concatenate([centre - half, centre + half], axis=1), landmarks


#: ``contract.Detection.decoder`` -> the function that does it.
DECODERS: dict[str, Decoder] = {
    "pixels": decode_pixels,
    "yunet": decode_yunet,
}
