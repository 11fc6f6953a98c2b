"""`evaluate verification`: are two pictures of one person told from two pictures of two?"""

from __future__ import annotations

from pathlib import Path

import click

from .output import PATH, as_json


@click.command()
@click.argument("data", type=PATH)
@click.option("--model", "models", type=PATH, multiple=True, required=True, help="Exported recogniser. Repeatable.")
@as_json
def verification(data: Path, models: tuple[Path, ...], as_json: bool) -> None:
    """Measure verification on DATA."""
    raise click.UsageError("not there yet")
