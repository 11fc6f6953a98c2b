"""`verdict`: which quantized file to take, and which to leave, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .calibration import calibration_options, judging, pictures_of
from .evaluate_output import finish
from .output import PATH, as_json, backend, console, read_gate

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..quantize.decisions import Decisions
    from ..quantize.detections import Detections
    from ..quantize.verdict import Trial
    from ..runtime.detector import Detector
    from .source import Source


@click.command()
@click.argument("files", type=PATH, nargs=-1, required=True)
@click.option("--calibration", type=PATH, required=True, help="Pictures for the ranges of activations.")
@click.option("--judge", type=PATH, required=True, help="Other pictures: of known people, or with marked faces.")
@click.option(
    "--pictures", type=click.IntRange(100), help="Judge by this many, of people drawn at random. Default: all."
)
@click.option("--recipe", "recipes", multiple=True, help="Try this one. Repeatable. Default: all a format can have.")
@click.option("--equalize", "equalizing", is_flag=True, help="Also with the ranges of channels made alike; exact.")
@click.option(
    "--rescue", "rescuing", is_flag=True, help="Where a gate is missed, also with the fewest layers in float."
)
@click.option("--gate", help="What a file must meet to be taken, instead of the above.")
@calibration_options
@click.option("--out", type=PATH, help="Folder for the files and a report. Default: no file is kept.")
@click.option("--markdown", is_flag=True, help="Print the table in Markdown, for a README.")
@backend
@as_json
def verdict(
    files: Sequence[Path],
    judge: Path,
    recipes: Sequence[str],
    gate: str | None,
    out: Path | None,
    markdown: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Quantize the float FILES of one network with every recipe, and say of each result: take it, or leave it.

    FILES are its exports, of one format or several; the first of a format is what the others of that format are held
    to. --judge is what `evaluate verification` takes, for a recogniser, or `evaluate detection`, for a detector; it
    may share no picture and no person with --calibration, whose people --identities names if their folders do not.

    A recogniser's file is taken if its embeddings turn by little (cosine >= 0.985, first percentile >= 0.95; float16
    >= 0.9995), TAR falls by at most one point, at most 0.5 % of all pairs are decided otherwise, and it is smaller and
    not slower than float here. A detector's, if AP@0.5 falls by at most a point and landmarks move by at most 1 % of
    the box's side. --gate says it otherwise: "cosine>=0.99,flips_genuine<=0.01,size<=0.5,latency<=2".

    \b
    pocketface verdict out/facelivtv2_xs_112_fp32.onnx out/facelivtv2_xs_112_fp32.tflite --aligned \\
        --calibration people.tar --judge others.tar --equalize --out verdict
    """  # noqa: D301 - click reads the escape as "keep these lines"
    from ..artifact import scratch_folder
    from ..export.quiet import quiet
    from ..quantize.verdict import weigh
    from ..quantize.verdict_table import verdict_facts, verdict_section

    with console().status("") as status, quiet(), scratch_folder() as scratch:
        artifacts, trial = _trial(files, judge, recipes, gate, out or scratch, status.update, **options)
        lines, notes = weigh(artifacts, trial)
    section = verdict_section(lines, trial.evidence.told, notes)
    facts, made = [verdict_facts(line) for line in lines], [line.artifact for line in lines]
    finish(section.title, [section], facts, made, out=out, as_json=as_json, markdown=markdown)


def _trial(
    files: Sequence[Path],
    judge: Path,
    recipes: Sequence[str],
    gate: str | None,
    folder: Path,
    progress: Any,
    *,
    calibration: Path,
    source: Source,
    pictures: int | None,
    backend: str | None,
    count: int,
    **others: Any,
) -> tuple[list[Artifact], Trial]:
    """The files, and how they are tried."""
    from ..artifact import load_artifact
    from ..quantize.policy import check_source
    from ..quantize.recipe import open_recipe
    from ..quantize.verdict import WEIGHED, Trial

    artifacts = [load_artifact(file) for file in files]
    _require_one_network(artifacts)
    for artifact in artifacts:
        check_source(artifact)
    conditions = read_gate(gate, WEIGHED[artifacts[0].contract.task_name]) or None
    chosen = [open_recipe(name) for name in recipes]
    finder = source.finder(threads=1)
    progress(f"reading {judge.name}")
    evidence = _evidence(judge, artifacts[0], judging(source), finder, pictures, backend)
    ranges = pictures_of(calibration, artifacts[0], source, finder, progress, count)
    return artifacts, Trial(
        chosen, ranges, evidence, folder, gate=conditions, backend=backend, progress=progress, **others
    )


def _require_one_network(artifacts: Sequence[Artifact]) -> None:
    from ..errors import InvalidModel

    first = artifacts[0]
    for other in artifacts[1:]:
        if other.contract.fingerprint != first.contract.fingerprint:
            raise InvalidModel(
                f"{other.path.name} is of another network than {first.path.name}; a verdict is about the files of one "
                "network: ask for each network by itself"
            )


def _evidence(
    judge: Path,
    artifact: Artifact,
    source: Source,
    finder: Detector | None,
    pictures: int | None,
    backend: str | None,
) -> Decisions | Detections:
    from ..evaluate.cache import Cache
    from ..evaluate.detection import open_detection_set
    from ..quantize.decisions import Decisions, some_people
    from ..quantize.detections import Detections

    if artifact.contract.task_name == "detection":
        return Detections(open_detection_set(judge), Cache(), backend)
    data = source.open(judge)
    return Decisions(some_people(data, pictures) if pictures else data, finder, Cache(), backend)


COMMANDS = (verdict,)
