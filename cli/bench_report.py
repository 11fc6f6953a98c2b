"""`bench report`: measurements of several devices on one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from .output import FILE, PATH, as_json, command_line, show_report


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--out", type=PATH, help="Folder for a report with plots.")
@as_json
def report(files: Sequence[Path], out: Path | None, as_json: bool) -> None:
    """Join perf.json files, of this machine, browsers and phones, into one report with plots."""
    from ..bench.pages import perf_report
    from ..bench.perf import load_perf

    perfs = [load_perf(file) for file in files]
    joined = perf_report(perfs, title="Latency", command=command_line(), plots=out is not None)
    show_report(joined, as_json, out)
