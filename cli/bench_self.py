"""`bench self`: what this checkout's own code costs."""

from __future__ import annotations

from pathlib import Path

import click

from .output import PATH, as_json, command_line, console, show_report


@click.command("self")
@click.argument("exports", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", type=PATH, help="Folder for a report as JSON and as one HTML page.")
@as_json
def bench_self(exports: Path, out: Path | None, as_json: bool) -> None:
    """Measure folding, training, pixels, memory, evaluating and exporting; EXPORTS is the folder that the demo wrote.

    For whoever changes this code. Status 1 if a limit was passed.
    """
    from ..bench.checkout import measure_checkout

    with console().status("") as status:
        report = measure_checkout(exports, progress=status.update, command=command_line())
    show_report(report, as_json, out)
    if report.state == "fail":
        raise click.exceptions.Exit(1)
