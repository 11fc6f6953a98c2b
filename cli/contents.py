"""``info --privacy``: what is stored inside a model file, and whether it is more than the deployed network."""

from __future__ import annotations

from pathlib import Path

import click

from .output import print_json

#: Rows of the table.
LARGEST = 5


def show_contents(model: Path, as_json: bool) -> None:
    """List what a file holds.

    Raises:
        click.exceptions.Exit: with status 1, if it holds more than it needs.
        InvalidModel: the file is damaged.
    """
    from ..artifact import load_artifact
    from ..export.inventory import take_inventory
    from ..export.privacy import find_leaks
    from ..render import print_section
    from ..report import Column, Row, Section

    artifact = load_artifact(model)
    inventory = take_inventory(artifact)
    leaks = find_leaks(artifact, inventory)
    largest = sorted(inventory.tensors, key=lambda tensor: -tensor.size_bytes)[:LARGEST]
    rows: list[Row] = [
        {"tensor": t.name, "shape": str(t.shape), "size_bytes": t.size_bytes, "used": t.used} for t in largest
    ]
    facts = {
        "file": str(model),
        "tensors": len(inventory.tensors),
        "elements": sum(t.elements for t in inventory.tensors),
        "parameters": artifact.contract.parameters,
        "tensor_bytes": sum(t.size_bytes for t in inventory.tensors),
        "size_bytes": artifact.size_bytes,
        "metadata": inventory.metadata,
        "paths": inventory.paths,
    }
    if as_json:
        print_json({**facts, "largest": rows, "leaks": leaks, "stripped": not leaks})
    else:
        columns = [
            Column(key="tensor", name="largest tensors"),
            Column(key="shape", name="shape"),
            Column(key="size_bytes", name="size", kind="bytes"),
            Column(key="used", name="an output depends on it", kind="verdict"),
        ]
        notes = [
            f"{facts['tensors']} tensors with {facts['elements']:,} numbers; {facts['parameters']:,} parameters by the "
            f"contract; {facts['size_bytes']:,} bytes, {facts['tensor_bytes']:,} of them tensors",
            f"metadata: {', '.join(inventory.metadata) or 'none'}; paths: {', '.join(inventory.paths) or 'none'}",
        ]
        print_section(Section(title=model.name, columns=columns, rows=rows, notes=notes))
        for leak in leaks:
            click.echo(f"inside: {leak}")
        if not leaks:
            click.echo("no margin head, class centres or optimiser state inside")
    if leaks:
        raise click.exceptions.Exit(1)
