"""``pocketface train``: networks from data, by recipes that are data themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from .output import FILE, PATH, as_json, console, print_json


@click.command()
@click.argument("preset")
@click.option("--data", "data", type=PATH, multiple=True, help="Aligned crops: folder, tar, .rec or store. Repeatable.")
@click.option("--detector", type=PATH, help="Exported detector, which aligns the pictures of --data first.")
@click.option("--teacher", "teachers", type=FILE, multiple=True, help="Learn from it: ONNX, or weights. Repeatable.")
@click.option("--weights", type=FILE, help="Begin with these weights instead of random ones.")
@click.option("--out", type=PATH, required=True, help="Folder of the run; the same folder goes on where it stopped.")
@click.option("--store", type=PATH, help="Folder for decoded crops; runs can share it. Default: crops in the run's.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change the recipe: settings.steps=900.")
@as_json
def train(
    preset: str,
    data: Sequence[Path],
    detector: Path | None,
    teachers: Sequence[Path],
    weights: Path | None,
    out: Path,
    store: Path | None,
    changes: Sequence[str],
    as_json: bool,
) -> None:
    """Train a network by a PRESET, or by a recipe from a JSON file.

    \b
    pocketface train distill_xs --data faces.tar --teacher teacher.onnx --out run
    torchrun --nproc-per-node 4 -m pocketface train distill_xs ...

    The run's folder gets weights.safetensors, checkpoint.pt to go on from, log.jsonl, loss.png and recipe.json.
    """  # noqa: D301 - click reads the escape as "keep these lines"
    from ..train.plot import plot_losses
    from ..train.recipes import change, find_recipe
    from ..train.start import train as start
    from .progress import training_bar

    pairs = dict(text.partition("=")[::2] for text in changes)
    recipe = change(find_recipe(preset), pairs)
    given = {"detector": detector, "weights": weights, "store": store}
    with training_bar(console(), recipe.settings.steps) as bar:
        file = start(recipe, data, out, teachers=teachers, **given, work=bar.work, progress=bar.step)
    plot = plot_losses(out)
    if as_json:
        print_json({"weights": str(file), "plot": str(plot), "losses": bar.losses})
    else:
        click.echo(f"weights: {file}\nlosses: {plot}")


COMMANDS = (train,)
