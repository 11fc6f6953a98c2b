"""The registry of networks: one decorator puts a family's builder into it, three functions read it.

Names are lower case with underscores, ``family_size``. A family is one file; importing ``pocketface.models`` imports
them all, so the lists here are complete.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from torch import nn

from ..errors import InvalidModel
from .checkpoint import load_weights
from .randomize import randomize

Task = Literal["recognition", "detection"]
Builder = TypeVar("Builder", bound=Callable[..., nn.Module])


@dataclass(frozen=True)
class ModelSpec:
    """What is known of a network before it is built.

    Attributes:
        name: the registry's name.
        task: ``recognition`` or ``detection``.
        input_size: (height, width) in pixels that it was designed for.
        embedding_size: length of the embedding, None for detectors.
        summary: one line for a listing.
        source: the paper or repository that it comes from.
        trunk: name of the network whose embeddings these are, held as ``trunk`` beside what else this one says; empty
            for a network that is its own.
    """

    name: str
    task: Task
    input_size: tuple[int, int]
    embedding_size: int | None
    summary: str
    source: str
    trunk: str = ""


_BUILDERS: dict[str, tuple[ModelSpec, Callable[..., nn.Module]]] = {}


def register_model(spec: ModelSpec) -> Callable[[Builder], Builder]:
    """Decorate the function that builds the network of ``spec``; it may take keyword arguments, all with defaults."""

    def register(builder: Builder) -> Builder:
        if spec.name in _BUILDERS:
            raise ValueError(f"two models are called {spec.name!r}")
        _BUILDERS[spec.name] = spec, builder
        return builder

    return register


def list_models(task: Task | None = None) -> list[str]:
    """Names of all networks, or of those for one task, sorted."""
    return sorted(name for name, (spec, _) in _BUILDERS.items() if task in (None, spec.task))


def model_spec(name: str) -> ModelSpec:
    """What is known of the network ``name``.

    Raises:
        InvalidModel: no network has this name; the message lists the nearest ones.
    """
    return _lookup(name)[0]


def create_model(name: str, *, weights: str | Path | None = None, seed: int | None = None) -> nn.Module:
    """Build a network in its training form, in eval mode.

    Args:
        name: one of ``list_models()``.
        weights: a ``.safetensors`` or ``.pt`` checkpoint to load, strictly.
        seed: instead of weights, fill the network with seeded random values of sane size; without either the
            network has its initial weights, as training wants them.

    Raises:
        InvalidModel: an unknown name, a damaged checkpoint, or one of another network.
    """
    if weights is not None and seed is not None:
        raise ValueError("give either weights or a seed, not both")
    spec, builder = _lookup(name)
    model = builder()
    if weights is not None:
        load_weights(model, Path(weights))
    elif seed is not None:
        randomize(model, seed, spec.input_size)
    return model.eval()


def _lookup(name: str) -> tuple[ModelSpec, Callable[..., nn.Module]]:
    if name not in _BUILDERS:
        near = difflib.get_close_matches(name, _BUILDERS, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"the models are {', '.join(list_models())}"
        raise InvalidModel(f"no model is called {name!r}; {hint}")
    return _BUILDERS[name]
