"""Two runs beside each other: what became faster, what slower, and of what the noise leaves no telling."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from statistics import median

from ..errors import InvalidData
from ..report import Column, Row, Section
from .perf import Measurement, Perf, Stage
from .ratio import Ratio, ratio_of

Key = tuple[str, Stage, str, str, int]

COLUMNS = (
    Column(key="model", name="file"),
    Column(key="stage", name="stage"),
    Column(key="engine", name="engine"),
    Column(key="precision", name="precision"),
    Column(key="threads", name="threads", kind="number"),
    Column(key="before_ms", name="before", unit="ms", kind="number", spec=".2f"),
    Column(key="after_ms", name="after", unit="ms", kind="number", spec=".2f"),
    Column(key="ratio", name="times as long", kind="number", spec=".3f"),
    Column(key="low", name="from", kind="number", spec=".3f"),
    Column(key="high", name="to", kind="number", spec=".3f"),
    Column(key="change", name="after is"),
    Column(key="within", name="verdict", kind="verdict"),
)


@dataclass(frozen=True)
class Change:
    """One file, stage, engine, precision and number of threads in both runs."""

    before: Measurement
    after: Measurement
    ratio: Ratio

    def slower_than(self, limit: float) -> bool:
        """Whether it takes at least ``limit`` times as long and the noise does not explain why it is slower."""
        return self.ratio.verdict == "slower" and self.ratio.value >= limit


@dataclass(frozen=True)
class Changes:
    """All of them, and what a reader must know beside them.

    Attributes:
        changes: in the order of the second run.
        notes: sentences: what is in one run only, other devices, what the machine's own speed did.
    """

    changes: tuple[Change, ...]
    notes: tuple[str, ...]


def changes_between(before: Perf, after: Perf, stages: Collection[Stage] = ("network", "pipeline")) -> Changes:
    """Match the measurements of two runs and compare each pair.

    Two runs met the machine at two times. Where both measured its roof, what that changed by is added to every
    interval, for it says how much of a difference is the machine's.

    Raises:
        InvalidData: they have no measurement in common, or one of them has two of the same.
    """
    one, other = _by_key(before, stages), _by_key(after, stages)
    common = [key for key in other if key in one]
    if not common:
        raise InvalidData(
            f"nothing in common: {_names(one)} before, {_names(other)} after; they are matched by file name, stage, "
            "engine, precision and threads"
        )
    found = [(key, ratio_of(one[key], other[key], paired=False)) for key in common]
    changes = [Change(one[k], other[k], r.widened(_slowdown(before, after, k[4]) or 1.0)) for k, r in found if r]
    notes = [f"Only before: {_names(one.keys() - other.keys())}."] if one.keys() - other.keys() else []
    silent = [key for key, ratio in found if ratio is None]
    notes += [f"Without a median, so not compared: {_names(silent)}."] if silent else []
    notes += [f"Only after: {_names(other.keys() - one.keys())}."] if other.keys() - one.keys() else []
    return Changes(tuple(changes), (*notes, *_devices(before, after)))


def changes_section(changes: Changes, limit: float | None = None) -> Section:
    """The table; with a limit, whether each keeps to it."""
    rows = [_row(change, limit) for change in changes.changes]
    columns = COLUMNS if limit else COLUMNS[:-1]
    return Section(title="Before and after", columns=columns, rows=rows, notes=changes.notes)


def _row(change: Change, limit: float | None) -> Row:
    after, ratio = change.after, change.ratio
    row: Row = {
        "model": after.model,
        "stage": after.stage,
        "engine": after.engine,
        "precision": after.precision,
        "threads": after.threads,
        "before_ms": change.before.percentile_ms(50),
        "after_ms": after.percentile_ms(50),
        "ratio": ratio.value,
        "low": ratio.low if ratio.known else None,
        "high": ratio.high if ratio.known else None,
        "change": ratio.verdict,
    }
    return row | ({"within": not change.slower_than(limit)} if limit else {})


def _by_key(perf: Perf, stages: Collection[Stage]) -> dict[Key, Measurement]:
    found: dict[Key, Measurement] = {}
    for one in perf.measurements:
        key = (one.model, one.stage, one.engine, one.precision, one.threads)
        if key in found:
            raise InvalidData(f"{one.model} on {one.engine} is measured twice in one run, so it cannot be matched")
        if one.stage in stages:
            found[key] = one
    return found


def _names(keys: Collection[Key]) -> str:
    return ", ".join(sorted({f"{model} on {engine}" for model, _, engine, _, _ in keys})) or "nothing"


def _slowdown(before: Perf, after: Perf, threads: int) -> float | None:
    """How many times as long the matrix product took in the second run; None if not known, or on another device."""
    one, other = _roof(before, threads), _roof(after, threads)
    return one / other if one and other and _device(before) == _device(after) else None


def _device(perf: Perf) -> tuple[str, str]:
    return perf.device.name, perf.device.system


def _roof(perf: Perf, threads: int) -> float | None:
    found = [one.roof_macs_per_s for one in perf.measurements if one.threads == threads and one.roof_macs_per_s]
    return median(found) if found else None


def _devices(before: Perf, after: Perf) -> list[str]:
    if _device(before) != _device(after):
        one, other = (f"{name} ({system})" for name, system in (_device(before), _device(after)))
        return [f"Different devices: {one} before, {other} after."]
    notes = []
    for threads in sorted({one.threads for one in after.measurements}):
        if slowdown := _slowdown(before, after, threads):
            took = f"The machine's own matrix product took {slowdown:.3f} times as long (threads: {threads})"
            notes.append(f"{took}; by so much every interval is wider, either way.")
    return notes
