"""How a quantized file is shown: what it saves, and how nearly it answers as its parent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ..report import Column, Row, Section
from .fidelity import FIGURES
from .pipeline import Quantized


def columns_for(task: str, figures: Mapping[str, float]) -> list[Column]:
    """The columns of one task's table; those of decisions only where they were measured."""
    columns = [
        Column(key="file", name="file"),
        Column(key="recipe", name="recipe"),
        Column(key="engine", name="engine"),
    ]
    columns += [Column(key="size_bytes", name="size", kind="bytes")]
    columns += [Column(key="size_ratio", name="of float", kind="number", spec=".2f")]
    columns += [Column(key="quantized", name="layers in", kind="number")]
    columns += [Column(key="kept", name="layers kept", kind="number")]
    shown = [figure for figure in (*FIGURES[task], "tar_drop", "flips") if figure in figures]
    return columns + [Column(key=figure, name=figure, kind="number", spec=".5f") for figure in shown]


def quantized_section(made: Quantized, notes: Sequence[str] = ()) -> Section:
    """One file's row, with what was kept in float, and what it was before a rescue."""
    columns, row = columns_for(made.parent.contract.task_name, made.fidelity.figures), quantized_row(made)
    told = []
    if made.rescue and made.rescue.kept:
        figures = ", ".join(f"{name} {value:.5f}" for name, value in made.rescue.before.figures.items())
        told.append(f"before {len(made.rescue.kept)} layers were kept: {figures}")
    if made.kept:
        told.append(f"kept in float: {', '.join(made.kept)}")
    shown = {column.key: row.get(column.key) for column in columns}
    title = f"Quantized from {made.parent.path.name}"
    return Section(title=title, columns=columns, rows=[shown], notes=[*told, *notes])


def quantized_row(one: Quantized) -> Row:
    """A row of numbers; JSON shows all of them, the table those that have a column."""
    contract = one.artifact.contract
    how = contract.quantization
    assert how is not msgspec.UNSET
    return {
        "file": one.artifact.path.name,
        "format": one.artifact.format,
        "precision": contract.precision,
        "recipe": how.recipe,
        "engine": one.fidelity.engine,
        "size_bytes": one.artifact.size_bytes,
        "size_ratio": one.artifact.size_bytes / one.parent.size_bytes,
        "quantized": one.layers,
        "kept": len(one.kept),
        "kept_layers": ", ".join(one.kept) or None,
        "pictures": one.fidelity.pictures,
        "calibration": how.calibration or None,
        "calibration_pictures": how.pictures,
        "sha256": one.artifact.sha256,
        "parent": how.parent,
        **one.fidelity.figures,
    }
