"""`evaluate robustness`: what is left of verification when pictures are spoiled?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from .evaluate_output import exported, far, finish, out
from .output import PATH, as_json, backend, console, random_seed, threads
from .source import Source, a_cache, data_options


@click.command()
@click.argument("data", type=PATH)
@exported("recogniser")
@click.option("--corruption", "kinds", multiple=True, help="blur, jpeg, noise, ... Repeatable. Default: all.")
@click.option("--strength", "strengths", type=click.IntRange(1, 5), multiple=True, help="Repeatable. Default: 1 to 5.")
@far("On clean pairs.")
@data_options
@random_seed
@out
@backend
@threads
@as_json
def robustness(
    data: Path,
    models: Sequence[Path],
    kinds: Sequence[str],
    strengths: Sequence[int],
    far: float,
    source: Source,
    seed: int,
    out: Path | None,
    backend: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Measure TAR on DATA, as of `evaluate verification`, while one picture of every pair is spoiled.

    Blur, JPEG, low resolution, noise, too little or too much light, a box over the face and a face mask, at five
    strengths, on the aligned crop. The threshold is fixed on clean pairs. A run that was killed goes on where it was.
    """
    from ..errors import InvalidData
    from ..evaluate.corruptions import CORRUPTIONS
    from ..evaluate.robustness import run_robustness
    from ..evaluate.robustness_table import robustness_facts, robustness_plots, robustness_section
    from ..evaluate.verification_table import untrained
    from ..runtime.embedder import Embedder

    if unknown := [kind for kind in kinds if kind not in CORRUPTIONS]:
        raise InvalidData(f"there is no corruption {unknown[0]!r}, only {', '.join(CORRUPTIONS)}")
    if out:
        from ..evaluate.plots import require_matplotlib

        require_matplotlib()
    embedders = [Embedder(model, backend=backend, threads=threads) for model in models]
    how: dict[str, Any] = {
        "kinds": list(dict.fromkeys(kinds)) or tuple(CORRUPTIONS),
        "strengths": sorted(set(strengths)) or range(1, 6),
        "far": far,
        "detector": source.finder(threads),
        "seed": seed,
    }
    with a_cache(source.no_cache) as cache, console().status(f"reading {data.name}") as status:
        opened = source.open(data)
        found = [run_robustness(opened, each, cache=cache, progress=status.update, **how) for each in embedders]
    names, facts = [e.artifact.path.name for e in embedders], robustness_facts(embedders, found)
    finish(
        f"Robustness on {data.name}",
        [robustness_section(names, found, untrained(embedders))],
        facts,
        [embedder.artifact for embedder in embedders],
        out=out,
        as_json=as_json,
        drawn=lambda: [robustness_plots(names, found)],
    )
