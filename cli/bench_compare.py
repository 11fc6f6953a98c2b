"""`bench compare`: what became faster or slower between two runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .output import FILE, as_json, print_json

if TYPE_CHECKING:
    from ..bench.perf import Stage

STAGES = ("network", "pipeline", "preprocess", "postprocess", "read")


@click.command()
@click.argument("before", type=FILE)
@click.argument("after", type=FILE)
@click.option(
    "--stage", "stages", type=click.Choice(STAGES), multiple=True, help="Repeatable. Default: network, pipeline."
)
@click.option("--fail-if-slower", "limit", type=click.FloatRange(1), help="Status 1 if anything takes so many times.")
@as_json
def compare(before: Path, after: Path, stages: Sequence[Stage], limit: float | None, as_json: bool) -> None:
    """Compare two perf.json files: each file of models that is in both, by engine, precision and threads.

    Ratios of medians with 95 % intervals, wider by what the machine's own speed changed by. A difference that the noise
    may have made is none, and fails no --fail-if-slower.
    """
    from ..bench.changes import changes_between, changes_section
    from ..bench.perf import load_perf
    from ..render import print_section

    changes = changes_between(load_perf(before), load_perf(after), stages or ("network", "pipeline"))
    section = changes_section(changes, limit)
    if as_json:
        print_json({"changes": section.rows, "notes": section.notes})
    else:
        print_section(section)
    if limit and section.failed:
        raise click.exceptions.Exit(1)
