"""How nearly two answers to the same pictures agree, and how nearly they must: by precision, in what users care about.

Embeddings: cosine and largest difference. Detections: boxes and landmarks matched after decoding and suppression.
Numpy only, so that answers which come from elsewhere, from a browser for one, are judged where there is no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from ..artifact import Artifact
from ..contract import Detection, Recognition
from ..errors import ParityError
from ..runtime.detector import DetectedFace, Detector
from .faces import Portrait
from .matching import join, match_faces

if TYPE_CHECKING:
    from .trace import Departure

Outputs = Mapping[str, npt.NDArray[Any]]


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


#: Of an export beside its network, by precision. Those of float16 leave room for a mantissa of 11 bits through a
#: hundred layers.
TOLERANCES = {
    "float32": Tolerance(cosine=0.99999, max_abs=1e-4, box_iou=0.999, landmarks_px=0.1, score=1e-4, quality=1e-4),
    "float16": Tolerance(cosine=0.999, max_abs=2e-2, box_iou=0.98, landmarks_px=1.0, score=2e-2, quality=2e-2),
}
#: Of one file in 8 bits in two engines: where they round a sum to another step, the steps of all later layers move.
#: With the bundled recogniser (8 pictures), ONNX Runtime with and without its optimisations on one CPU is 0.9962 from
#: itself, and both are 0.984 from the float file; so what is nearer than 0.99 may be rounding, and nothing more is
#: claimed.
ROUNDING = Tolerance(cosine=0.99, max_abs=5e-2, box_iou=0.95, landmarks_px=2.0, score=5e-2, quality=5e-2)


@dataclass(frozen=True)
class Parity:
    """How near an export comes to its original.

    Attributes:
        artifact: the export.
        backend: the engine that ran it.
        faces: number of pictures.
        cosine: smallest cosine over faces (recognition) or output tensors (detection).
        max_abs: largest difference of an output element.
        quality: largest difference of the quality, for recognisers that judge it; it is no part of the two above.
        box_iou, landmarks_px: worst over matched detections; None for recognisers.
        detections: number of faces that both found, on average; None for recognisers.
        failures: each tolerance that was broken, in words; empty if the export is proven.
        departure: the first tensor that departs, where a tolerance was broken and it could be found.

    """

    artifact: Artifact
    backend: str
    faces: int
    cosine: float = float("nan")
    max_abs: float = float("nan")
    quality: float | None = None
    box_iou: float | None = None
    landmarks_px: float | None = None
    detections: int | None = None
    failures: tuple[str, ...] = ()
    departure: Departure | None = None

    @property
    def passed(self) -> bool:
        """Whether every tolerance held."""
        return not self.failures

    def require(self) -> Parity:
        """Return self.

        Raises:
            ParityError: a tolerance was broken; the message says which, and where it begins.

        """
        if self.failures:
            where = f"; {self.departure}" if self.departure else ""
            raise ParityError(f"{self.artifact.path.name} on {self.backend}: {'; '.join(self.failures)}{where}")
        return self


def judge_outputs(
    artifact: Artifact, engine: str, ours: Outputs, theirs: Outputs, portraits: Sequence[Portrait]
) -> Parity:
    """Compare an engine's answers for pictures with those that are right.

    Args:
        artifact: the file that answered.
        engine: what ran it.
        ours: its answers, name of the output tensor -> array, a row for each picture.
        theirs: the right ones, meaning of an output -> array.
        portraits: the pictures.
    """
    task = artifact.contract.task
    parity = _compare_outputs(Parity(artifact, engine, len(portraits)), ours, theirs)
    if parity.passed and isinstance(task, Recognition):
        return _judge_embeddings(parity)
    if parity.passed and isinstance(task, Detection):
        return _judge_detections(parity, task, ours, theirs, portraits)
    return parity


def _compare_outputs(parity: Parity, ours: Outputs, theirs: Outputs) -> Parity:
    """Smallest cosine (per picture and output) and largest difference over all outputs; the quality's by itself."""
    cosines, differences, quality = [], [], None
    for meaning, name in parity.artifact.contract.outputs.items():
        a = np.asarray(ours[name], np.float64).reshape(parity.faces, -1)
        b = np.asarray(theirs[meaning], np.float64).reshape(parity.faces, -1)
        if a.shape != b.shape:
            failure = f"output {name!r} has {a.shape[1]} values for a picture, the original {b.shape[1]}"
            return replace(parity, failures=(failure,))
        if meaning == "quality":  # a number has no direction, and is not to be mixed with elements of embeddings
            quality = float(np.max(np.abs(a - b)))
            continue
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        with np.errstate(all="ignore"):  # what is not a number is found below
            cosines.append(np.min((a * b).sum(1) / norms))
        differences.append(np.max(np.abs(a - b)))
    parity = replace(parity, cosine=float(np.min(cosines)), max_abs=float(np.max(differences)), quality=quality)
    if not np.isfinite([parity.cosine, parity.max_abs, quality or 0.0]).all():
        return replace(parity, failures=("an output is NaN or infinite",))
    return parity


