"""`evaluate quality`: does refusing bad pictures avoid errors?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .evaluate_output import exported, finish, out
from .output import PATH, as_json, backend, console, threads
from .source import Source, a_cache, data_options

if TYPE_CHECKING:
    from ..evaluate.quality import Discarding
    from ..report import Section

#: What a command finds: curves, qualities by measure and picture, and notes.
Found = tuple[list["Discarding"], dict[str, Mapping[str, float]], list[str]]


@click.command()
@click.argument("data", type=PATH, nargs=-1, required=True)
@exported("recogniser", required=False)
@click.option(
    "--quality",
    "sources",
    multiple=True,
    help="A CSV (name, quality), a forest (.npz), `norm` or `output`. Repeatable.",
)
@click.option("--re-estimate", is_flag=True, help="Also set the threshold again on what is left.")
@click.option("--spoil", is_flag=True, help="Add a copy of each picture, spoiled in one of forty ways.")
@data_options
@out
@backend
@threads
@as_json
def quality(
    data: Sequence[Path],
    models: Sequence[Path],
    sources: Sequence[str],
    re_estimate: bool,
    spoil: bool,
    out: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Draw error-versus-discard curves: FNMR at FMR 1e-2, 1e-3 and 1e-4 when the worst pairs are refused.

    DATA is one or more CSV files of scored pairs (same, score, and quality or quality_a and quality_b; with a and b
    naming the pictures, files are also compared). Or, with --model, one data set as `evaluate verification` takes it;
    the quality of its pictures is read from --quality: a CSV (name, quality), the length of the embedding (norm), an
    output of the model that its contract calls quality or recognizability (output), or a landmark forest (.npz), which
    judges the face that --detector finds.
    """
    from ..artifact import load_artifact
    from ..evaluate.quality import agreements
    from ..evaluate.quality_table import discarding_facts, quality_sections

    if models and (len(data) > 1 or not sources):
        raise click.UsageError("--model takes one DATA and at least one --quality")
    if spoil and not models:
        raise click.UsageError("--spoil needs pictures: name a recogniser with --model")
    options = {"spoil": spoil, **options}
    found = _of_models(data[0], models, sources, re_estimate, **options) if models else _of_files(data, re_estimate)
    results, measures, notes = found
    alike = agreements(measures)
    facts = {"curves": [discarding_facts(r) for r in results], "agreement": alike, "notes": notes}

    def drawn() -> list[Section]:
        from ..evaluate.quality_report import discard_section

        return [discard_section(results)]

    sections, artifacts = quality_sections(results, alike, notes), [load_artifact(model) for model in models]
    title = f"Quality on {', '.join(path.name for path in data)}"
    finish(title, sections, facts, artifacts, out=out, as_json=as_json, drawn=drawn)


def _of_files(files: Sequence[Path], re_estimate: bool) -> Found:
    from ..errors import InvalidData
    from ..evaluate.quality import discard_all
    from ..evaluate.quality_sources import is_scored, read_scored_pairs

    results: list[Discarding] = []
    measures: dict[str, Mapping[str, float]] = {}
    for file in files:
        if not is_scored(file):
            raise InvalidData(f"{file}: no CSV with a column score; for a data set, name a recogniser with --model")
        pairs = read_scored_pairs(file)
        results += discard_all(str(file), pairs.genuine, pairs.quality, pairs.impostors, re_estimated=re_estimate)
        if pairs.pictures:
            measures[str(file)] = pairs.pictures
    return results, measures, []


def _of_models(
    path: Path,
    models: Sequence[Path],
    sources: Sequence[str],
    re_estimate: bool,
    *,
    spoil: bool,
    source: Source,
    backend: str | None,
    threads: int | None,
) -> Found:
    from ..errors import InvalidData
    from ..evaluate.data import ImageSet
    from ..evaluate.embeddings import embed_images
    from ..evaluate.quality import discard_all, pairs_of
    from ..evaluate.spoiled import with_spoiled_copies
    from ..evaluate.verification import images_of
    from ..runtime.embedder import Embedder

    data = source.open(path)
    if spoil:
        if not isinstance(data, ImageSet):
            raise InvalidData(f"{path}: --spoil takes pictures with identities, not a list of pairs")
        data = with_spoiled_copies(data)
    pictures, finder = images_of(data), source.finder(threads)
    results: list[Discarding] = []
    measures: dict[str, Mapping[str, float]] = {}
    notes = list(pictures.problems)
    with a_cache(source.no_cache) as cache, console().status("") as status:
        for model in models:

            def progress(done: int, of: int, name: str = model.name) -> None:
                status.update(f"{name}: {done} of {of} pictures")

            embedder = Embedder(model, backend=backend, threads=threads)
            embedded = embed_images(
                pictures, embedder, detector=finder, cache=cache, threads=threads, progress=progress
            )
            notes += embedded.problems
            for named in sources:
                values = _qualities(named, pictures, embedder, finder, embedded)
                measure = f"{model.name}, {Path(named).name}"
                if lost := sum(value == float("-inf") for value in values):
                    notes.append(f"{measure}: {lost} of {len(values)} pictures have no quality: refused first.")
                measures[measure] = dict(zip([s.name for s in pictures.samples], map(float, values), strict=True))
                status.update(f"{measure}: discarding")
                results += discard_all(measure, *pairs_of(data, embedded, values), re_estimated=re_estimate)
    return results, measures, notes


def _qualities(source: str, pictures: Any, embedder: Any, detector: Any, embedded: Any) -> Any:
    import numpy as np

    from ..errors import InvalidContract
    from ..evaluate.quality_sources import forest_qualities, model_qualities, qualities_of, read_qualities
    from ..runtime.forest import load_forest

    if source == "output":
        return model_qualities(pictures, embedder, detector)
    if source.endswith(".npz"):
        if detector is None:
            raise click.UsageError(f"{source} judges what a detector finds: name one with --detector")
        return forest_qualities(pictures, load_forest(Path(source)), detector)
    if source != "norm":
        return qualities_of(pictures, read_qualities(Path(source)))
    if embedder.task.normalized:
        raise InvalidContract(
            f"{embedder.artifact.path}: its graph divides embeddings by their length, which then says nothing; "
            "name a CSV of qualities with --quality"
        )
    return np.where(embedded.failed, -np.inf, embedded.norms)
