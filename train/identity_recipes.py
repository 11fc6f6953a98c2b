"""Recipes of learning identities: those that the networks here were published with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from .augment import Augmentation
from .margin import ARCFACE, COSFACE, Margin
from .settings import Settings

Positive = Annotated[int, msgspec.Meta(ge=1)]

#: Published recipes change a crop no further.
FLIP = Augmentation(rotate_deg=0, scale=0, shift=0, light=0, grey=0, spoil=0)
#: Pictures in Glint360K, for steps from epochs.
_GLINT360K = 17_091_657


class Identities(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="identities"):
    """A recogniser from pictures of people who are known apart.

    Attributes:
        network: name in the registry.
        settings: of the loop.
        batch: crops per process and step.
        loss: ``margin``, or ``triplet`` for FaceNet's, which takes no margin from here.
        margin: of the margin loss.
        centres: for each identity; 3 is sub-centre ArcFace, which leaves a ``kept.csv`` in the run's folder.
        share: of the classes that a step takes, 1 for all; less, or several processes, make it Partial FC.
        group: crops of one identity in a row of a batch; triplets want several.
        kept: a ``kept.csv``; then only its crops are learnt.
        teacher: name in the registry of a frozen network, whose weights are given beside; empty for none.
        teaching: ``difference`` for the mean squared difference of the embeddings, or ``harmony`` for triplets with the
            teacher's, which keep the new embeddings comparable with its.
        teaching_weight: of that beside the head's loss.
        symmetry: weight of SymFace's loss: the halves of frontal faces agree. It needs a detector.
        detector: file of an exported detector, which tells what crops are frontal; empty for none.
        augmentation: of the crops.
        summary: a line for a listing.
    """

    network: str
    settings: Settings
    batch: Annotated[int, msgspec.Meta(ge=2)] = 128
    loss: Literal["margin", "triplet"] = "margin"
    margin: Margin = COSFACE
    centres: Positive = 1
    share: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)] = 1.0
    group: Positive = 1
    kept: str = ""
    teacher: str = ""
    teaching: Literal["difference", "harmony"] = "difference"
    teaching_weight: Annotated[float, msgspec.Meta(ge=0.0)] = 0.5
    symmetry: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0
    detector: str = ""
    augmentation: Augmentation = FLIP
    summary: str = ""


def _published(epochs: int, batch: int, weight_decay: float) -> Settings:
    """AdamW at 6e-3, falling linearly to 0 without a rise; FaceLiVT's ``configs``."""
    steps = _GLINT360K * epochs // batch
    return Settings(
        steps=steps, learning_rate=6e-3, weight_decay=weight_decay, clip=5.0, precision="bfloat16", workers=4
    )


#: Batches are those of one process; steps count those of all the processes that the publication used.
IDENTITY_PRESETS: Mapping[str, Identities] = {
    "facelivt_s": Identities(
        network="facelivt_s",
        settings=_published(20, 8 * 256, 1e-4),
        batch=256,
        summary="FaceLiVT-S as published: CosFace on Glint360K, 8 processes; its teacher is yours to name",
    ),
    "facelivt_m": Identities(
        network="facelivt_m",
        settings=_published(20, 4 * 256, 1e-4),
        batch=256,
        summary="FaceLiVT-M as published: CosFace on Glint360K, 4 processes; its teacher is yours to name",
    ),
    **{
        f"facelivtv2_{size}": Identities(
            network=f"facelivtv2_{size}",
            settings=_published(50, 1024, 1e-2),
            batch=256,
            summary=f"FaceLiVTv2-{size.upper()} as published: CosFace on Glint360K, 4 processes",
        )
        for size in ("xs", "s", "m", "l")
    },
    "subcentres_xs": Identities(
        network="facelivtv2_xs",
        settings=Settings(steps=20_000, learning_rate=2e-3, warmup=500, precision="bfloat16", workers=4),
        margin=ARCFACE,
        centres=3,
        summary="sub-centre ArcFace, to find the wrongly labelled in a set of crops: leaves kept.csv",
    ),
    "symface_xs": Identities(
        network="facelivtv2_xs",
        settings=Settings(steps=20_000, learning_rate=2e-3, warmup=500, precision="bfloat16", workers=4),
        symmetry=1.0,
        summary="CosFace, and the halves of frontal faces agree; --set detector=FILE finds out which are frontal",
    ),
    "triplets_xs": Identities(
        network="facelivtv2_xs",
        settings=Settings(steps=20_000, learning_rate=1e-3, warmup=500, precision="bfloat16", workers=4),
        batch=240,
        loss="triplet",
        group=8,
        augmentation=Augmentation(),
        summary="FaceNet's semi-hard triplets; with a teacher and teaching=harmony, comparable with its embeddings",
    ),
}
