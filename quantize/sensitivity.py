"""What each layer costs: a file in which it alone is quantized, beside the float file."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec
import numpy as np

from ..evaluate.plots import Curve, curve_plot
from ..report import Column, Picture, Row, Section
from .fidelity import Fidelity
from .job import Job


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """One layer, quantized alone.

    Attributes:
        layer: its name.
        kind: type of its operation.
        elements: number of its weights.
        fidelity: of the file in which only this layer is quantized.
    """

    layer: str
    kind: str
    elements: int
    fidelity: Fidelity


def measure_costs(job: Job, folder: Path) -> list[Cost]:
    """Every layer that the recipe quantizes, the dearest first.

    Args:
        job: the file, the recipe, and the pictures.
        folder: for the files that are made on the way.
    """
    chosen, costs = job.chosen(), []
    for done, layer in enumerate(chosen, 1):
        job.progress(f"what {layer.name} costs ({done} of {len(chosen)})")
        path = folder / f"alone{job.parent.path.suffix}"
        found = job.judge.compare(job.build([layer], path))
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        costs.append(Cost(layer=layer.name, kind=layer.kind, elements=layer.elements, fidelity=found))
    return sorted(costs, key=lambda cost: -cost.fidelity.loss)


def cost_columns(costs: Sequence[Cost]) -> list[Column]:
    """The columns of the table of costs, with the figures of the task."""
    columns = [Column(key="layer", name="layer"), Column(key="kind", name="kind")]
    columns += [Column(key="elements", name="weights", kind="number")]
    figures = costs[0].fidelity.figures if costs else ()
    return columns + [Column(key=name, name=name, kind="number", spec=".5f") for name in figures]


def cost_row(cost: Cost) -> Row:
    """One layer's row."""
    return {"layer": cost.layer, "kind": cost.kind, "elements": cost.elements, **cost.fidelity.figures}


def cost_section(costs: Sequence[Cost], kept: Collection[str] = ()) -> Section:
    """Every layer's cost as a table, and as a plot: the dearest first, and what those that stay in float would cost.

    Args:
        costs: the dearest first, as :func:`measure_costs` gives them.
        kept: layers that stayed in float.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    title = "What each layer costs, quantized alone"
    if not costs:
        return Section(title=title, notes=["The recipe quantizes no layer."])
    places, losses = np.arange(1.0, len(costs) + 1), np.array([max(cost.fidelity.loss, _LEAST) for cost in costs])
    left = np.array([cost.layer in kept for cost in costs])
    curves = [Curve(f"quantized ({(~left).sum()} layers)", places, np.where(left, np.nan, losses))]
    if left.any():
        curves.append(Curve(f"kept in float ({left.sum()})", places, np.where(left, losses, np.nan)))
    loss = "missed faces + 1 - box IoU" if "box_iou" in costs[0].fidelity.figures else "1 - cosine"
    plot = curve_plot(curves, x="layer, the dearest first", y=loss, log_y=True, marks=True)
    dearest = ", ".join(cost.layer for cost in costs[:5])
    note = f"Judged on {costs[0].fidelity.pictures} pictures. The dearest: {dearest}."
    pictures = [Picture("Cost of each layer", plot, True)]
    return Section(
        title=title, columns=cost_columns(costs), rows=[cost_row(c) for c in costs], notes=[note], pictures=pictures
    )


#: A cost of nothing has no place on a logarithmic axis.
_LEAST = 1e-7
