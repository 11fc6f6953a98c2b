"""How the results of detection are shown: a section each for precision, sizes, operation and landmarks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ...report import Column, Row, Section
from .protocol import DetectionResult

_FILE = (Column(key="file", name="file"), Column(key="regime", name="test size"))
_PRECISION = (
    Column(key="subset", name="faces of"),
    Column(key="ap", name="AP", kind="number", spec=".4f"),
    Column(key="low", name="from", kind="number", spec=".4f"),
    Column(key="high", name="to", kind="number", spec=".4f"),
    Column(key="faces", name="faces", kind="number"),
    Column(key="pictures", name="pictures", kind="number"),
    Column(key="method", name="method"),
)
_SIZES = (
    Column(key="pixels", name="in pixels of"),
    Column(key="side", name="side of the face", unit="px"),
    Column(key="faces", name="faces", kind="number"),
    Column(key="recall", name="recall", kind="number", spec=".3f"),
    Column(key="recall_at_all", name="at any score", kind="number", spec=".3f"),
)
_OPERATION = (
    Column(key="threshold", name="score ≥", kind="number", spec=".2f"),
    Column(key="faces", name="faces", kind="number"),
    Column(key="recall", name="recall", kind="number", spec=".3f"),
    Column(key="precision", name="precision", kind="number", spec=".3f"),
    Column(key="missed", name="missed", kind="number"),
    Column(key="false", name="false", kind="number"),
    Column(key="duplicates", name="duplicates", kind="number"),
    Column(key="pictures_per_s", name="pictures/s", kind="number", spec=".1f"),
)
_LANDMARKS = (
    Column(key="faces", name="faces", kind="number"),
    Column(key="by_eyes", name="NME by eyes", kind="number", spec=".4f"),
    Column(key="median_by_eyes", name="median", kind="number", spec=".4f"),
    Column(key="by_box", name="NME by √area", kind="number", spec=".4f"),
    Column(key="median_by_box", name="median", kind="number", spec=".4f"),
)
ONE_REGIME = "Figures may only be compared within one test size."
INTERVALS = "The 95 % intervals are for other pictures of the same kind: pictures are drawn again 200 times."


def detection_sections(results: Sequence[DetectionResult]) -> list[Section]:
    """The tables of one or several detectors on one data set."""
    problems = list(dict.fromkeys(problem for result in results for problem in result.problems))
    left_out = [f"{len(problems)} left out: {'; '.join(problems[:5])}{'; …' if len(problems) > 5 else ''}"]
    notes = [ONE_REGIME, INTERVALS, *results[0].notes, *(left_out if problems else [])]
    sections = [
        _section(f"Average precision on {results[0].data}", _PRECISION, _rows(results, "precisions"), notes),
        _section("At the contract's threshold", _OPERATION, [_operation(result) for result in results]),
        _section("Recall by size, at that threshold", _SIZES, _rows(results, "sizes")),
    ]
    landmarks = [{**_named(r), **asdict(r.landmarks)} for r in results if r.landmarks]
    return [*sections, _section("Landmarks of the faces found", _LANDMARKS, landmarks)] if landmarks else sections


def detection_facts(result: DetectionResult) -> dict[str, Any]:
    """Everything that was found, for JSON."""
    facts = asdict(result)
    facts.pop("artifact")
    sizes = [_side(row) for row in facts.pop("sizes")]
    return {
        **_named(result),
        "sha256": result.artifact.sha256,
        **facts,
        "operation": _operation(result),
        "sizes": sizes,
    }


def _section(title: str, columns: tuple[Column, ...], rows: Sequence[Row], notes: Sequence[str] = ()) -> Section:
    wanted = [column.key for column in (*_FILE, *columns)]
    return Section(
        title=title,
        columns=(*_FILE, *columns),
        rows=[{key: row.get(key) for key in wanted} for row in rows],
        notes=notes,
    )


def _rows(results: Sequence[DetectionResult], part: str) -> list[Row]:
    rows = [{**_named(result), **asdict(one)} for result in results for one in getattr(result, part)]
    return [_side(row) for row in rows] if part == "sizes" else rows


def _side(row: Row) -> Row:
    """A row of sizes with its range in words, and shares instead of counts."""
    low, high, faces = (row[key] for key in ("from_px", "to_px", "faces"))
    side = f"≥ {low:g}" if high == math.inf else f"{low:g}–{high:g}"
    shares = {"recall": row["found"] / faces, "recall_at_all": row["found_at_all"] / faces}  # type: ignore[operator]
    return {**row, "side": side, **shares}


def _operation(result: DetectionResult) -> Row:
    what = result.operation
    derived = {"missed": what.missed, "precision": what.precision, "recall": what.recall}
    return {**_named(result), **asdict(what), **derived, "pictures_per_s": result.pictures_per_s}


def _named(result: DetectionResult) -> Row:
    return {"file": result.artifact.path.name, "regime": result.regime}
