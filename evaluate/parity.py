"""Is an export still the model it came from? Measured on faces.

The original is the network in training form in torch, before any folding, so the whole way to the file is
judged: folding, conversion, weights on disk, engine, preprocessing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from torch import nn

from ..artifact import Artifact
from ..errors import InvalidImage, UnsupportedModel
from ..runtime.backends import open_backend
from ..runtime.preprocess import to_tensor
from .agreement import TOLERANCES, Parity, Tolerance, judge_outputs
from .faces import FEWEST, Portrait, bundled_portraits, inputs_for
from .reference import TorchBackend
from .trace import first_departure

__all__ = ["TOLERANCES", "Original", "Parity", "Tolerance", "check_parity"]


@dataclass(frozen=True)
class Original:
    """The network an export came from, in torch, with normalisation and decoding around it.

    Attributes:
        training: before folding; what the export must equal.
        deployed: after folding; used only to name the first tensor that departs.

    """

    training: nn.Module
    deployed: nn.Module


def check_parity(
    artifact: Artifact,
    original: Original,
    *,
    backend: str | None = None,
    portraits: Sequence[Portrait] | None = None,
) -> Parity:
    """Run an export and its original on the same faces and compare their answers.

    Args:
        artifact: the export.
        original: what it came from.
        backend: name of the engine; by default the first that can run the file.
        portraits: at least 48 pictures of faces; by default the bundled ones.

    Raises:
        InvalidImage: fewer than 48 pictures.
        UnsupportedModel: a quantized file, whose tolerance its user sets.

    """
    if artifact.contract.quantization is not msgspec.UNSET:
        raise UnsupportedModel(
            f"{artifact.path}: quantized with {artifact.contract.quantization.recipe}, so it departs from torch by "
            "design; how far from its float parent, `pocketface quantize --gate` and `pocketface evaluate` say"
        )
    portraits = bundled_portraits() if portraits is None else portraits
    if len(portraits) < FEWEST:
        raise InvalidImage(f"parity is judged on at least {FEWEST} pictures of faces, got {len(portraits)}")
    contract = artifact.contract
    engine, reference = open_backend(artifact, backend), TorchBackend(original.training)
    images = inputs_for(contract, portraits)
    feed = to_tensor(images, contract.input)
    tensor = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)
    ours, theirs = engine.run({contract.input.name: feed}), reference.run({contract.input.name: tensor})
    parity = judge_outputs(artifact, engine.name, ours, theirs, portraits)
    if parity.passed:
        return parity
    return replace(parity, departure=first_departure(artifact, original.deployed, feed[:1], tensor[:1]))
