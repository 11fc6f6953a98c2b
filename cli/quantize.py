"""`quantize`: a smaller file that decides as the float file does, or a reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .calibration import calibration_options, judging, pictures_of
from .output import PATH, as_json, backend, command_line, console, print_json, read_gate, show

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..evaluate.gate import Condition
    from ..quantize.decisions import Decisions
    from ..quantize.job import Job
    from ..quantize.pipeline import Quantized
    from ..quantize.recipe import Recipe
    from ..quantize.sensitivity import Cost
    from ..runtime.detector import Detector
    from .source import Source


@click.command()
@click.argument("artifact", type=PATH)
@click.option("--recipe", required=True, help="Name, such as static_wi8_ai8, or a JSON file with one.")
@click.option("--calibration", type=PATH, help="Pictures for the ranges of activations; static recipes need them.")
@click.option("--judge", type=PATH, help="Other pictures, of other people, to judge by. Default: 48 bundled portraits.")
@click.option("--gate", help="What must hold: cosine>=0.985,flips<=0.005; detectors: missed, box_iou, landmarks.")
@click.option("--rescue", "rescuing", is_flag=True, help="Keep the fewest layers in float that meet the gate.")
@click.option("--equalize", "equalizing", is_flag=True, help="First make the ranges of its channels alike; exact.")
@click.option("--trained", type=PATH, help="Folder of a run of qat_xs: quantize what it learnt in ARTIFACT's place.")
@click.option(
    "--keep", multiple=True, help="Regular expression: layers with it in their name stay in float. Repeatable."
)
@click.option("--io", type=click.Choice(["float", "int8"]), help="Inputs and outputs. int8: TFLite recognisers only.")
@calibration_options
@click.option("--out", type=PATH, help="Folder for the file. Default: beside ARTIFACT.")
@click.option("--report", type=PATH, help="Folder for a report with what each layer costs, as a table and a plot.")
@backend
@as_json
def quantize(
    artifact: Path,
    gate: str | None,
    rescuing: bool,
    out: Path | None,
    report: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Quantize the float file ARTIFACT and judge the result beside it on faces.

    A file gets its name only after it met its gate. What it was made from, the pictures that gave its activations their
    ranges and the layers that stayed in float are recorded in its contract. A picture or a person that is in both
    --calibration and --judge is an error. --identities names the people of --calibration; those of --judge are known by
    their folders, or by an identities.json beside the pictures. --report also quantizes each layer alone, to see what
    it costs, for minutes.
    """
    from ..artifact import load_artifact, scratch_folder
    from ..evaluate.plots import require_matplotlib
    from ..export.quiet import quiet
    from ..quantize.pipeline import quantize_artifact
    from ..quantize.sensitivity import measure_costs

    if report:
        require_matplotlib()
    parent = load_artifact(artifact)
    conditions = _gate(gate, parent, rescuing)
    with console().status("") as status, quiet(), scratch_folder() as folder:
        job, notes = _job(parent, conditions, folder, status.update, **options)
        made = quantize_artifact(job, out or artifact.parent, gate=conditions, rescuing=rescuing)
        costs = made.rescue.costs if made.rescue else ()
        if report and not costs:
            costs = measure_costs(job, folder)
    if report:
        _save(made, costs, notes, report)
    _show(made, job.recipe, costs, notes, as_json)


