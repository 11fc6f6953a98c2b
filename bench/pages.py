"""One report of one run or of several, on one device or on many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from ..report import Column, Report, Row, Section
from .latency_table import agreement_section, around_section, latency_section
from .perf import Perf
from .pipeline_table import pipeline_section
from .ranking_table import ranking_section


def perf_report(perfs: Sequence[Perf], *, title: str, command: str = "", plots: bool = True) -> Report:
    """Ranking, latencies, answers, pipelines and devices, as far as there are any.

    Args:
        perfs: the runs.
        title: of the report.
        command: what was typed; empty if nobody typed anything.
        plots: whether to draw them.

    Raises:
        MissingExtra: plots are wanted and matplotlib is not installed.
    """
    perfs = _told_apart(perfs)
    sections = (
        ranking_section(perfs),
        latency_section(perfs, plots=plots),
        agreement_section(perfs),
        around_section(perfs),
        pipeline_section(perfs),
        devices_section(perfs),
    )
    shown = [section for section in sections if section.rows]
    if len(perfs) == 1:
        shown[:-1] = [_without_device(section) for section in shown[:-1]]
    return Report(title=title, command=command, sections=shown)


def _told_apart(perfs: Sequence[Perf]) -> list[Perf]:
    """The same, but that several runs on one device, or on devices of one name, are named by their time as well."""
    count, told = Counter(perf.device.name for perf in perfs), []
    for perf in perfs:
        name = f"{perf.device.name}, {perf.created}" if count[perf.device.name] > 1 else perf.device.name
        told.append(msgspec.structs.replace(perf, device=msgspec.structs.replace(perf.device, name=name)))
    return told


def _without_device(section: Section) -> Section:
    """The same without the column that says the same in every row."""
    return msgspec.structs.replace(
        section,
        columns=[c for c in section.columns if c.key != "device"],
        rows=[{key: value for key, value in row.items() if key != "device"} for row in section.rows],
    )


def devices_section(perfs: Sequence[Perf]) -> Section:
    """What each run was made on."""
    keys = ("device", "kind", "system", "machine", "cores", "created", "command", "facts")
    columns = [Column(key=key, name=key, kind="number" if key == "cores" else "text") for key in keys]
    rows: list[Row] = []
    for perf in perfs:
        device = perf.device
        facts = "; ".join(f"{name}: {fact}" for name, fact in device.facts.items())
        values = (device.name, device.kind, device.system, device.machine, device.cores or None)
        rows.append(dict(zip(keys, (*values, perf.created, perf.command, facts), strict=True)))
    return Section(title="Devices", columns=columns, rows=rows)
