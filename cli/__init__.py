"""The command line: one verb per command. Each imports what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import click

from .. import __version__
from ..errors import MissingExtra, PocketfaceError
from . import (
    analyze,
    bench,
    calibrate,
    doctor,
    evaluate,
    explain,
    faces,
    forest,
    people,
    quantize,
    scenes,
    tooling,
    train,
    verdict,
)
from .output import InOrder

__all__ = ["cli"]

INTERRUPTED = "pocketface: interrupted; nothing half-written is left"
#: Modules that only the extra `export` brings; the verbs of whoever makes models import them when they run.
TOOLS = {"torch", "safetensors", "onnx", "onnxscript", "litert_torch", "coremltools", "jinja2"}


class Verbs(InOrder):
    """A group whose commands end with one line and a status other than 0 on an error."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command and exit: 0 done, 1 an error, 2 a wrong call, 130 interrupted."""
        try:
            with _ending_on_signals():
                status = super().main(*args, **{**kwargs, "standalone_mode": False})
            sys.exit(status if isinstance(status, int) else 0)
        except (click.Abort, KeyboardInterrupt):
            click.echo(INTERRUPTED, err=True)
            sys.exit(130)
        except click.ClickException as e:
            e.show()
            sys.exit(e.exit_code)
        except (PocketfaceError, ModuleNotFoundError) as e:
            click.echo(f"pocketface: {_missing_tool(e) or e}", err=True)
            sys.exit(1)


def _missing_tool(error: Exception) -> MissingExtra | None:
    """What to install for a tool that is not there; a missing module that no extra brings is a bug and goes on."""
    if not isinstance(error, ModuleNotFoundError):
        return None
    package = (error.name or "").partition(".")[0]
    if package not in TOOLS:
        raise error
    return MissingExtra(package.replace("_", "-"), "export", "run this command")


@contextlib.contextmanager
def _ending_on_signals() -> Iterator[None]:
    """On an interrupt, discard what is half-written, say so, and end.

    An exception would not do: it may rise below the converters' C++, which aborts the process at once.
    """
    stderr = os.dup(2)  # a conversion catches what is written to 2 itself

    def stop(*_: object) -> NoReturn:
        if artifact := sys.modules.get(f"{__name__.rpartition('.')[0]}.artifact"):
            artifact.discard_unfinished()
        os.write(stderr, INTERRUPTED.encode() + b"\n")
        os._exit(130)

    before = {}
    with contextlib.suppress(ValueError):  # not in the main thread: whoever called us there handles signals
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(stderr)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="pocketface")
def cli() -> None:
    """On-device face models: build, fold, export to ONNX, TFLite and Core ML, and prove every export on faces.

    \b
    pocketface demo                                     the whole way, with a report in out/
    pocketface export facelivtv2_xs                     three formats, each proven on faces
    pocketface parity out/facelivtv2_xs_112_fp32.onnx   prove a file again
    pocketface compare A.jpg B.jpg --detector D.onnx --recognizer R.onnx

    Every command takes --json. Statuses: 0 done, 1 an error, 2 a wrong call, 130 interrupted.
    """  # noqa: D301 - click reads the escape as "keep these lines"


for verbs in (
    tooling,
    people,
    train,
    scenes,
    forest,
    quantize,
    verdict,
    faces,
    analyze,
    explain,
    evaluate,
    calibrate,
    doctor,
    bench,
):
    for command in verbs.COMMANDS:
        cli.add_command(command)
