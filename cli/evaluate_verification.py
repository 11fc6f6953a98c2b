"""`evaluate verification`: are two pictures of one person told from two pictures of two people?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .evaluate_output import far, flip
from .evaluate_slices import read_edges, sections_of, slice_files, slice_options
from .output import PATH, as_json, backend, command_line, console, file_and_engine, print_json, read_gate, threads
from .source import Source, a_cache, data_options

if TYPE_CHECKING:
    from ..evaluate.cache import Cache
    from ..evaluate.gate import Condition
    from ..evaluate.verification import Data
    from ..evaluate.verification_run import Outcome, Settings
    from ..runtime.detector import Detector
    from ..runtime.embedder import Embedder
    from .evaluate_slices import Sliced


@click.command()
@click.argument("data", type=PATH)
@click.option("--model", "models", multiple=True, required=True, help="Recogniser: FILE or FILE@ENGINE. Repeatable.")
@data_options
@flip
@far("For flips.")
@click.option("--gate", help="What the others must meet: 'flips<=0.005,tar_drop<=0.01,cosine>=0.985'. Else status 1.")
@click.option("--record", is_flag=True, help="Write into the others that they passed the gate.")
@click.option("--allow-different", is_flag=True, help="Also compare the decisions of different networks.")
@slice_options
@click.option("--out", type=PATH, help="Folder for a report with curves, reliability and the worst pairs.")
@click.option("--pictures", is_flag=True, help="Show the faces of the worst pairs in the report.")
@backend
@threads
@as_json
def verification(
    data: Path,
    models: Sequence[str],
    flip: bool,
    far: float,
    gate: str | None,
    record: bool,
    allow_different: bool,
    out: Path | None,
    pictures: bool,
    backend: str | None,
    threads: int | None,
    as_json: bool,
    by: Sequence[str],
    edges: str | None,
    bins: int,
    columns: Path | None,
    scheme: str | None,
    source: Source,
) -> None:
    """Measure verification on DATA, and of several files of one network how decisions differ from the first file's.

    DATA is a list of pairs (LFW's pairs.txt or the folder with it, an InsightFace .bin, a .csv), or pictures with
    identities (a folder for each person, tar shards): then every pair counts. A picture without an embedding counts
    against the result: its genuine pairs are rejected. --by cuts by a column: errors of each slice at one common
    threshold, and what changes from the first file on; of pictures without identities, only how far embeddings turn.

    \b
    pocketface evaluate verification lfw/ --detector D.onnx --model float.onnx --model int8.tflite \\
        --gate "flips<=0.005,tar_drop<=0.01,cosine>=0.985"
    """  # noqa: D301 - click reads the escape as "keep these lines"
    from ..errors import ParityError
    from ..evaluate.gate import broken
    from ..evaluate.plots import require_matplotlib
    from ..evaluate.verification_run import Settings

    conditions, cuts = _conditions(gate, len(models), record), (by, read_edges(edges), bins)
    if out:
        require_matplotlib()
    embedders = [_embedder(model, backend, threads) for model in models]
    settings = Settings(flip=flip, far=far, allow_different=allow_different)
    nameless = bool(by) and not conditions
    finder = source.finder(threads)
    with a_cache(source.no_cache) as kept:
        options: dict[str, Any] = {"detector": finder, "settings": settings, "cache": kept}
        opened, outcome = measure(data, source, embedders, columns=columns, scheme=scheme, nameless=nameless, **options)
        sliced = slice_files(opened, embedders, *cuts, **options)
        if out:
            _save(out, opened, embedders, outcome, conditions, sliced, pictures=pictures, **options)
    _show(embedders, outcome, conditions, sliced, as_json)
    said = [
        f"{embedder.artifact.path.name}: {fault}"
        for embedder, drift in zip(embedders[1:], outcome.drifts, strict=bool(outcome.results))
        for fault in broken(conditions, drift.figures)
    ]
    if said:
        raise ParityError(f"{models[0]} and the others decide differently: {'; '.join(said)}")
    if record:
        _record(embedders)


def measure(
    path: Path,
    source: Source,
    embedders: Sequence[Embedder],
    *,
    detector: Detector | None,
    settings: Settings,
    cache: Cache,
    columns: Path | None = None,
    scheme: str | None = None,
    nameless: bool = False,
) -> tuple[Data, Outcome]:
    """Open the data and run the protocol, with progress on standard error.

    With ``nameless``, pictures that do not all name an identity give an empty outcome instead of an error.
    """
    from ..evaluate.slice_run import has_identities
    from ..evaluate.verification_run import Outcome, run_verification

    with console().status(f"reading {path.name}") as status:
        data = source.open(path, columns=columns, scheme=scheme)
        if nameless and not has_identities(data):
            return data, Outcome((), ())
        return data, run_verification(
            data, embedders, detector=detector, settings=settings, cache=cache, progress=status.update
        )


def _embedder(model: str, backend: str | None, threads: int | None) -> Embedder:
    from ..runtime.embedder import Embedder

    file, engine = file_and_engine(model)
    return Embedder(file, backend=engine or backend, threads=threads)


def _conditions(gate: str | None, files: int, record: bool) -> tuple[Condition, ...]:
    if (gate or record) and files < 2:
        raise click.UsageError("--gate and --record are about files against the first: give --model twice or more")
    if record and not gate:
        raise click.UsageError("--record writes that a gate was passed: give --gate")
    return read_gate(gate)


def _save(
    out: Path,
    data: Data,
    embedders: Sequence[Embedder],
    outcome: Outcome,
    conditions: Sequence[Condition],
    sliced: Sliced,
    **options: Any,
) -> None:
    """Write the report. Its plots are made from the embeddings that the cache holds."""
    from ..evaluate.verification import images_of
    from ..evaluate.verification_report import detail_sections
    from ..evaluate.verification_table import curves_section, verification_sections
    from ..render import save_report
    from ..report import Report, artifact_section

    with console().status("drawing the report"):
        sections = [*sections_of(sliced, embedders), *sections_of(sliced, embedders, plots=True)]
        if outcome.results:
            tables = verification_sections(embedders, outcome, conditions)
            details = detail_sections(data, embedders, outcome, **options)
            sections = [*tables, *sections, curves_section(embedders, outcome), *details]
        sections.append(artifact_section([embedder.artifact for embedder in embedders]))
        title = f"Verification on {images_of(data).name}"
        save_report(Report(title=title, sections=sections, command=command_line()), out)


def _show(
    embedders: Sequence[Embedder], outcome: Outcome, conditions: Sequence[Condition], sliced: Sliced, as_json: bool
) -> None:
    from ..evaluate.slice_table import slice_facts
    from ..evaluate.verification_table import verification_facts, verification_sections
    from ..render import print_section

    measured = outcome.results != ()
    if as_json:
        facts = verification_facts(embedders, outcome, conditions) if measured else {}
        slices = [slice_facts(embedders, *each) for each in sliced]
        print_json({"command": command_line(), **facts, **({"slices": slices} if slices else {})})
        return
    tables = verification_sections(embedders, outcome, conditions) if measured else []
    for section in (*tables, *sections_of(sliced, embedders)):
        print_section(section)


def _record(embedders: Sequence[Embedder]) -> None:
    from ..evaluate.calibrate import write_compatible

    for embedder in embedders[1:]:
        write_compatible(embedder.artifact, [embedders[0].contract.precision])
