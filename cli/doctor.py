"""The verb of whoever asks why the numbers on the phone differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import FILE, PATH, as_json, backend, console, print_json

if TYPE_CHECKING:
    from ..evaluate.doctor import Diagnosis

#: Rows of the table; the rest is in the JSON.
SHOWN = 8


@click.command()
@click.argument("model", type=PATH)
@click.option("--observed", type=FILE, help="What the app produced for the golden pictures: .json, .csv or .npz.")
@click.option("--golden", type=PATH, help="Folder of pictures with a landmarks.json. Default: the bundled 48.")
@click.option("--write-golden", type=PATH, help="Write pictures and expected answers to this folder, for the app.")
@backend
@as_json
def doctor(
    model: Path,
    observed: Path | None,
    golden: Path | None,
    write_golden: Path | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """Name what an app does wrong with a model, from what it produced for the golden pictures.

    Every known fault is made here with the real model; the one whose answers are the app's is named, with what to
    change. Status 1 unless the app is healthy. See README.txt of --write-golden for the pictures and the file's form.
    """
    if (observed is None) == (write_golden is None):
        raise click.UsageError("give either --observed FILE or --write-golden FOLDER")
    from ..artifact import load_artifact
    from ..evaluate.doctor import diagnose, golden_portraits, read_observed
    from ..evaluate.doctor import write_golden as write
    from ..evaluate.faces import load_portraits

    artifact = load_artifact(model)
    portraits = load_portraits(golden) if golden else golden_portraits(artifact.contract)
    if write_golden:
        count = write(artifact, write_golden, portraits)
        told = {"folder": str(write_golden), "pictures": count}
        print_json(told) if as_json else click.echo(f"{count} golden pictures in {write_golden}; read its README.txt")
        return
    assert observed is not None
    answers = read_observed(observed, artifact.contract, [p.name for p in portraits])
    with console().status(f"examining {observed.name}"):
        diagnosis = diagnose(artifact, answers, portraits, backend=backend)
    if as_json:
        print_json(_plain(diagnosis, answers.kind))
    else:
        _print(diagnosis)
    if not diagnosis.healthy:
        raise click.exceptions.Exit(1)


def _plain(diagnosis: Diagnosis, kind: str) -> dict[str, Any]:
    return {
        "verdict": diagnosis.name,
        "healthy": diagnosis.healthy,
        "faults": [{"fault": f.name, "cure": f.cure} for f in diagnosis.faults],
        "detail": diagnosis.detail,
        "observed": kind,
        "explained": diagnosis.explained,
        "margin": diagnosis.margin,
        "pictures": diagnosis.pictures,
        "pictures_explained": diagnosis.share,
        "notes": diagnosis.notes,
        "hypotheses": _rows(diagnosis),
    }


def _rows(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    return [
        {
            "hypothesis": h.name,
            "detail": h.detail or None,
            "explained": 100 * h.explained,
            "unexplained": h.unexplained,
            "pictures": 100 * h.pictures,
        }
        for h in diagnosis.table
    ]


def _print(diagnosis: Diagnosis) -> None:
    from ..render import print_section
    from ..report import Column, Section

    columns = [
        Column(key="hypothesis", name="hypothesis"),
        Column(key="detail", name="variant"),
        Column(key="explained", name="explains", unit="%", kind="number", spec=".2f"),
        Column(key="unexplained", name="left", kind="number", spec=".4f"),
        Column(key="pictures", name="pictures", unit="%", kind="number", spec=".0f"),
    ]
    best: dict[str, dict[str, Any]] = {}
    for row in _rows(diagnosis):
        best.setdefault(row["hypothesis"], row)  # of each fault the best variant
    rows = list(best.values())[:SHOWN]
    print_section(Section(title="What explains the app's answers", columns=columns, rows=rows, notes=diagnosis.notes))
    variant = f" ({diagnosis.detail})" if diagnosis.detail else ""
    click.echo(
        f"{diagnosis.name}{variant}: explains {diagnosis.explained:.1%} of the answers, {diagnosis.share:.0%} of "
        f"{diagnosis.pictures} pictures; the next fault leaves {diagnosis.margin:.3g} times as much unexplained"
    )
    for fault in diagnosis.faults:
        click.echo(f"  {fault.name}: {fault.cure}")


COMMANDS = (doctor,)
