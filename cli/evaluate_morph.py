"""`evaluate morph`: how many morphed pictures pass for everyone that went into them?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .evaluate_output import finish, out
from .output import FILE, as_json

if TYPE_CHECKING:
    from ..evaluate.bootstrap import Interval
    from ..evaluate.morphing import MorphRate, Morphs
    from ..report import Section


@click.command()
@click.argument("data", type=FILE)
@click.option(
    "--threshold", "thresholds", type=float, multiple=True, required=True, help="Score above it passes. Repeatable."
)
@click.option(
    "--fnmr", "rates", type=click.FloatRange(0, 1), multiple=True, help="At each threshold, for RMMR. Repeatable."
)
@click.option("--strict", is_flag=True, help="Stop at a bad row instead of naming it.")
@out
@as_json
def morph(
    data: Path, thresholds: Sequence[float], rates: Sequence[float], strict: bool, out: Path | None, as_json: bool
) -> None:
    """Measure MMPMR on DATA, a CSV morph;subject;sample;score: scores of morphs against those in them.

    MinMax lets each subject's best sample count, ProdAvg the chance that a random one passes. With --fnmr, once for
    each --threshold and in their order, also RMMR = 1 + MMPMR - (1 - FNMR).
    """
    import msgspec

    from ..evaluate.morphing import morph_rate, read_morphs

    if rates and len(rates) != len(thresholds):
        raise click.UsageError(f"{len(rates)} --fnmr for {len(thresholds)} --threshold: give one for each, or none")
    if out:
        from ..evaluate.plots import require_matplotlib

        require_matplotlib()
    morphs = read_morphs(data, strict=strict)
    fnmrs = rates or (None,) * len(thresholds)
    found = [morph_rate(morphs, t, fnmr=fnmr) for t, fnmr in zip(thresholds, fnmrs, strict=True)]
    facts = {"data": morphs.name, "problems": morphs.problems, "rates": msgspec.to_builtins(found)}
    title = f"Morphs of {morphs.name}"
    finish(title, [_table(morphs, found)], facts, [], out=out, as_json=as_json, drawn=lambda: [_curves(morphs)])


def _table(morphs: Morphs, found: Sequence[MorphRate]) -> Section:
    from ..report import Column, Section

    percent = {"unit": "%", "kind": "number", "spec": ".2f"}
    columns = [
        Column(key="threshold", name="threshold", kind="number", spec=".4f"),
        Column(key="morphs", name="morphs", kind="number"),
        Column(key="min_max", name="MinMax MMPMR", **percent),  # type: ignore[arg-type]
        Column(key="min_max_95", name="95 %"),
        Column(key="prod_avg", name="ProdAvg MMPMR", **percent),  # type: ignore[arg-type]
        Column(key="prod_avg_95", name="95 %"),
        Column(key="rmmr_min_max", name="MinMax RMMR", **percent),  # type: ignore[arg-type]
        Column(key="rmmr_prod_avg", name="ProdAvg RMMR", **percent),  # type: ignore[arg-type]
    ]
    rows = [
        {
            "threshold": rate.threshold,
            "morphs": rate.morphs,
            "min_max": 100 * rate.min_max,
            "min_max_95": _between(rate.min_max_interval),
            "prod_avg": 100 * rate.prod_avg,
            "prod_avg_95": _between(rate.prod_avg_interval),
            "rmmr_min_max": None if rate.rmmr_min_max is None else 100 * rate.rmmr_min_max,
            "rmmr_prod_avg": None if rate.rmmr_prod_avg is None else 100 * rate.rmmr_prod_avg,
        }
        for rate in found
    ]
    notes = ["Intervals are over morphs, and too narrow where morphs share subjects."]
    if morphs.single:
        notes.append("Every subject has one sample, so both variants are the plain MMPMR.")
    return Section(
        title=f"Morphs of {morphs.name}", columns=columns, rows=rows, notes=[*notes, *_left_out(morphs.problems)]
    )


def _left_out(problems: Sequence[str]) -> list[str]:
    if not problems:
        return []
    more = f"; and {len(problems) - 10} more, see --json" if len(problems) > 10 else ""
    return [f"Left out: {'; '.join(problems[:10])}{more}."]


def _between(interval: Interval | None) -> str | None:
    return interval and f"{100 * interval.low:.2f} to {100 * interval.high:.2f}"


def _curves(morphs: Morphs) -> Section:
    import numpy as np

    from ..evaluate.morphing import passing
    from ..evaluate.plots import Curve, curve_plot
    from ..report import Picture, Section

    scores = np.concatenate([samples for morph in morphs.scores.values() for samples in morph.values()])
    thresholds = np.linspace(scores.min(), scores.max(), 200)
    both = np.array([[shares.mean() for shares in passing(morphs, t)] for t in thresholds]).T
    curves = [Curve(name, thresholds, rate) for name, rate in zip(("MinMax", "ProdAvg"), both, strict=True)]
    plot = curve_plot(curves, x="threshold", y="MMPMR", y_range=(0.0, 1.02))
    return Section(title="Curves", pictures=[Picture("MMPMR by threshold", plot, plot=True)])
