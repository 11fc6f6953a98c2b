"""Do two files answer alike? A cheap check beside every time: an engine that is fast and wrong wins nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..artifact import Artifact
from ..evaluate.agreement import TOLERANCES
from ..evaluate.matching import SAME_FACE, join, match_faces
from ..runtime.detector import DetectedFace
from .messages import Answers, Seen
from .perf import Parity

#: Lowest cosine at which a quantized file passes for the same network; how well it decides, `evaluate` says.
QUANTIZED = 0.9


def parity_with(reference: Answers, answers: Answers, artifact: Artifact) -> Parity | None:
    """How near a file's answers come to those of its network in float32.

    Of embeddings the lowest cosine counts. Of a detector's faces, every one that either keeps must be among what the
    other one sees, and the lowest IoU counts; of a quantized one it need only be the same face.

    Returns:
        None if there is nothing to compare: a detector of which neither finds a face.
    """
    allowed = TOLERANCES.get(artifact.contract.precision)  # None for a quantized file
    if answers.vectors:
        value = min(_cosine(a, b) for a, b in zip(reference.vectors, answers.vectors, strict=True))
        passed = value >= (allowed.cosine if allowed else QUANTIZED)
        return Parity(measure="cosine", value=value, pictures=len(answers.vectors), passed=passed)
    pairs = [*zip(reference.kept, answers.seen, strict=True), *zip(answers.kept, reference.seen, strict=True)]
    matches = join([match_faces(_faces(kept), _faces(seen)) for kept, seen in pairs])
    if not matches.found:
        return None
    value = matches.box_iou if matches.missed < matches.found else 0.0
    passed = not matches.missed and value >= (allowed.box_iou if allowed else SAME_FACE)
    return Parity(measure="iou", value=value, pictures=len(answers.kept), passed=passed)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Of two embeddings of length one; 0 if they are not even of one size."""
    return float(np.dot(one, other)) if len(one) == len(other) else 0.0


def _faces(seen: Sequence[Seen]) -> list[DetectedFace]:
    return [DetectedFace(np.array(s.box, np.float32), s.score, np.array(s.landmarks, np.float32), None) for s in seen]
