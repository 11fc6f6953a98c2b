"""`bench recognizers`: recognisers alone, ours and others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from .output import as_json, command_line, show_report


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--file",
    "others",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="Of others, ONNX. Repeatable.",
)
@click.option("--rounds", type=click.IntRange(1), default=40, show_default=True, help="That count, after three.")
@as_json
def recognizers(folder: Path, others: Sequence[Path], rounds: int, as_json: bool) -> None:
    """Measure one crop through our networks, a plain ViT-S and other files, in float32 and int8, on one thread.

    The networks have seeded weights: latency does not ask what a network has learnt. What has to be made is made in
    FOLDER, which takes minutes, and found there next time.
    """
    from ..bench.recognizers import collect_recognizers, measure_recognizers
    from ..report import Report

    files = collect_recognizers(folder, others, lambda step: click.echo(step, err=True))
    section = measure_recognizers(files, rounds)
    show_report(Report(title="Recognisers alone", command=command_line(), sections=[section]), as_json)
