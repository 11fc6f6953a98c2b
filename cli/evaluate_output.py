"""What protocols share: options, and how they end, with JSON or tables, and a report in a folder if asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import PATH, command_line, print_json

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..report import Section

out = click.option("--out", type=PATH, help="Folder for a report as JSON and as one HTML page.")
flip = click.option(
    "--flip", is_flag=True, help="Sum a picture's and its mirror image's embeddings, as the field does."
)


def exported(kind: str, required: bool = True) -> Callable[[Any], Any]:
    """The option for the files that are measured, ``recogniser`` or ``detector``."""
    told = f"Exported {kind}. Repeatable."
    return click.option("--model", "models", type=PATH, multiple=True, required=required, help=told)


def far(told: str) -> Callable[[Any], Any]:
    """The option for the rate of false acceptance, with its help."""
    return click.option("--far", type=click.FloatRange(0, 1, min_open=True), default=1e-3, show_default=True, help=told)


def finish(
    title: str,
    sections: Sequence[Section],
    facts: Any,
    artifacts: Sequence[Artifact],
    *,
    out: Path | None,
    as_json: bool,
    markdown: bool = False,
    drawn: Callable[[], Sequence[Section]] = lambda: (),
) -> None:
    """Write the report if it has a folder, then print.

    Args:
        title: of the report.
        sections: the tables.
        facts: everything that was found, for JSON.
        artifacts: the files that were tested.
        out: folder of the report; None for none.
        as_json: whether to print JSON instead of the tables.
        markdown: whether to print the tables in Markdown, and nothing else.
        drawn: makes further sections of the report, with pictures.
    """
    from ..render import print_section, save_report, to_markdown
    from ..report import Report, artifact_section

    if out:
        files = [artifact_section(artifacts)] if artifacts else []
        save_report(Report(title=title, sections=[*sections, *drawn(), *files], command=command_line()), out)
    if as_json:
        print_json({"command": command_line(), "results": facts})
        return
    if markdown:
        click.echo("\n".join(to_markdown(section) for section in sections), nl=False)
        return
    for section in sections:
        print_section(section)
    if out:
        click.echo(f"report: {out / 'report.html'} (for machines: {out / 'report.json'})")
