"""What quantization does to detection: precision that is lost, faces that are missed, landmarks that move."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..artifact import Artifact
from ..errors import InvalidData, InvalidImage
from ..evaluate.cache import Cache
from ..evaluate.data.digest import digest_of
from ..evaluate.detection import DetectionSet, evaluate_detection
from ..evaluate.detection.annotations import AnnotatedPicture
from ..runtime.images import load_image
from ..runtime.preprocess import letterbox
from .fidelity import FIGURES, Judge
from .pictures import Pictures, refuse_shared

#: What a gate may speak of beside what needs no marked faces.
MEASURED = (*FIGURES["detection"], "ap_drop")


@dataclass(frozen=True)
class Detections:
    """Pictures with marked faces, to find with several files.

    Attributes:
        data: the pictures and their faces.
        cache: keeps detections.
        backend: name of the engine; None for the first that can run the files.
    """

    data: DetectionSet
    cache: Cache | None = None
    backend: str | None = None

    @property
    def told(self) -> str:
        """What a verdict rests on, in words."""
        return f"{self.data.faces:,} faces in {len(self.data.pictures):,} pictures of {self.data.name}"

    def require_apart(self, calibration: Pictures) -> None:
        """Refuse a set that shares a picture with the calibration.

        Raises:
            InvalidData: it does.
        """
        wanted = set(calibration.digests)
        shared = sum(digest_of(image) in wanted for image in _readable(self.data.pictures))
        refuse_shared(calibration.name, self.data.name, shared, ())

    def compare(
        self, files: Sequence[Artifact], progress: Callable[[str], None] = lambda step: None
    ) -> list[dict[str, float]]:
        """Figures of each file, the first being what the others are held to.

        Returns:
            ``ap`` of all, at IoU 0.5; of the others also ``ap_drop`` and what :class:`~.fidelity.Judge` finds on the
            same pictures: ``missed``, ``box_iou``, ``landmarks``, ``score``.

        Raises:
            InvalidData: no picture can be read.
            UnsupportedModel: a file cannot be run, or the first finds no face.
        """
        precisions = [self._precision(file, progress) for file in files]
        judge = Judge(files[0], self.pictures(files[0]).inputs, self.backend)
        found = [{"ap": precisions[0]}]
        for file, precision in zip(files[1:], precisions[1:], strict=True):
            progress(f"{file.path.name}: comparing faces")
            figures = judge.compare(file).figures
            found.append({"ap": precision, "ap_drop": precisions[0] - precision, **figures})
        return found

    def _precision(self, file: Artifact, progress: Callable[[str], None]) -> float:
        def told(done: int, of: int) -> None:
            progress(f"{file.path.name}: {done} of {of} pictures")

        options = {"backend": self.backend, "threads": 1, "cache": self.cache, "progress": told}
        return evaluate_detection(file, self.data, **options).precisions[-1].ap  # type: ignore[arg-type]

    def pictures(self, file: Artifact) -> Pictures:
        """All pictures that can be read, as a file takes them.

        Raises:
            InvalidData: none can be read.
        """
        size = file.contract.input.height, file.contract.input.width
        made = [(digest_of(image), letterbox(image, size)[0]) for image in _readable(self.data.pictures)]
        if not made:
            raise InvalidData(f"{self.data.name}: none of its {len(self.data.pictures)} pictures can be read")
        return Pictures(self.data.name, np.stack([canvas for _, canvas in made]), tuple(digest for digest, _ in made))


def _readable(pictures: Sequence[AnnotatedPicture]) -> Iterator[NDArray[np.uint8]]:
    for picture in pictures:
        try:
            yield load_image(picture.path)
        except InvalidImage:
            continue