def _judge_embeddings(parity: Parity) -> Parity:
    allowed = _tolerance(parity.artifact)
    failures = list(parity.failures)
    if not parity.cosine >= allowed.cosine:
        failures.append(f"cosine {parity.cosine:.7f} < {allowed.cosine}")
    if not parity.max_abs <= allowed.max_abs:
        failures.append(f"largest difference {parity.max_abs:.1e} > {allowed.max_abs:.0e}")
    if parity.quality is not None and not parity.quality <= allowed.quality:
        failures.append(f"quality {parity.quality:.1e} apart > {allowed.quality:.0e}")
    return replace(parity, failures=tuple(failures))


def _judge_detections(
    parity: Parity, task: Detection, ours: Outputs, theirs: Outputs, portraits: Sequence[Portrait]
) -> Parity:
    """Every face that either keeps after decoding and suppression must be among what the other one sees."""
    allowed = _tolerance(parity.artifact)
    least = max(0.0, task.score_threshold - allowed.score)
    export = _found(parity.artifact, ours, portraits, least)
    original = _found(_by_meaning(parity.artifact), theirs, portraits, least)
    pairs = [(one, other) for a, b in zip(export, original, strict=True) for one, other in ((a, b), (b, a))]
    matches = join([match_faces(one.kept, other.seen) for one, other in pairs])
    failures = list(parity.failures)
    if not matches.found:
        failures.append("no face is found, so nothing can be compared")
    if matches.missed:
        failures.append(f"{matches.missed} of {matches.found} faces are seen by only one of the two")
    if not matches.box_iou >= allowed.box_iou:
        failures.append(f"box IoU {matches.box_iou:.4f} < {allowed.box_iou}")
    if not matches.landmarks_px <= allowed.landmarks_px:
        failures.append(f"landmarks {matches.landmarks_px:.2f} px apart > {allowed.landmarks_px} px")
    if not matches.score <= allowed.score:
        failures.append(f"scores {matches.score:.1e} apart > {allowed.score:.0e}")
    return replace(
        parity,
        detections=matches.found // 2,
        box_iou=matches.box_iou,
        landmarks_px=matches.landmarks_px,
        failures=tuple(failures),
    )


class _Found(NamedTuple):
    """What a detector keeps of a picture, and what it saw before suppression."""

    kept: list[DetectedFace]
    seen: list[DetectedFace]


class _Replay:
    """An engine that only repeats what it answered for a picture of a batch."""

    name = "replay"

    def __init__(self, outputs: Outputs) -> None:
        self.outputs, self.picture = outputs, 0

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        return {name: values[self.picture : self.picture + 1] for name, values in self.outputs.items()}


def _found(artifact: Artifact, outputs: Outputs, portraits: Sequence[Portrait], least: float) -> list[_Found]:
    """Decode a batch's answers, picture by picture, as the runtime does."""
    replay, found = _Replay(outputs), []
    detector = Detector(artifact, backend=replay)
    for replay.picture, portrait in enumerate(portraits):
        seen = detector.candidates(portrait.image, score_threshold=least)
        found.append(_Found(detector.detect(portrait.image), seen))
    return found


def _by_meaning(artifact: Artifact) -> Artifact:
    """The artifact with a contract whose outputs are named by what they mean."""
    outputs = {meaning: meaning for meaning in artifact.contract.outputs}
    return replace(artifact, contract=msgspec.structs.replace(artifact.contract, outputs=outputs))


def _tolerance(artifact: Artifact) -> Tolerance:
    precision = artifact.contract.precision
    return ROUNDING if precision == "int8" else TOLERANCES.get(precision, TOLERANCES["float16"])
