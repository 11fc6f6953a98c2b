"""`evaluate verification --by`: the options, and what is measured for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from .output import PATH, console

if TYPE_CHECKING:
    from ..evaluate.slice_run import FileSlices
    from ..evaluate.slices import Slices
    from ..evaluate.verification import Data
    from ..report import Section
    from ..runtime.embedder import Embedder

    Sliced = list[tuple[Slices, tuple[FileSlices, ...]]]

_OPTIONS = (
    click.option("--by", multiple=True, help="Also measure each slice by this column. Repeatable."),
    click.option("--edges", help="Cut a column of numbers at these: 18,30,60. Default: into --bins."),
    click.option(
        "--bins", type=click.IntRange(2), default=4, show_default=True, help="Ranges of about as many pictures."
    ),
    click.option("--columns", type=PATH, help="CSV file with a column 'name' and others, to slice by."),
    click.option("--scheme", help="Columns that the pictures' names give: utkface (age, gender, group), allage (age)."),
)


def slice_options(command: Callable[..., None]) -> Callable[..., None]:
    """What to slice by, and where the columns come from."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_edges(text: str | None) -> tuple[float, ...] | None:
    """Numbers with commas between them."""
    try:
        return tuple(map(float, text.split(","))) if text else None
    except ValueError as e:
        raise click.BadParameter(f"expected numbers with commas between them, got {text}", param_hint="--edges") from e


def slice_files(
    data: Data,
    embedders: Sequence[Embedder],
    by: Sequence[str],
    edges: Sequence[float] | None,
    bins: int,
    *,
    settings: Any,
    detector: Any,
    cache: Any,
) -> Sliced:
    """Each column's slices with what every file does on them; the embeddings come from the cache."""
    from ..evaluate.embeddings import embed_images
    from ..evaluate.slice_run import measure_slices
    from ..evaluate.slices import cut
    from ..evaluate.verification import images_of

    cuts = [cut(data, column, edges=edges, bins=bins) for column in by]
    if not cuts:
        return []
    with console().status("slicing"):
        options = {"detector": detector, "flip": settings.flip, "cache": cache}
        embedded = [embed_images(images_of(data), embedder, **options) for embedder in embedders]
        alike = [embedder.fingerprint == embedders[0].fingerprint for embedder in embedders]
        options = {"far": settings.far, "comparable": alike, "rounds": settings.rounds, "seed": settings.seed}
        return [(slices, measure_slices(data, embedded, slices, **options)) for slices in cuts]


def sections_of(sliced: Sliced, embedders: Sequence[Embedder], *, plots: bool = False) -> list[Section]:
    """Tables of all columns; or plots, for a report."""
    from msgspec.structs import replace

    from ..evaluate.slice_table import slice_plots, slice_sections
    from ..evaluate.verification_table import untrained

    names, make = [embedder.artifact.path.name for embedder in embedders], slice_plots if plots else slice_sections
    sections = [section for slices, found in sliced for section in make(names, slices, found)]
    if sections and not plots:
        sections[0] = replace(sections[0], notes=[*untrained(embedders), *sections[0].notes])
    return sections
