"""How error-versus-discard curves and their agreement are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..report import Column, Row, Section
from .discard import SHARES
from .quality import MOST, Agreement, Discarding

_SHOWN = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
CURVES = (
    Column(key="measure", name="measure"),
    Column(key="fmr", name="FMR", kind="number", spec=".0e"),
    Column(key="threshold", name="threshold"),
    *(Column(key=f"fnmr_{share:g}", name=f"FNMR −{share:.0%}", kind="number", spec=".4f") for share in _SHOWN),
    *(Column(key=f"normalised_{most:g}", name=f"pAUC {most:g}", kind="number", spec=".3f") for most in MOST),
    Column(key="random", name=f"random {MOST[0]:g}", kind="number", spec=".3f"),
    Column(key="oracle", name=f"oracle {MOST[0]:g}", kind="number", spec=".3f"),
    Column(key="avoided", name=f"errors avoided −{MOST[0]:.0%}", kind="number", spec=".3f"),
    Column(key="avoided_random", name="at random", kind="number", spec=".3f"),
    Column(key="avoided_oracle", name="oracle", kind="number", spec=".3f"),
    Column(key="genuine", name="genuine", kind="count"),
    Column(key="impostors", name="impostors", kind="count"),
)
AGREEMENT = (
    Column(key="a", name="measure"),
    Column(key="b", name="and"),
    Column(key="correlation", name="Spearman", kind="number", spec=".4f"),
    Column(key="low", name="from", kind="number", spec=".4f"),
    Column(key="high", name="to", kind="number", spec=".4f"),
    Column(key="pictures", name="pictures", kind="number"),
)
NOTE = (
    "FNMR after the worst genuine pairs are discarded. pAUC: area up to a share, 1 if discarding changed nothing. "
    "Errors avoided: share of all false non-matches that is among the pairs discarded."
)


def quality_sections(
    results: Sequence[Discarding], agreements: Sequence[Agreement], notes: Sequence[str] = ()
) -> list[Section]:
    """The table of the curves, and of the agreement if there is more than one measure."""
    unsupported = dict.fromkeys(result.note for result in results if result.note)
    curves = Section(
        title="Error versus discard",
        columns=CURVES,
        rows=[_row(result) for result in results],
        notes=[NOTE, *notes, *unsupported],
    )
    if not agreements:
        return [curves]
    rows: list[Row] = [asdict(one) for one in agreements]
    return [curves, Section(title="Rank correlation of quality over pictures", columns=AGREEMENT, rows=rows)]


def discarding_facts(result: Discarding) -> dict[str, Any]:
    """Everything about a curve, for JSON."""
    facts = asdict(result)
    curve = facts.pop("curve")
    return {**facts, **{key: getattr(value, "tolist", lambda v=value: v)() for key, value in curve.items()}}


def _row(result: Discarding) -> Row:
    curve = result.curve
    at = {f"fnmr_{share:g}": float(curve.fnmr[abs(SHARES - share).argmin()]) for share in _SHOWN}
    areas: Row = {f"normalised_{area.most:g}": area.normalised for area in result.areas}
    shown = ("random", "oracle", "avoided", "avoided_random", "avoided_oracle")
    controls: Row = {key: getattr(result.areas[0], key) for key in shown} if result.areas else {}
    named: Row = {"measure": result.measure, "fmr": curve.fmr, "threshold": curve.threshold}
    return {**named, **at, **areas, **controls, "genuine": result.genuine, "impostors": result.impostors}
