"""Do two files answer alike? A cheap check beside every time: an engine that is fast and wrong wins nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..artifact import Artifact
from ..evaluate.matching import SAME_FACE
from ..evaluate.tolerance import TOLERANCES
from ..runtime.boxes import iou
from .messages import Answers
from .perf import Parity

Boxes = Sequence[tuple[float, float, float, float]]

#: What a quantized file must reach to be taken for the same network; how well it decides, `evaluate` says.
QUANTIZED = 0.9


def parity_with(reference: Answers, answers: Answers, artifact: Artifact) -> Parity | None:
    """How near a file's answers come to those of its network in float32.

    Of embeddings the lowest cosine counts. Of boxes the mean IoU does, where a face that only one of the two finds
    counts 0.

    Returns:
        None if there is nothing to compare: a detector of which neither finds a face.
    """
    allowed = TOLERANCES.get(artifact.contract.precision)
    if answers.vectors:
        cosines = np.array([_cosine(a, b) for a, b in zip(reference.vectors, answers.vectors, strict=True)])
        value, least = float(cosines.min()), allowed.cosine if allowed else QUANTIZED
        return Parity(measure="cosine", value=value, pictures=len(cosines), passed=value >= least)
    overlaps = [_overlaps(a, b) for a, b in zip(reference.boxes, answers.boxes, strict=True)]
    joined = np.concatenate([np.empty(0), *overlaps])
    if not len(joined):
        return None
    value, least = float(joined.mean()), allowed.box_iou if allowed else QUANTIZED
    return Parity(measure="iou", value=value, pictures=len(overlaps), passed=value >= least)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Of two embeddings of length one; 0 if they are not even of one size."""
    return float(np.dot(one, other)) if len(one) == len(other) else 0.0


def _overlaps(one: Boxes, other: Boxes) -> NDArray[np.float64]:
    """For every face of either, the IoU with the best of the other; 0 if it is not the same face."""
    if not one or not other:
        return np.zeros(len(one) + len(other))
    overlaps = iou(np.array(one, np.float32), np.array(other, np.float32))
    best = np.concatenate([overlaps.max(axis=1), overlaps.max(axis=0)])
    return np.where(best >= SAME_FACE, best, 0.0)