def _job(
    parent: Artifact,
    conditions: Sequence[Condition],
    folder: Path,
    progress: Any,
    *,
    recipe: str,
    keep: Sequence[str],
    io: str | None,
    calibration: Path | None,
    judge: Path | None,
    source: Source,
    count: int,
    equalizing: bool,
    trained: Path | None,
    weights: Path | None,
    backend: str | None,
) -> tuple[Job, list[str]]:
    """What is to be done, and a sentence for whatever its user should know."""
    from ..quantize.equalized import equalized_source
    from ..quantize.job import Job
    from ..quantize.pictures import bundled_pictures, require_apart
    from ..quantize.policy import in_half
    from ..quantize.trained import trained_source

    how = _recipe(recipe, keep, io, parent)
    if equalizing and not (how.static and calibration):
        raise click.UsageError("--equalize is for static recipes, which have a --calibration to see the ranges on")
    if trained and (equalizing or not how.static):
        raise click.UsageError("--trained is for static recipes, and was equalised in training if at all")
    finder, others = source.finder(threads=1), judging(source)
    deciding = _deciding(judge, conditions, others, finder, backend)
    measured = calibration if how.static or in_half(how, parent) else None
    ranges = pictures_of(measured, parent, source, finder, progress, count) if measured else None
    judges = pictures_of(judge, parent, others, finder, progress, count) if judge else bundled_pictures(parent)
    equalized = learnt = None
    if trained:
        progress(f"exporting what {trained.name} learnt")
        learnt = trained_source(parent, trained, folder, weights)
    if equalizing and ranges:
        require_apart(ranges, judges)
        progress(f"equalising {parent.path.name}")
        equalized = equalized_source(parent, ranges, folder, weights)
    options: dict[str, Any] = {"backend": backend, "decisions": deciding, "source": equalized, "trained": learnt}
    job = Job(parent, how, ranges, judges, progress=progress, **options)
    return job, [*(problem for each in (ranges, judges) if each for problem in each.problems), *job.forecast]


def _recipe(name: str, keep: Sequence[str], io: str | None, parent: Artifact) -> Recipe:
    from ..quantize.policy import check_recipe, check_source
    from ..quantize.recipe import open_recipe

    how = open_recipe(name).keeping(*keep)
    how = how if io is None else how.changed(io=io)
    check_source(parent)
    check_recipe(how, parent)
    return how


def _deciding(
    judge: Path | None, conditions: Sequence[Condition], source: Source, finder: Detector | None, backend: str | None
) -> Decisions | None:
    """The whole set that judges, where the gate speaks of decisions."""
    from ..evaluate.cache import Cache
    from ..quantize.decisions import DECISIONS, Decisions

    if judge is None or not any(condition.figure in DECISIONS for condition in conditions):
        return None
    return Decisions(source.open(judge), finder, Cache(), backend)


def _gate(text: str | None, parent: Artifact, rescuing: bool) -> tuple[Condition, ...]:
    from ..quantize.decisions import DECISIONS
    from ..quantize.fidelity import FIGURES

    if rescuing and not text:
        raise click.UsageError("--rescue needs a --gate to meet")
    task = parent.contract.task_name
    return read_gate(text, FIGURES[task] + (DECISIONS if task == "recognition" else ()))


def _save(made: Quantized, costs: Sequence[Cost], notes: Sequence[str], folder: Path) -> None:
    from ..quantize.sensitivity import cost_section
    from ..quantize.table import quantized_section
    from ..render import save_report
    from ..report import Report, artifact_section

    sections = [
        quantized_section(made, notes),
        cost_section(costs, kept=made.kept),
        artifact_section([made.parent, made.artifact]),
    ]
    title = f"{made.artifact.path.name}, quantized from {made.parent.path.name}"
    save_report(Report(title=title, sections=sections, command=command_line()), folder)


def _show(made: Quantized, recipe: Recipe, costs: Sequence[Cost], notes: Sequence[str], as_json: bool) -> None:
    from ..quantize.sensitivity import cost_columns, cost_row
    from ..quantize.table import quantized_row, quantized_section
    from ..render import print_section

    if as_json:
        rescue = made.rescue
        told = {"before": rescue.before.figures, "kept": rescue.kept, "costs": rescue.costs} if rescue else None
        print_json({**quantized_row(made), "settings": recipe, "rescue": told, "costs": costs, "notes": notes})
        return
    print_section(quantized_section(made, notes))
    if costs:
        show("Each layer quantized alone", cost_columns(costs), [cost_row(cost) for cost in costs[:20]], as_json)


COMMANDS = (quantize,)
