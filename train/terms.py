"""What can be asked of an embedding beside its class: agreement with a teacher, with an old network, with symmetry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InvalidModel
from .symface import FRONTAL, halves, statistics_kept, symmetry_loss
from .triplet import harmonic_loss


class Seen(NamedTuple):
    """What a term may look at.

    Attributes:
        backbone: the network that learns.
        image: (B, 3, 112, 112) in -1..1.
        embedding: (B, D) float32, what the backbone says of them.
        label: (B,) int64.
        frontness: (B,) 0..1, see ``symface``; None where it is not known.
    """

    backbone: nn.Module
    image: Tensor
    embedding: Tensor
    label: Tensor
    frontness: Tensor | None


class Term(Protocol):
    """A loss beside the head's; ``name`` is its place in the log, ``weight`` its factor."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def weight(self) -> float: ...  # noqa: D102

    def __call__(self, seen: Seen) -> Tensor: ...  # noqa: D102


class Frozen:
    """A network that only answers. It is no module, so it is in no checkpoint, optimiser or moving average.

    Args:
        network: embeds (B, 3, 112, 112) in -1..1; is put into eval mode.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network.eval().requires_grad_(False)

    def __call__(self, seen: Seen) -> Tensor:
        """(B, D) float32.

        Raises:
            InvalidModel: the embedding has another length than the one that learns.
        """
        with torch.no_grad():
            said: Tensor = self.network.to(seen.image.device)(seen.image).float()
        if said.shape != seen.embedding.shape:
            lengths = f"{said.shape[1]} numbers, the network that learns {seen.embedding.shape[1]}"
            raise InvalidModel(f"the frozen network's embedding has {lengths}; they must be the same")
        return said


@dataclass(frozen=True)
class Teacher:
    """Mean squared difference from a teacher's embedding of the same picture, before any normalisation.

    FaceLiVT's recipe, with weight 0.5. Source: github.com/novendrastywn/FaceLiVT, ``configs``.
    """

    network: Frozen
    weight: float = 0.5
    name: str = "teacher"

    def __call__(self, seen: Seen) -> Tensor:
        """Scalar."""
        return F.mse_loss(seen.embedding, self.network(seen))


@dataclass(frozen=True)
class Harmony:
    """Triplets with an old network's embeddings, so that faces enrolled with it need not be enrolled again."""

    network: Frozen
    weight: float = 1.0
    name: str = "harmony"

    def __call__(self, seen: Seen) -> Tensor:
        """Scalar."""
        return harmonic_loss(seen.embedding, self.network(seen), seen.label)


@dataclass(frozen=True)
class Symmetry:
    """SymFace: the halves of frontal faces, seen by the network that learns."""

    weight: float = 1.0
    name: str = "symmetry"

    def __call__(self, seen: Seen) -> Tensor:
        """Scalar; 0 if no face of the batch is frontal."""
        if seen.frontness is None:
            raise ValueError("symmetry needs to know how frontal each crop is; give the task its frontness")
        frontal = seen.image[seen.frontness >= FRONTAL]
        if not len(frontal):
            return seen.embedding.new_zeros(())
        with statistics_kept(seen.backbone):
            return symmetry_loss(seen.backbone(halves(frontal)).float())
