"""`evaluate detection`: are the faces found?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .evaluate_output import exported, finish, out
from .output import PATH, as_json, backend, console, parse_size, threads
from .source import a_cache, no_cache

if TYPE_CHECKING:
    from ..evaluate.detection import Regime


@click.command()
@click.argument("data", type=PATH)
@exported("detector")
@click.option("--images", type=PATH, help="Folder of the pictures. Default: looked for around the annotations.")
@click.option("--size", help="Test size: 640, 480x640 (height x width) or original. Default: the contract's.")
@click.option("--max-side", type=click.IntRange(1), help="Original size, but the longer side at most this.")
@click.option("--lowest", type=click.FloatRange(0, 1), default=0.02, show_default=True, help="Lowest score for AP.")
@click.option("--strict", is_flag=True, help="Stop if a picture is missing instead of leaving it out.")
@no_cache
@out
@backend
@threads
@as_json
def detection(
    data: Path,
    models: Sequence[Path],
    images: Path | None,
    size: str | None,
    max_side: int | None,
    lowest: float,
    strict: bool,
    no_cache: bool,
    out: Path | None,
    backend: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Measure detection on DATA: average precision, recall by size of face, error of the landmarks.

    DATA is WIDER FACE's folder with the lists of its eval_tools (wider_face_val.mat and the three beside it: then the
    official protocol gives easy, medium and hard), a wider_face_*_bbx_gt.txt, a folder of VOC's .xml, or a .json:
    [{"file": "a.jpg", "faces": [{"box": [x1, y1, x2, y2], "landmarks": [[x, y], ...], "ignore": false}]}].
    """
    from ..artifact import load_artifact
    from ..errors import InvalidData
    from ..evaluate.detection import evaluate_detection, open_detection_set
    from ..evaluate.detection.table import detection_facts, detection_sections

    regime = _regime(size, max_side)
    pictures = open_detection_set(data, images, strict=strict)
    results = []
    with a_cache(no_cache) as cache, console().status("") as status:
        for model in models:

            def progress(done: int, of: int, name: str = model.name) -> None:
                status.update(f"{name}: {done} of {of} pictures")

            options: dict[str, Any] = {"backend": backend, "threads": threads, "lowest": lowest, "cache": cache}
            results.append(evaluate_detection(load_artifact(model), pictures, regime, progress=progress, **options))
            if strict and results[-1].problems:
                raise InvalidData(f"{results[-1].problems[0]}; leave out --strict to go on without")
    facts, artifacts = [detection_facts(r) for r in results], [r.artifact for r in results]
    title = f"Detection on {pictures.name}"
    finish(title, detection_sections(results), facts, artifacts, out=out, as_json=as_json)


def _regime(size: str | None, max_side: int | None) -> Regime | None:
    from ..evaluate.detection import Regime

    if size and max_side:
        raise click.UsageError("--size and --max-side exclude each other")
    if max_side or size == "original":
        return Regime(max_side=max_side)
    if size is None:
        return None
    return Regime(size=parse_size(size, " or original"))
