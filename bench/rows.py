"""What the tables of measurements share: columns, and the cells that go into them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..report import Column, Row
from .perf import Measurement, Perf, Stage
from .ratio import Ratio

WHO = (
    Column(key="model", name="file"),
    Column(key="device", name="device"),
    Column(key="engine", name="engine"),
    Column(key="precision", name="precision"),
    Column(key="threads", name="threads", kind="number"),
)
P50 = Column(key="p50_ms", name="p50", unit="ms", kind="number", spec=".2f", bar=True)
SPREAD = (
    P50,
    Column(key="p90_ms", name="p90", unit="ms", kind="number", spec=".2f"),
    Column(key="p99_ms", name="p99", unit="ms", kind="number", spec=".2f"),
    Column(key="mean_ms", name="mean", unit="ms", kind="number", spec=".2f"),
    Column(key="runs", name="runs", kind="number"),
)
RATIO = (
    Column(key="low", name="from", kind="number", spec=".3f"),
    Column(key="high", name="to", kind="number", spec=".3f"),
)


def all_of(perfs: Sequence[Perf], stage: Stage) -> Iterator[tuple[Perf, Measurement]]:
    """Every measurement of a stage, with what it was measured on."""
    return ((perf, one) for perf in perfs for one in perf.measurements if one.stage == stage)


def who(perf: Perf, one: Measurement) -> Row:
    """The cells of ``WHO``."""
    return {
        "model": one.model,
        "device": perf.device.name,
        "engine": f"{one.engine} {one.engine_version}".strip(),
        "precision": one.precision,
        "threads": one.threads,
    }


def spread(one: Measurement) -> Row:
    """The cells of ``SPREAD``."""
    percentiles: Row = {f"p{percent}_ms": one.percentile_ms(percent) for percent in (50, 90, 99)}
    mean_ms = sum(one.times_ms) / len(one.times_ms) if one.times_ms else one.mean_ms
    return percentiles | {"mean_ms": mean_ms, "runs": len(one.times_ms) or None}


def interval_row(ratio: Ratio) -> Row:
    """A ratio and the cells of ``RATIO``; they are empty where it has no interval."""
    return {
        "ratio": ratio.value,
        "low": ratio.low if ratio.known else None,
        "high": ratio.high if ratio.known else None,
    }
