"""How a detector is trained, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from ..settings import Settings
from .sources import GENERATED, PORTRAITS

#: What each task is worth, see :class:`pocketface.train.detect.losses.Uncertainty`.
WORTH = {"score": 1.0, "box": 1.0, "landmarks": 1.5, "pose": 0.8}
#: How often crops are of the data sets that MOS-XS was trained on; the fifth, ilc2021, gets the rest.
SHARES = {"wider_train": 0.33, "facemask853": 0.2, PORTRAITS: 0.12, GENERATED: 0.2}

Weight = Annotated[float, msgspec.Meta(ge=0.0)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class Detect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="detect"):
    """A detector on scenes that ``pocketface scenes label`` made.

    Attributes:
        network: name in the registry.
        settings: of the loop.
        batch: crops per process and step.
        side: of a crop, a multiple of 32. Faces are as large in it as in an input of 320; a smaller crop costs less.
        shares: of crops by source; sources that are not named share what is left.
        worth: of the tasks, see :class:`pocketface.train.detect.losses.Uncertainty`.
        feedback: whether the losses ask for mosaics and for pasted false detections.
        dense: share of crops that are mosaics anyway, see :class:`pocketface.train.detect.batches.Batches`.
        masks: share of faces with landmarks that are given a mask.
        things: share of faces that something of one colour hides in part.
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
    dense: Share = 0.5
    masks: Share = 0.0
    things: Share = 0.0
    compiled: bool = False
    summary: str = ""


DETECT_PRESETS: Mapping[str, Detect] = {
    "detect_xs": Detect(
        network="mos_xs",
        settings=Settings(
            steps=6_000,
            learning_rate=4e-3,
            warmup=150,
            decay=0.7,
            weight_decay=0.02,
            average=0.998,
            optimizer="muon",
            precision="bfloat16",
            channels_last=False,
            workers=1,
            log_every=10,
            save_every=50,
        ),
        compiled=True,
        summary="MOS-XS on boxes, landmarks and poses, sized for one core and two and a half hours",
    ),
}
