"""What this checkout itself costs: folding, training, pixels, a large photo, an evaluation's pass, an export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..artifact import load_artifact
from ..report import Report, Section
from .costs import measure_export, measure_photo
from .evaluation import measure_evaluation
from .folding import measure_folding
from .pixels import measure_pixels
from .training import measure_training


def measure_checkout(exports: Path, progress: Callable[[str], None] = lambda step: None, command: str = "") -> Report:
    """Run every benchmark of the checkout.

    Args:
        exports: folder that the demo wrote.
        progress: told of every step.
        command: what was typed, for the report to say.

    Raises:
        InvalidModel: the demo's files are not there.
    """
    detector, recognizer = exports / "mos_xs_320_fp32.onnx", exports / "facelivtv2_xs_ri_112_fp32.onnx"
    for file in (detector, recognizer):
        load_artifact(file)  # now, not after minutes
    steps: dict[str, Callable[[], Section]] = {
        "folding": lambda: measure_folding(progress=progress),
        "training": lambda: measure_training(progress=progress),
        "pixels": lambda: measure_pixels(detector),
        "a large photo": lambda: measure_photo(detector, recognizer),
        "an evaluation": lambda: measure_evaluation(recognizer),
        "exporting": measure_export,
    }
    sections = []
    for name, measure in steps.items():
        progress(name)
        sections.append(measure())
    return Report(title="What this checkout costs", command=command, sections=sections)
