"""What every file takes: latency and its spread, load, memory, the pixels around it, and whether its answers hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..evaluate.plots import percentile_plot
from ..report import Column, Picture, Row, Section
from .perf import Measurement, Perf, Stage
from .rows import SPREAD, WHO, all_of, spread, who

LATENCY = (
    *WHO,
    *SPREAD,
    Column(key="load_ms", name="load", unit="ms", kind="number", spec=".1f"),
    Column(key="peak_memory_bytes", name="peak memory", kind="bytes"),
    Column(key="macs_per_s", name="MACs/s", kind="count"),
    Column(key="of_roof", name="of the roof", kind="number", spec=".0%"),
)
AROUND = (
    *WHO,
    Column(key="preprocess_ms", name="before", unit="ms", kind="number", spec=".3f"),
    Column(key="network_ms", name="network", unit="ms", kind="number", spec=".3f"),
    Column(key="postprocess_ms", name="after", unit="ms", kind="number", spec=".3f"),
)
AGREEMENT = (
    *WHO,
    Column(key="measure", name="measure"),
    Column(key="value", name="value", kind="number", spec=".5f"),
    Column(key="pictures", name="pictures", kind="number"),
    Column(key="agrees", name="verdict", kind="verdict"),
)


def latency_section(perfs: Sequence[Perf], *, plots: bool) -> Section:
    """Every file's network: latency, load and memory; plots need matplotlib."""
    found = list(all_of(perfs, "network"))
    rows = [who(perf, one) | spread(one) | _costs(one) for perf, one in found]
    notes = (
        "The roof is a float32 matrix product in numpy on as many threads, run in the same rounds; int8 may exceed it.",
        "Memory is the whole process's, Python included.",
    )
    drawn = _plots(perfs) if plots else ()
    pictures = [Picture(f"Latency of one run, {stage}", image, plot=True) for stage, image in drawn]
    return Section(title="Latency", columns=LATENCY, rows=rows, notes=notes, pictures=pictures)


def around_section(perfs: Sequence[Perf]) -> Section:
    """What our pixels cost before and after each network."""
    rows: dict[tuple[int, str, str, int], Row] = {}
    for stage in ("preprocess", "network", "postprocess"):
        for perf, one in all_of(perfs, stage):
            row = rows.setdefault((id(perf), one.model, one.engine, one.threads), who(perf, one))
            row[f"{stage}_ms"] = one.percentile_ms(50)
    shown = [row for row in rows.values() if "preprocess_ms" in row]
    note = "Medians. Before: letterbox or alignment, and the tensor. After: decoding and suppression, or normalising."
    return Section(title="Around the network", columns=AROUND, rows=shown, notes=(note,))


def agreement_section(perfs: Sequence[Perf]) -> Section:
    """How near the answers come to the right ones, for what was compared."""
    rows: list[Row] = [
        who(perf, one)
        | {
            "measure": one.parity.measure,
            "value": one.parity.value,
            "pictures": one.parity.pictures,
            "agrees": one.parity.passed,
        }
        for perf, one in all_of(perfs, "network")
        if one.parity
    ]
    notes = (
        "The lowest cosine of two embeddings, or IoU of two boxes of one face; each face must be seen by both.",
        "On a host the right answers are those of the same network's float32 file, where that was measured as well.",
    )
    return Section(title="Answers", columns=AGREEMENT, rows=rows, notes=notes)


def _costs(one: Measurement) -> Row:
    median = one.percentile_ms(50)
    macs_per_s = one.macs / median * 1e3 if one.macs and median else None
    return {
        "load_ms": one.load_ms,
        "peak_memory_bytes": one.peak_memory_bytes,
        "macs_per_s": macs_per_s,
        "of_roof": macs_per_s / one.roof_macs_per_s if macs_per_s and one.roof_macs_per_s else None,
    }


def _plots(perfs: Sequence[Perf]) -> Iterator[tuple[Stage, bytes]]:
    for stage in ("network", "pipeline"):
        shown = [(perf, one) for perf, one in all_of(perfs, stage) if one.percentile_ms(50)]
        if not shown:
            continue
        names = [_name(perf, one, several=len(perfs) > 1) for perf, one in shown]
        percentiles = [[one.percentile_ms(percent) or np.nan for percent in (50, 90, 99)] for _, one in shown]
        yield stage, percentile_plot(names, np.array(percentiles), x="latency (ms)")


def _name(perf: Perf, one: Measurement, *, several: bool) -> str:
    files = one.model.replace(" + ", " +\n")
    engine = one.engine + (f", {one.threads} threads" if one.threads != 1 else "")
    return "\n".join([perf.device.name, files, engine] if several else [files, engine])
