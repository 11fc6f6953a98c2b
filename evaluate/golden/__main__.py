"""``python -m pocketface.evaluate.golden FOLDER``: ask this runtime everything, and write it down."""

from __future__ import annotations

from pathlib import Path

import click

from .files import write_vectors


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default="bindings/golden/vectors")
def main(folder: Path) -> None:
    """Write the golden vectors to FOLDER, in the place of those that are there."""
    counts = write_vectors(folder)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    click.echo(f"{sum(counts.values())} cases of {len(counts)} operations in {folder}, {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
