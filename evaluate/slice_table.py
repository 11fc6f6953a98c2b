"""How slices are shown: tables, plain facts for JSON, and intervals as a plot for a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from ..report import Column, Picture, Row, Section
from ..runtime.embedder import Embedder
from .bootstrap import Interval
from .slice_run import FileSlices
from .slices import Slices

_PERCENT: dict[str, Any] = {"unit": "%", "kind": "number", "spec": ".3f"}
_WHERE = (Column(key="slice", name="slice"), Column(key="file", name="file"))
_RATES = (
    *_WHERE,
    Column(key="pictures", name="pictures", kind="number"),
    Column(key="genuine", name="genuine pairs", kind="number"),
    Column(key="impostors", name="impostor pairs", kind="number"),
    Column(key="fnmr", name="FNMR", **_PERCENT),
    Column(key="fnmr_95", name="95 %"),
    Column(key="fmr", name="FMR", **_PERCENT),
    Column(key="fmr_95", name="95 %"),
    Column(key="rank", name="mean rank", kind="number", spec=".2f"),
)
_GAPS = (
    Column(key="file", name="file"),
    Column(key="rate", name="rate"),
    Column(key="worst", name="worst"),
    Column(key="best", name="best"),
    Column(key="ratio", name="worst / best"),
    Column(key="ratio_95", name="95 %"),
    Column(key="discrepancy", name="fairness discrepancy rate", kind="number", spec=".5f"),
    Column(key="rank_disparity", name="rank disparity", kind="number", spec=".2f"),
)
_RATE_CHANGES = (
    Column(key="fnmr", name="FNMR", unit="%", kind="number", spec="+.3f"),
    Column(key="fnmr_95", name="95 %"),
    Column(key="fmr", name="FMR", unit="%", kind="number", spec="+.4f"),
    Column(key="fmr_95", name="95 %"),
)
_TURNS = (
    Column(key="cosine", name="cosine", kind="number", spec=".6f"),
    Column(key="cosine_95", name="95 %"),
    Column(key="cosine_p1", name="1st percentile", kind="number", spec=".6f"),
    Column(key="cosine_min", name="least", kind="number", spec=".6f"),
    Column(key="pictures", name="pictures", kind="number"),
)


def slice_facts(embedders: Sequence[Embedder], slices: Slices, found: Sequence[FileSlices]) -> dict[str, Any]:
    """Everything that was found, for JSON."""
    files = [
        {"file": e.artifact.path.name, "sha256": e.artifact.sha256, **msgspec.to_builtins(f)}
        for e, f in zip(embedders, found, strict=True)
    ]
    return {"column": slices.column, "names": slices.names, "files": files}


def slice_sections(names: Sequence[str], slices: Slices, found: Sequence[FileSlices]) -> list[Section]:
    """Rates and gaps of every file, and what changes from the first on; ``names`` are the files'."""
    sections = []
    files = list(zip(names, found, strict=True))
    if found[0].slices:
        rates = [row for s in range(len(slices.names)) for name, f in files if (row := _rate_row(name, f, s))]
        title = f"By {slices.column}, at the threshold of FAR {found[0].far:g} over all"
        sections.append(Section(title=title, columns=_RATES, rows=rates, notes=_notes(files)))
        gaps = [row for name, f in files for row in _gap_rows(name, f)]
        sections.append(Section(title=f"Slices by {slices.column} apart", columns=_GAPS, rows=gaps))
    if len(files) > 1:
        sections += _change_section(slices, files)
    return sections


def _change_section(slices: Slices, files: Sequence[tuple[str, FileSlices]]) -> list[Section]:
    others = files[1:]
    rows = [row for s in range(len(slices.names)) for name, f in others if (row := _change_row(name, f, s))]
    rates, turns = (any(getattr(f, part) for _, f in others) for part in ("changes", "turns"))
    if not rows:
        return []
    notes = ["Rates less those of the first, each file at its own threshold."] if rates else []
    notes += (
        ["Cosines to the first file's embeddings; intervals are over identities, or else pictures."] if turns else []
    )
    empty = dict.fromkeys(str(row["slice"]) for row in rows if row.get("pictures") == 0)
    notes += [f"{name}: no picture that both files embedded." for name in empty]
    columns = (*_WHERE, *(_RATE_CHANGES if rates else ()), *(_TURNS if turns else ()))
    title = f"By {slices.column}, against {files[0][0]}"
    return [Section(title=title, columns=columns, rows=rows, notes=notes)]


