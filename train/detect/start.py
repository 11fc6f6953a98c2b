"""From a recipe and a store of scenes to a running training of a detector."""

from __future__ import annotations

from pathlib import Path

import msgspec
import torch

from ...artifact import atomic
from ...errors import InvalidData
from ...models import create_model
from ...models.checkpoint import load_weights
from ...models.mos import Mos
from ..loop import Progress, run
from ..ranks import Ranks
from .batches import Batches
from .recipe import Detect
from .scenes import SceneStore
from .task import Detection, Learner


def train_detector(
    recipe: Detect,
    scenes: Path,
    out: Path,
    *,
    weights: Path | None = None,
    progress: Progress = lambda step, losses: None,
) -> Path:
    """Train, or go on with what a folder holds.

    Args:
        recipe: what and how.
        scenes: folder of a store of scenes.
        out: folder of the run.
        weights: to begin with instead of random ones.
        progress: told after each step.

    Returns:
        The file with the weights that ship.

    Raises:
        InvalidData: no such store, a folder of another run, or a network that is no detector.
        InvalidModel: weights of another network.
    """
    torch.manual_seed(recipe.settings.seed)
    network = create_model(recipe.network)
    if not isinstance(network, Mos):
        raise InvalidData(f"{recipe.network} is no detector that can be trained here; try mos_xs or mos_s")
    if weights:
        load_weights(network, weights)
    learner, ranks = Learner(network, recipe.worth, compiled=recipe.compiled), Ranks.from_environment()
    feedback = learner.feedback if recipe.feedback else None
    store, seed = SceneStore(scenes), recipe.settings.seed
    hide = recipe.masks, recipe.things
    shown = Batches(store, recipe.batch, recipe.side, recipe.shares, feedback, recipe.dense, seed, ranks.index, hide)
    if ranks.first:
        with atomic(out / "recipe.json") as temporary:
            temporary.write_bytes(msgspec.json.format(msgspec.json.encode(recipe), indent=2) + b"\n")
    return run(Detection(learner, shown), recipe.settings, out, progress=progress)
