"""Recipes: what is trained and how, as data. The named ones are the presets of ``pocketface train``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from ..errors import InvalidData
from .augment import Augmentation
from .detect.recipe import DETECT_PRESETS, Detect
from .identity_recipes import IDENTITY_PRESETS, Identities
from .settings import Settings

Weight = Annotated[float, msgspec.Meta(ge=0.0)]


class Distill(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="distill"):
    """A recogniser from one or several teachers.

    Attributes:
        network: name in the registry.
        settings: of the loop.
        batch: crops per process and step.
        relational: weight of the relational loss beside the cosine.
        similarity: weight of the similarity to a bank of other crops beside it.
        bank: number of crops in the bank.
        blends: number of faces beside the data's that are blended of two, see ``train.blends``.
        augmentation: of the student's crops.
        summary: a line for a listing.
    """

    network: str
    settings: Settings
    batch: Annotated[int, msgspec.Meta(ge=2)] = 64
    relational: Weight = 1.0
    similarity: Weight = 0.0
    bank: Annotated[int, msgspec.Meta(ge=1)] = 4096
    blends: Annotated[int, msgspec.Meta(ge=0)] = 0
    augmentation: Augmentation = Augmentation()
    summary: str = ""


class Recognizability(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="recognizability"):
    """The index of recognizability on a trained recogniser, which stays as it is. Prototypes are the teachers'.

    Attributes:
        network: name in the registry, of one with an index.
        settings: of the loop.
        batch: crops per process and step.
        crops: at most so many of the data, drawn at random.
        copies: of each, spoiled as ``augmentation`` says, beside the crop as it is.
        ruined: share of the crops that is shown with nothing left to recognise as well.
        epsilon, tau: of the index and of the diversion loss, see ``train.recognizability``.
        diversion, attention: weights of these losses beside that of the index.
        dropout: share of the features that is left out below the index.
        augmentation: of the copies.
        summary: a line for a listing.
    """

    network: str
    settings: Settings
    batch: Annotated[int, msgspec.Meta(ge=8)] = 256
    crops: Annotated[int, msgspec.Meta(ge=2)] = 10_000
    copies: Annotated[int, msgspec.Meta(ge=0)] = 2
    ruined: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)] = 0.1
    epsilon: Annotated[float, msgspec.Meta(gt=0.0)] = 0.05
    tau: Weight = 2.0
    diversion: Weight = 0.02
    attention: Weight = 50.0
    dropout: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] = 0.2
    augmentation: Augmentation = Augmentation(spoil=0.85, worst=5.0)
    summary: str = ""


class QuantizationAware(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="qat"):
    """A trained recogniser that learns to answer in 8 bits as it does in float, for ``quantize --trained``.

    Attributes:
        network: name in the registry.
        settings: of the loop.
        batch: crops per process and step.
        equalize: whether the ranges of channels are made alike first, which changes no answer.
        pace: how many times faster than weights the ranges of activations learn.
        augmentation: of the crops, which the float network sees likewise.
        summary: a line for a listing.
    """

    network: str
    settings: Settings
    batch: Annotated[int, msgspec.Meta(ge=2)] = 32
    equalize: bool = True
    pace: Annotated[float, msgspec.Meta(gt=0.0)] = 400.0
    augmentation: Augmentation = Augmentation()
    summary: str = ""


#: Recipes that learn from aligned crops, and all.
OfCrops = Distill | Recognizability | Identities | QuantizationAware
Recipe = OfCrops | Detect

PRESETS: Mapping[str, Recipe] = {
    "distill_xs": Distill(
        network="facelivtv2_xs",
        settings=Settings(
            steps=6_000,
            learning_rate=3e-3,
            warmup=100,
            decay=0.65,
            average=0.996,
            optimizer="muon",
            precision="bfloat16",
            workers=1,
        ),
        batch=128,
        similarity=1.0,
        relational=0.0,
        augmentation=Augmentation(spoil=0.15, worst=3.0),
        summary="FaceLiVTv2-XS from ONNX teachers, two hours of one core",
    ),
    "recognizability_xs": Recognizability(
        network="facelivtv2_xs_ri",
        settings=Settings(steps=1500, learning_rate=2e-3, warmup=100),
        summary="the index of recognizability on a trained FaceLiVTv2-XS, five minutes on one core",
    ),
    "qat_xs": QuantizationAware(
        network="facelivtv2_xs_ri",
        settings=Settings(steps=300, learning_rate=5e-5, warmup=3, weight_decay=0.0, channels_last=False),
        batch=16,
        augmentation=Augmentation(spoil=0.15, worst=3.0),
        summary="a trained FaceLiVTv2-XS that loses less in int8 than one quantized afterwards",
    ),
    **IDENTITY_PRESETS,
    **DETECT_PRESETS,
}


def find_recipe(name: str) -> Recipe:
    """A preset by its name, or the recipe in a JSON file.

    Raises:
        InvalidData: neither of them.
    """
    if name in PRESETS:
        return PRESETS[name]
    if not name.endswith(".json"):
        raise InvalidData(f"no preset is called {name!r}; there are {', '.join(PRESETS)}, or name a .json file")
    try:
        return recipe_from_json(Path(name).read_bytes())
    except OSError as e:
        raise InvalidData(f"{name}: cannot be read: {e.strerror or e}") from e


def recipe_to_json(recipe: Recipe) -> str:
    """Indented, for a file that people edit."""
    return msgspec.json.format(msgspec.json.encode(recipe), indent=2).decode() + "\n"


def recipe_from_json(text: str | bytes) -> Recipe:
    """A recipe from its JSON.

    Raises:
        InvalidData: an unknown key or kind, or a value out of its range.
    """
    try:
        recipe: Recipe = msgspec.json.decode(text, type=Recipe)
    except (msgspec.DecodeError, UnicodeError) as e:
        raise InvalidData(f"not a recipe for training: {e}") from e
    return recipe


def change(recipe: Recipe, changes: Mapping[str, str]) -> Recipe:
    """A recipe with some values replaced.

    Args:
        recipe: to begin with.
        changes: dotted name, such as ``settings.steps`` or ``augmentation.spoil`` -> value as JSON, or plain text.

    Raises:
        InvalidData: no such name, or a value out of its range.
    """
    tree = msgspec.to_builtins(recipe)
    for name, text in changes.items():
        *above, last = name.split(".")
        place = tree
        for key in above:
            place = place.get(key) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last not in place:
            raise InvalidData(f"a recipe has no {name!r}; it has {', '.join(_names(tree))}")
        try:
            place[last] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            place[last] = text
    return recipe_from_json(msgspec.json.encode(tree))


def _names(tree: Mapping[str, object], above: str = "") -> list[str]:
    found = []
    for key, value in tree.items():
        found += _names(value, f"{above}{key}.") if isinstance(value, dict) else [above + key]
    return found
