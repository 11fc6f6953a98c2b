"""How robustness is shown: a row for each file, corruption and strength, and a plot for each corruption."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from ..report import Column, Picture, Row, Section
from ..runtime.embedder import Embedder
from .bootstrap import Interval
from .corruptions import CORRUPTIONS
from .robustness import Robustness, Spoiled

_COLUMNS = (
    Column(key="kind", name="corruption"),
    Column(key="strength", name="strength", kind="number"),
    Column(key="value", name="which is"),
    Column(key="file", name="file"),
    Column(key="tar", name="TAR", kind="number", spec=".4f", bar=True),
    Column(key="tar_95", name="95 %"),
    Column(key="far", name="FAR", kind="number", spec=".1e"),
    Column(key="failed", name="failed", kind="number"),
)


def robustness_facts(embedders: Sequence[Embedder], found: Sequence[Robustness]) -> list[dict[str, Any]]:
    """Everything that was measured, for JSON."""
    return [
        {"file": e.artifact.path.name, "engine": e.backend, "sha256": e.artifact.sha256, **msgspec.to_builtins(f)}
        for e, f in zip(embedders, found, strict=True)
    ]


def robustness_section(names: Sequence[str], found: Sequence[Robustness], more: Sequence[str] = ()) -> Section:
    """The table of one or several files; ``names`` are the files', ``more`` further notes to begin with."""
    first = found[0]
    thresholds = ", ".join(f"{f.threshold:.4f} ({name})" for name, f in zip(names, found, strict=True))
    notes = [
        *more,
        f"The first picture of each of {first.genuine:,} genuine and {first.impostors:,} impostor pairs is clean, the "
        f"second spoiled. The threshold is that of FAR {first.far:g} on clean pairs: cosine {thresholds}.",
        *dict.fromkeys(problem for f in found for problem in f.problems),
    ]
    rows = [
        _row(name, each) for same in zip(*(f.results for f in found), strict=True) for name, each in _by(names, same)
    ]
    return Section(title="Robustness", columns=_COLUMNS, rows=rows, notes=notes)


def robustness_plots(names: Sequence[str], found: Sequence[Robustness]) -> Section:
    """TAR by strength, a plot for each corruption and a curve for each file.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    from .plots import Curve, curve_plot

    pictures = []
    for kind in dict.fromkeys(each.kind for each in found[0].results if each.strength):
        curves = []
        for name, f in zip(names, found, strict=True):
            points = [each for each in f.results if each.kind in ("clean", kind)]
            x, y = np.array([each.strength for each in points], float), np.array([each.tar for each in points])
            low, high = np.array([each.tar_interval or (np.nan, np.nan) for each in points], float).T
            curves.append(Curve(name, x, y, low, high))
        options: dict[str, Any] = {"x_range": (0.0, 5.0), "y_range": (0.0, 1.0), "marks": True}
        plot = curve_plot(curves, x=f"strength of {kind}", y=f"TAR at the clean FAR {found[0].far:g}", **options)
        pictures.append(Picture(f"{kind} ({CORRUPTIONS[kind].what})", plot, plot=True))
    return Section(title="TAR by strength", pictures=pictures)


def _by(names: Sequence[str], found: Sequence[Spoiled]) -> list[tuple[str, Spoiled]]:
    return list(zip(names, found, strict=True))


def _row(name: str, found: Spoiled) -> Row:
    value = None if found.value is None else f"{CORRUPTIONS[found.kind].what} {found.value:g}"
    return {
        "kind": found.kind,
        "strength": found.strength,
        "value": value,
        "file": name,
        "tar": found.tar,
        "tar_95": _between(found.tar_interval),
        "far": found.far,
        "failed": found.failed,
    }


def _between(interval: Interval | None) -> str | None:
    return interval and f"{interval.low:.4f} to {interval.high:.4f}"
