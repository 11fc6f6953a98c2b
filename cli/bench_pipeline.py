"""`bench pipeline`: where the time of one photo goes."""

from __future__ import annotations

from pathlib import Path

import click

from .faces import detector, recognizer
from .output import as_json, command_line, show_report


@click.command()
@detector
@recognizer
@click.option(
    "--before",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Another checkout, to run in turn with this one.",
)
@click.option("--rounds", type=click.IntRange(1), default=40, show_default=True, help="That count, after three.")
@as_json
def pipeline(detector: Path, recognizer: Path, before: Path | None, rounds: int, as_json: bool) -> None:
    """Measure each step from a photo to embeddings, with one face and with twenty, on one thread.

    What is neither reading the JPEG nor a run of an engine is Python's own; its share is given of all, and of all but
    reading. For whoever changes this code: --before measures another checkout in the same rounds.
    """
    from ..bench.pipeline import measure_pipeline
    from ..report import Report

    try:
        sections = list(measure_pipeline(detector, recognizer, before, rounds=rounds))
    except ValueError as e:
        raise click.UsageError(str(e)) from e
    show_report(Report(title="Where the time of a photo goes", command=command_line(), sections=sections), as_json)
