"""Does it find the faces? The protocol of WIDER FACE, and average precision on anyone's own pictures."""

from __future__ import annotations

from .annotations import AnnotatedPicture, DetectionSet
from .open import open_detection_set
from .precision import AveragePrecision
from .protocol import DetectionResult, evaluate_detection
from .regime import Regime

__all__ = [
    "AnnotatedPicture",
    "AveragePrecision",
    "DetectionResult",
    "DetectionSet",
    "Regime",
    "evaluate_detection",
    "open_detection_set",
]
