"""`evaluate attack`: can a picture be made that is decided wrongly, also by the file on the phone?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .evaluate_output import exported, far, finish, out
from .output import FILE, PATH, as_json, backend, console, random_seed, threads
from .source import Source, a_cache, data_options

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..runtime.embedder import Embedder

_KINDS = click.Choice(["pgd", "sticker", "glasses", "mask"])
_GOALS = click.Choice(["dodging", "impersonation"])


@click.command()
@click.argument("data", type=PATH)
@exported("recogniser")
@click.option("--weights", type=FILE, help="Checkpoint that the first file was made from, unless it was seeded.")
@click.option("--attack", "kinds", type=_KINDS, multiple=True, default=["pgd"], show_default=True, help="Repeatable.")
@click.option(
    "--goal",
    "goals",
    type=_GOALS,
    multiple=True,
    default=["dodging", "impersonation"],
    help="Repeatable. Default: both.",
)
@click.option("--universal", is_flag=True, help="One change for all pictures instead of one for each.")
@click.option("--iterations", type=click.IntRange(1), help="Steps. Default: 40 for pgd, 60 for patches.")
@click.option("--pairs", "count", type=click.IntRange(1), default=32, show_default=True, help="Pairs to attack.")
@click.option("--threshold", type=click.FloatRange(-1, 1), help="Cosine, for all files. Default: of --far on DATA.")
@far("On DATA.")
@data_options
@random_seed
@out
@backend
@threads
@as_json
def attack(
    data: Path,
    models: Sequence[Path],
    weights: Path | None,
    kinds: Sequence[str],
    goals: Sequence[str],
    universal: bool,
    iterations: int | None,
    count: int,
    threshold: float | None,
    far: float,
    source: Source,
    seed: int,
    out: Path | None,
    backend: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Attack pairs of DATA through the first file's network in torch, and judge the pictures by every file.

    After FACESEC: pgd changes every value by at most 8 levels of 255; sticker, glasses and mask are patches of any
    colour. The network is built again from the first file's contract, and the same pictures are then given to all
    files: whether float's attack works on int8 is what the table says.
    """
    from ..artifact import load_artifact
    from ..evaluate.attacks import plan
    from ..evaluate.transfer import run_attacks
    from ..evaluate.transfer_table import transfer_plot, transfer_section
    from ..evaluate.verification_table import untrained
    from ..runtime.embedder import Embedder

    if out:
        from ..evaluate.plots import require_matplotlib

        require_matplotlib()
    made: dict[str, Any] = {"universal": universal, "iterations": iterations}
    plans = [plan(kind, goal, **made) for goal in goals for kind in kinds]  # type: ignore[arg-type]
    artifacts = [load_artifact(model) for model in models]
    files = [Embedder(artifact, backend=backend, threads=threads) for artifact in artifacts]
    with a_cache(source.no_cache) as cache, console().status("building the network again") as status:
        network, original = _original(artifacts[0], weights)
        status.update(f"reading {data.name}")
        opened, finder = source.open(data), source.finder(threads)
        limits = [threshold] * (1 + len(files)) if threshold is not None else []
        for judge in (original, *files) if threshold is None else ():
            status.update(f"the threshold of {judge.artifact.path.name} on {judge.backend}")
            limits.append(_threshold(opened, judge, far, {"detector": finder, "cache": cache}))
        options: dict[str, Any] = {"count": count, "detector": finder, "seed": seed, "progress": status.update}
        found, faults = run_attacks(opened, network, original, files, plans, limits, **options)
    sections = [transfer_section(found, [*untrained(files), *faults])]
    title, drawn = f"Attacks on {data.name}", lambda: [transfer_plot(found)]
    finish(title, sections, found, artifacts, out=out, as_json=as_json, drawn=drawn)


def _original(artifact: Artifact, weights: Path | None) -> tuple[Any, Embedder]:
    """The network in torch with normalisation before it, and the same as an embedder."""
    from dataclasses import replace

    import msgspec

    from ..contract import InputSpec
    from ..evaluate.reference import TorchBackend
    from ..export import original_of
    from ..export.quiet import quiet
    from ..runtime.embedder import Embedder

    with quiet():
        network = original_of(artifact, weights).training
    height, width = artifact.contract.input.height, artifact.contract.input.width
    spec = InputSpec(name="image", layout="NCHW", height=height, width=width, dynamic_batch=True)
    contract = msgspec.structs.replace(artifact.contract, input=spec, precision="float32")
    return network, Embedder(replace(artifact, contract=contract), backend=TorchBackend(network))


def _threshold(data: Any, judge: Embedder, far: float, options: dict[str, Any]) -> float:
    from ..evaluate.embeddings import embed_images
    from ..evaluate.slice_run import common_threshold
    from ..evaluate.verification import images_of

    return common_threshold(data, embed_images(images_of(data), judge, **options), far)
