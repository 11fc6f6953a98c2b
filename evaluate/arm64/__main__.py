"""``python -m pocketface.evaluate.arm64 FILE...``: the same bytes on a phone's processor?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ...artifact import load_artifact
from ...render import print_report, save_report
from ...report import Report
from .compare import PROCESSORS, compare
from .fetch import Unavailable
from .machine import Machine, prepare

#: Exit status where there is no emulated machine: nothing differs, and nothing was compared.
NOT_RUN = 3


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--pictures", type=click.IntRange(1, 48), default=4, show_default=True, help="Bundled portraits.")
@click.option("--cpu", "processors", multiple=True, default=PROCESSORS, show_default=True, help="By QEMU. Repeatable.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/arm64"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines instead of tables.")
def main(files: tuple[Path, ...], pictures: int, processors: tuple[str, ...], out: Path, as_json: bool) -> None:
    """Run ONNX and TFLite FILES here and on an emulated 64-bit ARM, and compare their answers.

    Files in 8 bits must give the same integers: status 1 if one does not. Of ONNX files the last integers inside are
    compared too, here with session.qdqisint8allowed, without which x86 computes part of signed files in float. The
    emulator, Python and the engines' wheels for arm64 come through this machine's own apt and pip, once, into the
    cache; nothing is installed, and no root is needed. Where they cannot be had, one line says why, and the status
    is 3.
    """
    artifacts = [load_artifact(file) for file in files]
    guest, reason = _guest()
    if reason:
        click.echo(f"no emulated arm64: {reason}", err=True)
    sections = compare(
        artifacts,
        guest,
        pictures=pictures,
        processors=processors,
        note=f"Not run: {reason}" if reason else "",
        progress=_tell,
    )
    report = Report(title="The same bytes on a phone's processor", sections=sections)
    save_report(report, out)
    if as_json:
        click.echo(report.to_json(), nl=False)
    else:
        print_report(report)
    sys.exit(NOT_RUN if guest is None else report.state == "fail")


def _guest() -> tuple[Machine | None, str]:
    try:
        return prepare(_tell), ""
    except Unavailable as e:
        return None, str(e)


def _tell(step: str) -> None:
    click.echo(step, err=True)


if __name__ == "__main__":
    main()
