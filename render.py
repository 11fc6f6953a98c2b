"""Show a report: as one HTML page, and as tables on the terminal."""

from __future__ import annotations

import math
from importlib.resources import files
from pathlib import Path
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .artifact import atomic
from .errors import MissingExtra
from .report import WORDS, Column, Report, Section, State, Value, state_of

_RIGHT = ("number", "count", "bytes")
COLORS: dict[State, str] = {"pass": "green", "fail": "bold red", "open": "yellow"}


def save_report(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write ``report.json`` and ``report.html`` and return their paths.

    JSON is written first: where the page cannot be made, the results of a long run are not lost.

    Raises:
        OutputError: the folder cannot be written to.
        MissingExtra: Jinja2 is not installed.
    """
    data, page = folder / "report.json", folder / "report.html"
    for path, text in ((data, report.to_json), (page, lambda: to_html(report))):
        with atomic(path) as temporary:
            temporary.write_text(text(), "utf-8")
    return data, page


def to_html(report: Report) -> str:
    """One page that needs nothing else: no script, no font, no file beside it.

    Raises:
        MissingExtra: Jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as e:
        raise MissingExtra("jinja2", "export", "write a report as HTML") from e
    templates = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    templates.globals |= {"state_of": state_of, "bar": _bar, "words": WORDS}
    return templates.from_string(files(__package__).joinpath("report.html.j2").read_text("utf-8")).render(report=report)


def print_report(report: Report, console: Console | None = None) -> None:
    """Print every section, and the verdict last, where the eye ends up."""
    console = console or _console()
    for section in report.sections:
        print_section(section, console)
    console.print(Text(report.verdict, COLORS[report.state]))


def print_section(section: Section, console: Console | None = None) -> None:
    """Print a section's table and notes."""
    console = console or _console()
    console.print(Text(section.title, "bold"))
    if section.columns:
        console.print(_table(section))
    for note in section.notes:
        console.print(Text(note, "dim"))
    console.print()


def to_markdown(section: Section) -> str:
    """A section's table in Markdown, with its notes below; for a README. Verdicts and units are in words."""
    heads = [column.heading for column in section.columns]
    rows = [[column.show(row.get(column.key)) for column in section.columns] for row in section.rows]
    rule = ["--:" if column.kind in _RIGHT else "---" for column in section.columns]
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |" for cells in (heads, rule, *rows)]
    return "\n".join([f"**{section.title}**", "", *lines, "", *section.notes]) + "\n"


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=240)  # in a log, the reader's window is not ours to guess


def _table(section: Section) -> Table:
    table = Table(box=SIMPLE_HEAD, header_style="dim", pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for column in section.columns:
        cells = [_text(column, row.get(column.key)) for row in section.rows]
        width = None if column.kind == "text" else max((len(cell) for cell in cells), default=0)  # never cut a figure
        justify: Literal["left", "right"] = "right" if column.kind in _RIGHT else "left"
        table.add_column(column.heading, justify=justify, min_width=width, overflow="fold")
    for row in section.rows:
        table.add_row(*(_text(column, row.get(column.key)) for column in section.columns))
    return table


def _text(column: Column, value: Value) -> Text:
    return Text(column.show(value), COLORS[state_of(value)] if column.kind == "verdict" else "")


def _bar(section: Section, column: Column, value: Value) -> float:
    """Length of a value's bar in percent of the longest in its column."""
    lengths = [_length(row.get(column.key)) for row in section.rows]
    return round(100 * _length(value) / max(lengths), 1) if max(lengths) else 0.0


def _length(value: Value) -> float:
    return max(value, 0.0) if isinstance(value, int | float) and math.isfinite(value) else 0.0
