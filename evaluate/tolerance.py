"""What an export may differ by from the network that it came from, by precision."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """What an export of one precision may differ by.

    Attributes:
        cosine: smallest cosine between the embeddings of one face.
        max_abs: largest difference of an element of an embedding.
        box_iou: smallest IoU of two boxes that are the same face.
        landmarks_px: largest distance of a landmark, in pixels of the picture.
        score: largest difference of a face's score; so near to the threshold, one of the two may miss a face.
        quality: largest difference of what a recogniser says of a face's quality, 0..1.

    """

    cosine: float
    max_abs: float
    box_iou: float
    landmarks_px: float
    score: float
    quality: float


#: By precision. Those of float16 leave room for a mantissa of 11 bits through a hundred layers.
TOLERANCES = {
    "float32": Tolerance(cosine=0.99999, max_abs=1e-4, box_iou=0.999, landmarks_px=0.1, score=1e-4, quality=1e-4),
    "float16": Tolerance(cosine=0.999, max_abs=2e-2, box_iou=0.98, landmarks_px=1.0, score=2e-2, quality=2e-2),
}
