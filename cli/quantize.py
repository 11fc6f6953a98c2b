"""`quantize`: a smaller file that decides as the float file does, or a reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import FILE, PATH, as_json, backend, console, print_json, show

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..quantize.pictures import Pictures
    from ..quantize.pipeline import Quantized


@click.command()
@click.argument("artifact", type=PATH)
@click.option("--recipe", required=True, help="Name, such as static_wi8_ai8, or a JSON file with one.")
@click.option("--calibration", type=PATH, help="Pictures for the ranges of activations; static recipes need them.")
@click.option("--judge", type=PATH, help="Other pictures, of other people, to judge by. Default: 48 bundled portraits.")
@click.option("--gate", help="What must hold: cosine>=0.985,flips<=0.005; detectors: missed, box_iou, landmarks.")
@click.option("--rescue", "rescuing", is_flag=True, help="Keep the fewest layers in float that meet the gate.")
@click.option("--equalize", "equalizing", is_flag=True, help="First make the ranges of its channels alike; exact.")
@click.option("--trained", type=PATH, help="Folder of a run of qat_xs: quantize what it learnt in ARTIFACT's place.")
@click.option("--weights", type=FILE, help="What ARTIFACT was made from, for those two, unless that is bundled.")
@click.option(
    "--keep", multiple=True, help="Regular expression: layers with it in their name stay in float. Repeatable."
)
@click.option("--io", type=click.Choice(["float", "int8"]), help="Inputs and outputs. int8: TFLite recognisers only.")
@click.option("--detector", type=PATH, help="Exported detector, for a recogniser and pictures that are not aligned.")
@click.option("--aligned", is_flag=True, help="The pictures are square crops on the ArcFace template.")
@click.option("--identities", type=FILE, help="JSON: picture -> identity, for --calibration.")
@click.option("--count", type=click.IntRange(32), default=128, show_default=True, help="Pictures of each set, at most.")
@click.option("--out", type=PATH, help="Folder for the file. Default: beside ARTIFACT.")
@backend
@as_json
def quantize(
    artifact: Path,
    recipe: str,
    calibration: Path | None,
    judge: Path | None,
    gate: str | None,
    rescuing: bool,
    equalizing: bool,
    trained: Path | None,
    weights: Path | None,
    keep: Sequence[str],
    io: str | None,
    detector: Path | None,
    aligned: bool,
    identities: Path | None,
    count: int,
    out: Path | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """Quantize the float file ARTIFACT and judge the result beside it on faces.

    A file gets its name only after it met its gate. What it was made from, the pictures that gave its activations their
    ranges and the layers that stayed in float are recorded in its contract. A picture or a person that is in both
    --calibration and --judge is an error.
    """
    from tempfile import TemporaryDirectory

    from ..artifact import load_artifact
    from ..evaluate.cache import Cache
    from ..evaluate.data import open_data
    from ..export.quiet import quiet
    from ..quantize.decisions import DECISIONS, Decisions
    from ..quantize.equalized import equalized_source
    from ..quantize.job import Job
    from ..quantize.pictures import bundled_pictures, open_pictures, require_apart
    from ..quantize.pipeline import quantize_artifact
    from ..quantize.policy import check_recipe, check_source, in_half
    from ..quantize.recipe import open_recipe
    from ..quantize.trained import trained_source
    from ..runtime.detector import Detector

    parent = load_artifact(artifact)
    how = open_recipe(recipe).keeping(*keep)
    how = how if io is None else how.changed(io=io)
    conditions = _gate(gate, parent, rescuing)
    if equalizing and not (how.static and calibration):
        raise click.UsageError("--equalize is for static recipes, which have a --calibration to see the ranges on")
    if trained and (equalizing or not how.static):
        raise click.UsageError("--trained is for static recipes, and was equalised in training if at all")
    check_source(parent)
    check_recipe(how, parent)
    with console().status("") as status, quiet():
        finder = Detector(detector, threads=1) if detector else None
        options: dict[str, Any] = {"detector": finder, "aligned": aligned, "count": count}

        def pictures(path: Path, **others: Any) -> Pictures:
            told = lambda done, total: status.update(f"{path.name}: {done} of {total} pictures")  # noqa: E731
            return open_pictures(path, parent, progress=told, **options, **others)

        deciding = None
        if judge and any(condition.figure in DECISIONS for condition in conditions):
            status.update(f"reading {judge.name}")
            deciding = Decisions(open_data(judge, aligned=aligned), finder, Cache(), backend)
        measured = calibration and (how.static or in_half(how, parent))
        ranges = pictures(calibration, identities=identities) if calibration and measured else None
        judges = pictures(judge) if judge else bundled_pictures(parent)
        with TemporaryDirectory(prefix="pocketface-") as folder:
            source = learnt = None
            if trained:
                status.update(f"exporting what {trained.name} learnt")
                learnt = trained_source(parent, trained, Path(folder), weights)
            if equalizing and ranges:
                require_apart(ranges, judges)
                status.update(f"equalising {artifact.name}")
                source = equalized_source(parent, ranges, Path(folder), weights)
            job = Job(
                *(parent, how, ranges, judges),
                backend=backend,
                decisions=deciding,
                source=source,
                trained=learnt,
                progress=status.update,
            )
            made = quantize_artifact(job, out or artifact.parent, gate=conditions, rescuing=rescuing)
            risk = job.at_risk
    notes = [problem for each in (ranges, judges) if each for problem in each.problems]
    notes += [f"{layer} reaches {peak:.0f} and stays in float32: half might overflow" for layer, peak in risk.items()]
    _show(made, notes, as_json)


def _gate(text: str | None, parent: Artifact, rescuing: bool) -> Any:
    from ..evaluate.gate import parse_gate
    from ..quantize.decisions import DECISIONS
    from ..quantize.fidelity import FIGURES

    if rescuing and not text:
        raise click.UsageError("--rescue needs a --gate to meet")
    try:
        task = parent.contract.task_name
        return parse_gate(text, FIGURES[task] + (DECISIONS if task == "recognition" else ())) if text else ()
    except ValueError as e:
        raise click.BadParameter(str(e), param_hint="--gate") from e


def _show(made: Quantized, notes: Sequence[str], as_json: bool) -> None:
    from ..quantize.sensitivity import cost_columns, cost_row
    from ..quantize.table import columns_for, quantized_row

    row, rescue = quantized_row(made), made.rescue
    if as_json:
        told = {"before": rescue.before.figures, "kept": rescue.kept, "costs": rescue.costs} if rescue else None
        print_json({**row, "rescue": told, "notes": notes})
        return
    show(
        f"Quantized from {made.parent.path.name}",
        columns_for(made.parent.contract.task_name, made.fidelity.figures),
        [row],
        as_json,
    )
    if rescue and rescue.costs:
        show(
            "Each layer quantized alone", cost_columns(rescue.costs), [cost_row(c) for c in rescue.costs[:20]], as_json
        )
        click.echo(f"before {len(rescue.kept)} layers were kept: {_figures(rescue.before.figures)}")
    if row["kept_layers"]:
        click.echo(f"kept in float: {row['kept_layers']}")
    for note in notes:
        click.echo(note)


def _figures(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.5f}" for name, value in figures.items())


COMMANDS = (quantize,)
