"""The whole way in one run: build, fold, export, run and prove the default models, then show them at work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..artifact import Artifact
from ..report import Report, artifact_section
from .exports import export_all, exports_section, pictures_section
from .photographs import faces_section, gate_section, people_section

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["DEFAULTS", "run_demo"]

#: The bundled detector and recogniser.
DEFAULTS = ("mos_xs", "facelivtv2_xs_ri")


def run_demo(folder: Path, console: Console, models: Sequence[str] = DEFAULTS) -> Report:
    """Export every model to every format into ``folder``, look at photographs with them, and return the report.

    Raises:
        ParityError: an export departs from its original.
        OutputError: the folder cannot be written to.
    """
    exports = export_all(folder, console, models)
    artifacts = [one.artifact for one in exports]
    sections = [exports_section(exports), artifact_section(artifacts)]
    detector, recognizer = (_onnx(artifacts, task) for task in ("detection", "recognition"))
    if detector and recognizer and detector.contract.trained and recognizer.contract.trained:
        with console.status("looking at photographs"):
            sections += [make(detector, recognizer) for make in (faces_section, gate_section, people_section)]
    else:  # what untrained networks say of people means nothing
        sections.append(pictures_section(artifacts))
    return Report(
        title="From torch to ONNX, TFLite and Core ML",
        summary=f"Built, folded, exported and run: {', '.join(models)}; every file was compared with torch on "
        f"{exports[0].parity.faces} pictures of faces.",
        sections=sections,
    )


def _onnx(artifacts: Sequence[Artifact], task: str) -> Artifact | None:
    return next((a for a in artifacts if a.format == "onnx" and a.contract.task_name == task), None)
