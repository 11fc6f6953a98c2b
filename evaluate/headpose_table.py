"""How errors of head pose are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..report import Column, Section
from .headpose import LIMIT_DEG, PoseResult

_ERRORS = {"yaw_deg": "yaw", "pitch_deg": "pitch", "roll_deg": "roll", "mean_deg": "mean", "geodesic_deg": "geodesic"}
COLUMNS = (
    Column(key="file", name="file"),
    Column(key="group", name="pictures with"),
    Column(key="pictures", name="pictures", kind="number"),
    Column(key="detected", name="detected", kind="number"),
    *(Column(key=key, name=name, unit="°", kind="number", spec=".2f") for key, name in _ERRORS.items()),
)


def pose_section(results: Sequence[PoseResult]) -> Section:
    """The table of one or several detectors on one data set."""
    first = results[0]
    problems = list(dict.fromkeys(problem for result in results for problem in result.problems))
    notes = [
        "Mean absolute errors over the pictures in which the face was found; those without have none.",
        f"{first.beyond} pictures with an angle beyond {LIMIT_DEG:g}° are left out, as the protocol has it.",
    ]
    if problems:
        more = "; …" if len(problems) > 5 else ""
        notes.append(f"{len(problems)} more are left out: {'; '.join(problems[:5])}{more}")
    rows = [{"file": r.artifact.path.name, **asdict(error)} for r in results for error in r.errors]
    return Section(title=f"Head pose on {first.data}", columns=COLUMNS, rows=rows, notes=notes)


def pose_facts(result: PoseResult) -> dict[str, Any]:
    """Everything that was found, for JSON."""
    facts = asdict(result)
    facts.pop("artifact")
    return {"file": result.artifact.path.name, "sha256": result.artifact.sha256, **facts}
