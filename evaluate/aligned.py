"""Pictures of people as crops on the ArcFace template, for whatever takes no other pictures."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from ..contract import ARCFACE_TEMPLATE
from ..errors import InvalidGeometry, InvalidImage
from ..runtime.align import align_face
from ..runtime.detector import Detector
from .crops import main_face
from .data import Image, ImageSet, Sample

_SIDE = 112
_KEEP_BYTES = 1 << 30


def aligned_crops(images: ImageSet, detector: Detector | None, *, keep_bytes: int = _KEEP_BYTES) -> ImageSet:
    """The faces of pictures that are not aligned, cut out at 112 x 112 on the ArcFace template when they are read.

    A picture without a face that a crop can be made from cannot be read.

    Args:
        images: the pictures.
        detector: finds the faces; None where all are aligned.
        keep_bytes: of crops that are kept; further ones are made again whenever they are read. 0 for who reads once.
    """
    if all(sample.aligned for sample in images.samples) or detector is None:
        return images
    crops = _Crops(detector, keep_bytes // (3 * _SIDE * _SIDE))
    how = f"crops by {detector.artifact.sha256} {detector.contract.to_json()} {detector.backend} {detector.size}"
    made = images.derive(how, (s if s.aligned else replace(s, read=crops.of(s), aligned=True) for s in images.samples))
    return replace(made, name=images.name)


class _Crops:
    """Cuts out faces, one thread at a time because an engine may bear no more, and keeps them."""

    def __init__(self, detector: Detector, most: int) -> None:
        self._detector, self._most = detector, most
        self._lock, self._kept = threading.Lock(), dict[str, Image]()

    def of(self, sample: Sample) -> Callable[[], Image]:
        def read() -> Image:
            kept = self._kept.get(sample.name)
            return self._cut(sample) if kept is None else kept

        return read

    def _cut(self, sample: Sample) -> Image:
        image = sample.read()
        with self._lock:
            faces = self._detector.detect(image)
        if not faces:
            raise InvalidImage(f"{sample.name}: no face")
        face = main_face(faces, (image.shape[0], image.shape[1]))
        try:
            crop = align_face(image, face.landmarks, ARCFACE_TEMPLATE, (_SIDE, _SIDE))
        except InvalidGeometry as e:
            raise InvalidImage(f"{sample.name}: {e}") from e
        if len(self._kept) < self._most:
            self._kept[sample.name] = crop
        return crop