def slice_plots(names: Sequence[str], slices: Slices, found: Sequence[FileSlices]) -> list[Section]:
    """FNMR and FMR with their intervals, a row for each slice and file.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    from .plots import interval_plot

    if not found[0].slices:
        return []
    pictures = []
    for rate in ("fnmr", "fmr"):
        rows = [
            (f"{f.slices[s].name}, {n}", f.slices[s]) for s in range(len(slices.names)) for n, f in _zip(names, found)
        ]
        values = np.array(
            [[getattr(r, rate), *(getattr(r, f"{rate}_interval") or (None, None))] for _, r in rows], float
        )
        plot = interval_plot([n for n, _ in rows], *(100 * values.T), x=f"{rate.upper()} (%)")
        pictures.append(Picture(f"{rate.upper()} by {slices.column}", plot, plot=True))
    return [Section(title=f"Rates by {slices.column}", pictures=pictures)]


def _zip(names: Sequence[str], found: Sequence[FileSlices]) -> list[tuple[str, FileSlices]]:
    return list(zip(names, found, strict=True))


def _notes(files: Sequence[tuple[str, FileSlices]]) -> list[str]:
    first = files[0][1]
    thresholds = ", ".join(f"{f.threshold:.4f} ({name})" for name, f in files)
    notes = [f"A pair is in a slice if both its pictures are. Common threshold: cosine {thresholds}."]
    if any(first.across):
        notes.append(
            f"{first.across[0]:,} genuine and {first.across[1]:,} impostor pairs have pictures in two slices: in none."
        )
    return [*notes, *dict.fromkeys(f"{note}." for _, f in files for s in f.slices for note in s.notes)]


def _rate_row(name: str, found: FileSlices, s: int) -> Row:
    rate = found.slices[s]
    return {
        "slice": rate.name,
        "file": name,
        "pictures": rate.pictures,
        "genuine": rate.genuine,
        "impostors": rate.impostors,
        "fnmr": _percent(rate.fnmr),
        "fnmr_95": _between(rate.fnmr_interval, ".3f", 100),
        "fmr": _percent(rate.fmr),
        "fmr_95": _between(rate.fmr_interval, ".4f", 100),
        "rank": found.ranks[s] if found.ranks else None,
    }


def _gap_rows(name: str, found: FileSlices) -> list[Row]:
    rows: list[Row] = [
        {
            "file": name,
            "rate": gap.rate.upper(),
            "worst": gap.worst,
            "best": gap.best,
            "ratio": f"{'at least ' if gap.least else ''}{gap.ratio:.2f}",
            "ratio_95": _between(gap.ratio_interval, ".2f"),
        }
        for gap in found.gaps
    ]
    return [*rows, {"file": name, "discrepancy": found.discrepancy, "rank_disparity": found.rank_disparity}]


def _change_row(name: str, found: FileSlices, s: int) -> Row | None:
    row: Row = {}
    if found.changes:
        change = found.changes[s]
        row = {"slice": change.name, "fnmr": _percent(change.fnmr), "fmr": _percent(change.fmr)}
        row |= {"fnmr_95": _between(change.fnmr_interval, "+.3f", 100)}
        row |= {"fmr_95": _between(change.fmr_interval, "+.4f", 100)}
    if found.turns:
        turn = found.turns[s]
        row |= {"slice": turn.name, "pictures": turn.pictures, "cosine": turn.mean, "cosine_p1": turn.p1}
        row |= {"cosine_min": turn.min, "cosine_95": _between(turn.mean_interval, ".6f")}
    return {"file": name, **row} if row else None


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _between(interval: Interval | None, spec: str, scale: float = 1) -> str | None:
    return interval and f"{scale * interval.low:{spec}} to {scale * interval.high:{spec}}"
