"""What each layer costs: a file in which it alone is quantized, beside the float file."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..report import Column, Row
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
