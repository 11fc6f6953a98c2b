"""``pocketface scenes``: what a detector learns from, and how good it is on what was held out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from .output import FILE, PATH, InOrder, as_json, console, print_json, show, show_facts

_network = click.option("--name", default="mos_xs", show_default=True, help="The network that checkpoints are of.")
_store = click.argument("scenes", type=PATH)


@click.group(cls=InOrder)
def scenes() -> None:
    """Scenes: decoded pictures with boxes, landmarks and head poses, for training and judging detectors.

    \b
    pocketface scenes label detect/ landmarks/ generated/ --facemesh face_landmark.tflite --out scenes
    pocketface train detect_xs --data scenes --out run
    pocketface scenes calibrate scenes run/weights.safetensors --out mos_xs.safetensors
    pocketface scenes report scenes --model mos_xs.safetensors --model other.onnx

    A tenth of the pictures, told by their names, is held out of training; report and calibrate use no other.
    """  # noqa: D301 - click reads the escape as "keep these lines"


@scenes.command()
@click.argument("data", type=PATH, nargs=-1, required=True)
@click.option("--out", type=PATH, required=True, help="Folder of the scenes that are made.")
@click.option("--facemesh", type=FILE, help="MediaPipe's face_landmark.tflite, which teaches landmarks and head pose.")
@as_json
def label(data: Sequence[Path], out: Path, facemesh: Path | None, as_json: bool) -> None:
    """Make scenes from DATA: folders of a detection data set, of tars with annotations.json, of marked portraits.

    What `people --whole` made is such a folder; its pictures are of the source "generated".
    """
    from ..train.detect.labels import label as make

    with console().status("") as status:
        made = make(data, out, facemesh, progress=lambda count: status.update(f"{count} scenes"))
    if as_json:
        print_json(made)
        return
    lines = {"scenes": made.scenes, **made.counts, "left out": len(made.problems)}
    click.echo("\n".join([*(f"{name}: {count}" for name, count in lines.items()), *made.problems[:20]]))


@scenes.command()
@_store
@click.option("--model", "models", type=PATH, multiple=True, required=True, help="Detector or checkpoint. Repeatable.")
@_network
@as_json
def report(scenes: Path, models: Sequence[Path], name: str, as_json: bool) -> None:
    """Compare detectors on the held-out pictures of SCENES: precision, recall, landmarks and head pose.

    A model is an exported detector, or a checkpoint (.safetensors), which runs on torch.
    """
    from ..train.detect.judge import judge
    from ..train.detect.report import TABLES, finder, rows_of
    from ..train.detect.scenes import SceneStore
    from .progress import training_bar

    store, judgements = SceneStore(scenes), {}
    with training_bar(console(), 0) as bar:
        for model in models:
            judgements[str(model)] = judge(finder(model, name), store, partial(bar.work, model.name))
    if as_json:
        print_json({file: asdict(found) for file, found in judgements.items()})
        return
    for part, (title, columns) in enumerate(TABLES):
        show(title, columns, [row for file, found in judgements.items() for row in rows_of(file, found)[part]], False)


@scenes.command()
@_store
@click.argument("weights", type=FILE)
@_network
@click.option("--out", type=FILE, required=True, help="The .safetensors file to write.")
@as_json
def calibrate(scenes: Path, weights: Path, name: str, out: Path, as_json: bool) -> None:
    """Shift the scores of a detector's WEIGHTS so that 0.5 balances recall and precision on the held-out SCENES."""
    from ..train.detect.calibrate import calibrated
    from ..train.detect.scenes import SceneStore
    from .progress import training_bar

    with training_bar(console(), 0) as bar:
        score = calibrated(weights, name, SceneStore(scenes), out, partial(bar.work, weights.name))
    if as_json:
        print_json({"was": score, "is": 0.5, "weights": str(out)})
    else:
        click.echo(f"{score:.4f} is now 0.5: {out}")


@scenes.command("files")
@_store
@click.option("--out", type=PATH, required=True, help="Folder for the pictures.")
@as_json
def files(scenes: Path, out: Path, as_json: bool) -> None:
    """Write the held-out pictures of SCENES for `evaluate detection` and `verdict`, and others to calibrate on."""
    from ..train.detect.heldout import write_parts
    from ..train.detect.scenes import SceneStore

    with console().status(f"writing {out.name}"):
        told = write_parts(SceneStore(scenes), out)
    show_facts(told, as_json)


COMMANDS = (scenes,)
