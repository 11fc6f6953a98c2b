"""How attacks and their transfer are shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..report import Column, Picture, Row, Section
from .transfer import Transfer

_COLUMNS = (
    Column(key="attack", name="attack"),
    Column(key="goal", name="goal"),
    Column(key="change", name="one change for"),
    Column(key="iterations", name="steps", kind="number"),
    Column(key="file", name="file"),
    Column(key="engine", name="engine"),
    Column(key="threshold", name="threshold", kind="number", spec=".4f"),
    Column(key="eligible", name="right before", kind="number"),
    Column(key="successes", name="wrong after", kind="number"),
    Column(key="rate", name="success", unit="%", kind="number", spec=".1f", bar=True),
    Column(key="rate_95", name="95 %"),
    Column(key="before", name="cosine before", kind="number", spec=".3f"),
    Column(key="after", name="after", kind="number", spec=".3f"),
)


def transfer_section(found: Sequence[Transfer], notes: Sequence[str] = ()) -> Section:
    """A row for each attack and file."""
    said = "Each file judges the same pictures, made on the torch network; success is counted among pairs right before."
    return Section(title="Attacks", columns=_COLUMNS, rows=[_row(each) for each in found], notes=[said, *notes])


def transfer_plot(found: Sequence[Transfer]) -> Section:
    """Success with its interval, a row for each attack and file.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    from .plots import interval_plot

    names = [f"{each.kind}, {each.goal}{', universal' * each.universal}: {each.engine}, {each.file}" for each in found]
    ends = [(each.rate, *(each.rate_interval or (None, None))) for each in found]
    plot = interval_plot(names, *(100 * np.array(ends, float).T), x="attacks that succeed (%)")
    return Section(title="Success of attacks", pictures=[Picture("Attacks that succeed", plot, plot=True)])


def _row(found: Transfer) -> Row:
    around = found.rate_interval
    return {
        "attack": found.kind,
        "goal": found.goal,
        "change": f"{found.pairs} pictures" if found.universal else "each picture",
        "iterations": found.iterations,
        "file": found.file,
        "engine": found.engine,
        "threshold": found.threshold,
        "eligible": found.eligible,
        "successes": found.successes,
        "rate": None if found.rate is None else 100 * found.rate,
        "rate_95": around and f"{100 * around.low:.1f} to {100 * around.high:.1f}",
        "before": found.before,
        "after": found.after,
    }
