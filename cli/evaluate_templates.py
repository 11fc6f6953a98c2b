"""`evaluate templates`: sets of pictures of one person, pooled in several ways, compared with sets of another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .evaluate_output import finish, flip, out
from .output import PATH, as_json, backend, console, threads
from .source import Source, a_cache, data_options

if TYPE_CHECKING:
    from ..evaluate.aggregator import Aggregator
    from ..evaluate.data import ImageSet
    from ..evaluate.embeddings import Embedded
    from ..evaluate.pooling import Protocol
    from ..evaluate.templates import Floats
    from ..runtime.embedder import Embedder


@click.command()
@click.argument("data", type=PATH)
@click.option("--model", type=PATH, required=True, help="Exported recogniser.")
@click.option("--size", type=click.IntRange(1), default=4, show_default=True, help="Pictures of a random template.")
@click.option("--members", type=PATH, help="IJB's list: picture, template, medium. Without it, templates are random.")
@click.option("--pairs", type=PATH, help="IJB's list: template, template, label. Together with --members.")
@click.option("--quality", type=PATH, help="CSV (name, quality) of the pictures, to weigh them by.")
@click.option("--learn-from", type=PATH, help="Other people's pictures, to learn an aggregator from.")
@click.option("--aggregator", type=PATH, help="A learnt aggregator (.safetensors): read, or written by --learn-from.")
@flip
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random templates and of the learning.")
@data_options
@out
@backend
@threads
@as_json
def templates(
    data: Path,
    model: Path,
    size: int,
    members: Path | None,
    pairs: Path | None,
    quality: Path | None,
    learn_from: Path | None,
    aggregator: Path | None,
    flip: bool,
    seed: int,
    out: Path | None,
    backend: str | None,
    threads: int | None,
    as_json: bool,
    source: Source,
) -> None:
    """Compare ways to pool the pictures of a person into one embedding: TAR of pairs of templates.

    DATA is pictures with identities, cut into random templates of --size, or the pictures of IJB-B or IJB-C with the
    two lists of its protocol. The mean stands first; then the mean weighted by the length of the embeddings, if the
    file does not normalise them, and by --quality; last an aggregator that was learnt from other people's pictures.
    """
    from ..evaluate.aggregator import load_aggregator
    from ..evaluate.pooling import ijb_protocol, measure_pooling, pooling_section, random_protocol
    from ..evaluate.quality_sources import qualities_of, read_qualities
    from ..runtime.embedder import Embedder

    if (members is None) != (pairs is None):
        raise click.UsageError("--members and --pairs are two lists of one protocol: give both or neither")
    embedder = Embedder(model, backend=backend, threads=threads)
    images, embedded = _embed(data, source, embedder, flip, threads)
    protocol: Protocol = (
        ijb_protocol(members, pairs, images) if members and pairs else random_protocol(images, size, seed=seed)
    )
    weights: dict[str, Floats] = {} if embedder.task.normalized else {"weighted by norm": embedded.norms}
    if quality:
        weights["weighted by quality"] = qualities_of(images, read_qualities(quality))
    pool = _learnt(learn_from, source, aggregator, images, embedder, flip, seed, threads) if learn_from else None
    if aggregator and not learn_from:
        pool = load_aggregator(aggregator)
    rows = measure_pooling(protocol, embedded, weights=weights, aggregate=pool)
    section = pooling_section(protocol, rows, [*images.problems, *embedded.problems])
    finish(f"Templates on {images.name}", [section], rows, [embedder.artifact], out=out, as_json=as_json)


def _learnt(
    path: Path,
    source: Source,
    file: Path | None,
    tested: ImageSet,
    embedder: Embedder,
    flip: bool,
    seed: int,
    threads: int | None,
) -> Aggregator:
    from ..evaluate.aggregator import train_aggregator
    from ..evaluate.pooling import require_others

    images, embedded = _embed(path, replace(source, images=None, identities=None), embedder, flip, threads)
    require_others(images, tested)
    good = [i for i, failed in enumerate(embedded.failed) if not failed]
    who = [str(images.samples[i].identity) for i in good]
    with console().status("") as status:

        def told(done: int, total: int) -> None:
            status.update(f"learning an aggregator: {done} of {total} steps")

        learnt = train_aggregator(embedded.vectors[good], who, seed=seed, progress=told)
    if file:
        learnt.save(file)
    return learnt


def _embed(
    path: Path, source: Source, embedder: Embedder, flip: bool, threads: int | None
) -> tuple[ImageSet, Embedded]:
    from ..evaluate.data import open_images
    from ..evaluate.embeddings import embed_images

    how: dict[str, Any] = {"identities": source.identities, "aligned": source.aligned, "strict": source.strict}
    pictures, finder = open_images(source.images or path, **how), source.finder(threads)
    with a_cache(source.no_cache) as cache, console().status("") as status:

        def told(done: int, total: int) -> None:
            status.update(f"{pictures.name}: {done:,} of {total:,} pictures")

        return pictures, embed_images(pictures, embedder, detector=finder, flip=flip, cache=cache, progress=told)
