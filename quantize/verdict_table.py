"""How a verdict is shown: one table per model, the same on the terminal, in a report and in a README."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..report import Column, Row, Section
from .verdict import Line

_FILE = (
    Column(key="format", name="format"),
    Column(key="how", name="recipe"),
    Column(key="size_bytes", name="size", kind="bytes"),
    Column(key="latency", name="time of float", kind="number", spec=".2f"),
)
_RECOGNITION = (
    Column(key="cosine", name="cosine", kind="number", spec=".4f"),
    Column(key="cosine_p1", name="1st percentile", kind="number", spec=".4f"),
    Column(key="tar", name="TAR", kind="number", spec=".4f"),
    Column(key="tar_drop", name="falls by", unit="points", kind="number", spec="+.2f"),
    Column(key="flips_genuine", name="genuine flips", unit="%", kind="number", spec=".2f"),
    Column(key="flips_impostor", name="impostor flips", unit="%", kind="number", spec=".3f"),
    Column(key="flips_all", name="all flips", unit="%", kind="number", spec=".3f"),
)
_DETECTION = (
    Column(key="ap", name="AP@0.5", kind="number", spec=".4f"),
    Column(key="ap_drop", name="falls by", unit="points", kind="number", spec="+.2f"),
    Column(key="missed", name="faces missed", unit="%", kind="number", spec=".2f"),
    Column(key="landmarks", name="landmarks move", unit="% of side", kind="number", spec=".2f"),
    Column(key="box_iou", name="box IoU", kind="number", spec=".3f"),
)
_VERDICT = (
    Column(key="kept", name="layers kept", kind="number"),
    Column(key="word", name="verdict"),
    Column(key="why", name="why"),
)
_TASKS = {"recognition": _RECOGNITION, "detection": _DETECTION}
#: Shown in percent.
_SHARES = ("tar_drop", "flips_genuine", "flips_impostor", "flips_all", "ap_drop", "missed", "landmarks")


def verdict_section(lines: Sequence[Line], told: str, more: Sequence[str]) -> Section:
    """The table of one model, with what it rests on.

    Args:
        lines: of the model.
        told: what it was judged by, in words.
        more: further sentences.
    """
    contract = lines[0].artifact.contract
    columns = (*_FILE, *_TASKS[contract.task_name], *_VERDICT)
    keys = [column.key for column in columns]
    rows = [{key: value for key, value in _row(line).items() if key in keys} for line in lines]
    title = f"{contract.model}: take it or leave it"
    return Section(title=title, columns=columns, rows=rows, notes=_notes(lines, told, more))


def verdict_facts(line: Line) -> dict[str, Any]:
    """Everything about one file, for JSON; shares as shares."""
    artifact = line.artifact
    return {
        "file": artifact.path.name,
        "format": artifact.format,
        "engine": line.engine,
        "recipe": line.how,
        "sha256": artifact.sha256,
        "size_bytes": artifact.size_bytes,
        **line.figures,
        "kept_layers": line.kept,
        "verdict": line.word,
        "why": line.why,
    }


def _row(line: Line) -> Row:
    figures = {key: 100 * value if key in _SHARES else value for key, value in line.figures.items()}
    return {
        "format": line.artifact.format,
        "how": line.how,
        "size_bytes": line.artifact.size_bytes,
        **figures,
        "kept": len(line.kept),
        "word": line.word,
        "why": line.why,
    }


def _notes(lines: Sequence[Line], told: str, more: Sequence[str]) -> list[str]:
    engines = ", ".join(dict.fromkeys(line.engine for line in lines))
    notes = [f"Judged by {told}, on {engines}."]
    if fars := {line.figures["far"] for line in lines if "far" in line.figures}:
        notes.append(
            f"TAR at FAR {', '.join(f'{far:g}' for far in fars)}, each file at its own threshold; flips are pairs that "
            "pass with the float file and not with the other, or the other way round, at the float file's threshold."
        )
    notes.append("Time: the processor's, one picture, one thread, all files of a format in turn, median of 100 rounds.")
    if any(line.engine == "mil" for line in lines):
        notes.append("Core ML has no time here: only a Mac runs it, and the interpreter checks answers, not speed.")
    if any(line.how.endswith("rescued") for line in lines):
        notes.append("Layers to rescue were chosen on pictures of the same set, which is a little kind to them.")
    return [*notes, *more]
