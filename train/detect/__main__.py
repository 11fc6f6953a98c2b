"""Train a detector: ``python -m pocketface.train.detect --scenes DIR --out RUN``; a run that was stopped goes on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec

from .recipe import DETECT_XS, Detect, train_detector


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="pocketface.train.detect", description=__doc__)
    parser.add_argument("--scenes", type=Path, required=True, help="folder that pocketface.train.detect.labels made")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--recipe", type=Path, help="JSON of a recipe; MOS-XS is trained as its weights were without")
    parser.add_argument("--weights", type=Path, help="begin with these instead of random ones")
    parser.add_argument("--steps", type=int, help="in all, instead of the recipe's")
    options = parser.parse_args(arguments)
    recipe = msgspec.json.decode(options.recipe.read_bytes(), type=Detect) if options.recipe else DETECT_XS
    if options.steps:
        settings = msgspec.structs.replace(recipe.settings, steps=options.steps)
        recipe = msgspec.structs.replace(recipe, settings=settings)
    print(train_detector(recipe, options.scenes, options.out, weights=options.weights))


if __name__ == "__main__":
    main()
