"""The protocol: a detector, a data set and a regime in, average precision and what lies behind it out."""

from __future__ import annotations

from dataclasses import dataclass

from ...artifact import Artifact
from ...contract import Detection
from ...errors import InvalidContract
from ...runtime.backends import Backend
from ..cache import Cache
from .annotations import DetectionSet
from .details import LandmarkError, Operation, SizeRecall, landmark_error, operation, size_recalls
from .matching import match
from .official import official_ap
from .precision import AveragePrecision, all_points
from .regime import Regime, RegimeDetector
from .search import Progress, search
from .searched import Searches
from .wider import LEVELS

#: The lowest score that is looked at: the curve needs the unsure detections too. As most detectors' own evaluations.
LOWEST = 0.02


@dataclass(frozen=True)
class DetectionResult:
    """How well a detector finds the faces of a data set.

    Attributes:
        artifact: the detector.
        backend: the engine that ran it.
        data: name of the data set.
        fingerprint: of its annotations and files.
        regime: the test size, in words; figures are comparable only within one.
        lowest: lowest score that was looked at; NMS is the contract's.
        precisions: official subsets first, where the lists of WIDER FACE are there; then all points over all faces.
        sizes: recall by size of face.
        operation: at the contract's threshold.
        landmarks: None if none are annotated.
        notes: what a reader must know about the annotations.
        pictures: number of pictures.
        problems: a sentence for each picture that was left out.
        pictures_per_s: decoding, engine and suppression together; NaN if all came from the cache.
    """

    artifact: Artifact
    backend: str
    data: str
    fingerprint: str
    regime: str
    lowest: float
    precisions: tuple[AveragePrecision, ...]
    sizes: tuple[SizeRecall, ...]
    operation: Operation
    landmarks: LandmarkError | None
    notes: tuple[str, ...]
    pictures: int
    problems: tuple[str, ...]
    pictures_per_s: float


def evaluate_detection(
    artifact: Artifact,
    data: DetectionSet,
    regime: Regime | None = None,
    *,
    backend: str | Backend | None = None,
    threads: int | None = None,
    lowest: float = LOWEST,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> DetectionResult:
    """Test a detector at one size.

    Args:
        artifact: the detector.
        data: the pictures and their faces.
        regime: the test size; None for the contract's own.
        backend: name of the engine; None for the first that can run the file; or an open backend.
        threads: for the engine; None for its own choice.
        lowest: lowest score that is looked at, 0..1.
        cache: keeps the detections, so that a killed run goes on and a second one is instant.
        progress: called after each picture.

    Raises:
        InvalidContract: the artifact is not a detector.
        InvalidData: not one picture could be read.
        UnsupportedModel: no engine can run it here, or not at this size.
    """
    task, spec = artifact.contract.task, artifact.contract.input
    if not isinstance(task, Detection):
        raise InvalidContract(f"{artifact.path}: a model for {artifact.contract.task_name}, expected a detector")
    regime = regime or Regime(size=(spec.height, spec.width))
    detector = RegimeDetector(artifact, regime, backend=backend, threads=threads)
    found = search(data, detector, lowest, cache=cache, progress=progress)
    return _result(artifact, detector, data, found, lowest, max(task.score_threshold, lowest))


def _result(
    artifact: Artifact,
    detector: RegimeDetector,
    data: DetectionSet,
    found: Searches,
    lowest: float,
    threshold: float,
) -> DetectionResult:
    pictures = found.pictures
    matchings = [match(s.boxes, s.picture.boxes, s.picture.ignore) for s in pictures]
    official = [official_ap(pictures, level) for level in LEVELS] if data.official else []
    return DetectionResult(
        artifact=artifact,
        backend=detector.backend,
        data=data.name,
        fingerprint=data.fingerprint,
        regime=detector.regime.name,
        lowest=lowest,
        precisions=(*official, all_points(pictures, matchings)),
        sizes=tuple(size_recalls(pictures, matchings, threshold)),
        operation=operation(pictures, matchings, threshold),
        landmarks=landmark_error(pictures, matchings, threshold),
        notes=data.notes,
        pictures=len(pictures),
        problems=(*data.problems, *found.problems),
        pictures_per_s=found.pictures_per_s,
    )
