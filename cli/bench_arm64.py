"""`bench arm64`: the same bytes on a phone's processor?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from .evaluate_output import out
from .output import as_json, command_line, show_report

#: Exit status where there is no emulated machine: nothing differs, and nothing was compared.
NOT_RUN = 3


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--pictures", type=click.IntRange(1, 48), default=4, show_default=True, help="Bundled portraits.")
@click.option("--cpu", "processors", multiple=True, help="By QEMU. Repeatable. Default: cortex-a53 and cortex-a76.")
@out
@as_json
def arm64(files: Sequence[Path], pictures: int, processors: Sequence[str], out: Path | None, as_json: bool) -> None:
    """Run ONNX and TFLite FILES here and on an emulated 64-bit ARM, and compare their answers, not their times.

    Files in 8 bits must give the same integers: status 1 if one does not. Of ONNX files the last integers inside are
    compared too, here with session.qdqisint8allowed, without which x86 computes part of signed files in float. The
    emulator, Python and the engines' wheels for arm64 come through this machine's own apt and pip, once, into the
    cache; nothing is installed, and no root is needed. Where they cannot be had, one line says why, and the status
    is 3.
    """
    from ..artifact import load_artifact
    from ..evaluate.arm64.compare import PROCESSORS, compare
    from ..evaluate.arm64.fetch import Unavailable
    from ..evaluate.arm64.machine import prepare
    from ..report import Report

    artifacts = [load_artifact(file) for file in files]
    guest, note = None, ""
    try:
        guest = prepare(_tell)
    except Unavailable as e:
        note = f"Not run: {e}"
        _tell(f"no emulated arm64: {e}")
    chosen = processors or PROCESSORS
    sections = compare(artifacts, guest, pictures=pictures, processors=chosen, note=note, progress=_tell)
    report = Report(title="The same bytes on a phone's processor", command=command_line(), sections=sections)
    show_report(report, as_json, out)
    raise click.exceptions.Exit(NOT_RUN if guest is None else int(report.state == "fail"))


def _tell(step: str) -> None:
    click.echo(step, err=True)
