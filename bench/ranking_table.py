"""Which file of a network is faster, as far as the noise lets it be told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ..report import Column, Row, Section
from .perf import Measurement, Perf
from .ratio import ranks, ratio_of
from .rows import P50, RATIO, WHO, interval_row, who

RANKING = (
    Column(key="network", name="network"),
    Column(key="place", name="place", kind="number"),
    *WHO,
    P50,
    Column(key="ratio", name="times as long", kind="number", spec=".3f"),
    *RATIO,
    Column(key="told", name="beside the first"),
)


def ranking_section(perfs: Sequence[Perf]) -> Section:
    """Files of one network in the order of their medians, with a place that counts only what the noise lets be told."""
    rows: list[Row] = []
    for perf in perfs:
        groups: dict[tuple[str, int, int], list[Measurement]] = defaultdict(list)
        for one in perf.measurements:
            if one.stage == "network" and one.network and one.rounds:
                groups[one.network, one.threads, one.rounds].append(one)
        for group in groups.values():
            rows += _ranked(perf, sorted(group, key=lambda one: one.percentile_ms(50) or 0.0))
    note = (
        "Ratios of medians with 95 % intervals, from runs side by side. A place is one more than the number of files "
        "that are faster beyond the noise."
    )
    return Section(title="Which is faster?", columns=RANKING, rows=rows, notes=(note,))


def _ranked(perf: Perf, group: Sequence[Measurement]) -> list[Row]:
    if len(group) < 2:
        return []
    rows: list[Row] = []
    for place, one in zip(ranks(group), group, strict=True):
        ratio = ratio_of(group[0], one, paired=True) if one is not group[0] else None
        row = {"network": one.network, "place": place, **who(perf, one), "p50_ms": one.percentile_ms(50)}
        rows.append(row | (interval_row(ratio) | {"told": ratio.verdict} if ratio else {"told": "the first"}))
    return rows
