"""How a detector is trained, as data, and from that and a store of scenes to a running training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import torch

from ...artifact import atomic
from ...errors import InvalidData
from ...models import create_model
from ...models.checkpoint import load_weights
from ...models.mos import Mos
from ..loop import Progress, run
from ..ranks import Ranks
from ..settings import Settings
from .batches import Batches
from .scenes import SceneStore
from .sources import PORTRAITS
from .task import WORTH, Detection, Learner

#: How often crops are of the data sets that MOS-XS was trained on; the fourth, ilc2021, gets the rest.
SHARES = {"wider_train": 0.35, "facemask853": 0.25, PORTRAITS: 0.2}

Weight = Annotated[float, msgspec.Meta(ge=0.0)]


class Detect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="detect"):
    """A detector on scenes that :mod:`pocketface.train.detect.labels` made.

    Attributes:
        network: name in the registry.
        settings: of the loop.
        batch: crops per process and step.
        side: of a crop, a multiple of 32. Faces are as large in it as in an input of 320; a smaller crop costs less.
        shares: of crops by source; sources that are not named share what is left.
        worth: of the tasks, see :class:`pocketface.train.detect.losses.Uncertainty`.
        feedback: whether the losses ask for mosaics and for pasted false detections.
        dense: share of crops that are mosaics anyway, see :class:`pocketface.train.detect.batches.Batches`.
        compiled: whether torch compiles the network: minutes at the start, then a quarter less time on a CPU.
        summary: a line for a listing.
    """

    network: str
    settings: Settings
    batch: Annotated[int, msgspec.Meta(ge=2)] = 32
    side: Annotated[int, msgspec.Meta(ge=64, multiple_of=32)] = 256
    shares: Mapping[str, Weight] = msgspec.field(default_factory=lambda: dict(SHARES))
    worth: Mapping[str, Weight] = msgspec.field(default_factory=lambda: dict(WORTH))
    feedback: bool = True
    dense: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5
    compiled: bool = False
    summary: str = ""


DETECT_XS = Detect(
    network="mos_xs",
    settings=Settings(
        steps=3000,
        learning_rate=3e-3,
        warmup=150,
        weight_decay=0.02,
        average=0.998,
        precision="bfloat16",
        channels_last=False,
        workers=1,
        log_every=10,
        save_every=50,
    ),
    compiled=True,
    summary="MOS-XS on boxes, landmarks and poses, sized for one core and an hour and a half",
)


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
    shown = Batches(store, recipe.batch, recipe.side, recipe.shares, feedback, recipe.dense, seed, ranks.index)
    if ranks.first:
        with atomic(out / "recipe.json") as temporary:
            temporary.write_bytes(msgspec.json.format(msgspec.json.encode(recipe), indent=2) + b"\n")
    return run(Detection(learner, shown), recipe.settings, out, progress=progress)
