"""What every command shares: options, their order, tables for people, JSON for machines."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from ..evaluate.gate import Condition
    from ..report import Column, Report

PATH = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False)
ENGINES = "onnxruntime, litert, tflite-runtime, coreml, mil"

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines instead of tables.")
seed = click.option("--seed", type=int, help="Random weights by this seed instead of trained ones.")
random_seed = click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn at random.")
weights = click.option("--weights", type=FILE, help="Checkpoint (.safetensors, .pt). Default: the bundled one, if any.")
backend = click.option("--backend", help=f"Engine: {ENGINES}. Default: the first that can run the file.")
threads = click.option("--threads", type=click.IntRange(1), help="Threads of the engine. Default: its own choice.")


class InOrder(click.Group):
    """A group that lists its commands in the order of work rather than of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As they were added."""
        return list(self.commands)


def console() -> Console:
    """A console for status and progress on standard error.

    It writes to a duplicate of the descriptor, because the converters' chatter is caught at the descriptor itself.
    """
    from rich.console import Console

    try:
        stream = os.fdopen(os.dup(sys.stderr.fileno()), "w")
    except (OSError, ValueError):  # a captured stream has no descriptor
        return Console(file=sys.stderr)
    return Console(file=stream)


def command_line() -> str:
    """What was typed, for a report to begin with: whoever types it again gets the same."""
    return shlex.join(["pocketface", *sys.argv[1:]])


def command_without_folders(*left_out: str) -> str:
    """What was typed, for a file that others get: where files lie is nobody's business, nor are these options."""
    kept, typed = ["pocketface"], iter(sys.argv[1:])
    for word in typed:
        flag, equals, _ = word.partition("=")
        if flag not in left_out:
            kept.append(re.sub(r"[^=]*[/\\]", "", word))
        elif not equals:
            next(typed, None)
    return shlex.join(kept)


def file_and_engine(model: str) -> tuple[Path, str | None]:
    """FILE@ENGINE names the engine of this file, if there is no file of that whole name."""
    file, at, engine = model.rpartition("@")
    return (Path(file), engine) if at and not Path(model).exists() else (Path(model), None)


def parse_size(text: str, also: str = "") -> tuple[int, int]:
    """``640`` or ``480x640`` as (height, width).

    Raises:
        BadParameter: neither; the message says what else (``also``) would have been right.
    """
    sides = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text)
    if not sides or not all(int(side) for side in sides.groups("1")):
        raise click.BadParameter(f"expected 640, 480x640{also}, got {text!r}", param_hint="--size")
    return int(sides[1]), int(sides[2] or sides[1])


def read_gate(text: str | None, figures: Sequence[str] | None = None) -> tuple[Condition, ...]:
    """The conditions of ``--gate`` about these figures, by default those of ``evaluate verification``; none of None.

    Raises:
        BadParameter: not such a text, or a figure that there is not.
    """
    from ..evaluate.gate import FIGURES, parse_gate

    try:
        return parse_gate(text, figures or FIGURES) if text else ()
    except ValueError as e:
        raise click.BadParameter(str(e), param_hint="--gate") from e


def show_facts(facts: Mapping[str, Any], as_json: bool) -> None:
    """Print facts as lines ``name: value``, without those that are None, or all of them as JSON."""
    if as_json:
        print_json(facts)
    else:
        click.echo("\n".join(f"{name}: {value}" for name, value in facts.items() if value is not None))


def show(title: str, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print rows as a table of the named columns, or with everything in them as JSON."""
    if as_json:
        print_json(rows)
        return
    from ..render import print_section
    from ..report import Section

    shown = [{column.key: row.get(column.key) for column in columns} for row in rows]
    print_section(Section(title=title, columns=columns, rows=shown))


def show_report(report: Report, as_json: bool, out: Path | None = None) -> None:
    """Print a report as tables, or as JSON; then write it into a folder, if there is one: a full disk loses nothing."""
    from ..render import print_report, save_report

    if as_json:
        click.echo(report.to_json(), nl=False)
    else:
        print_report(report)
    if out:
        json_file, page = save_report(report, out)
        click.echo(f"report: {page} (for machines: {json_file})", err=as_json)


def print_json(value: Any) -> None:
    """Print indented JSON; a number that is not finite becomes null."""
    import msgspec

    plain = json.loads(msgspec.json.encode(value, enc_hook=_plain))
    click.echo(json.dumps(plain, indent=2))


def _plain(value: Any) -> Any:
    """Numpy arrays and numbers as lists and numbers."""
    tolist: Callable[[], Any] | None = getattr(value, "tolist", None)
    if tolist is None:
        raise NotImplementedError(type(value))
    return tolist()
