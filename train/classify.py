"""Learning to tell identities apart: crops, a backbone, a head that is thrown away, and terms beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from .augment import Augmentation, augment
from .distill import to_input
from .margin import MarginHead
from .partial_fc import PartialFC
from .roster import Roster
from .speed import quicken
from .subcenter import MAX_ANGLE_DEG, Cleaning, clean
from .terms import Seen, Term

#: A crop as it is, at the network's size.
PLAIN = Augmentation(flip=0, rotate_deg=0, scale=0, shift=0, light=0, grey=0, spoil=0)
_AT_ONCE = 128  # crops embedded together


class Classifier(nn.Module):
    """A recogniser with the losses that teach it.

    Args:
        backbone: (B, 3, 112, 112) in -1..1 to (B, D).
        head: takes (B, D) and (B,) int64 labels, gives a loss: a ``MarginHead``, ``PartialFC`` or ``TripletHead``.
        terms: other losses.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, terms: Sequence[Term] = ()) -> None:
        super().__init__()
        self.backbone, self.head, self.terms = quicken(backbone), head, tuple(terms)
        if isinstance(head, PartialFC):
            ignored = [f"head.{name}" for name in head.unshared()]
            DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(self, ignored)

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``image`` (B, 3, 112, 112) in -1..1, ``label`` (B,) and, for symmetry, ``frontness`` (B,) to the losses."""
        image = batch["image"].contiguous(memory_format=torch.channels_last)
        seen = Seen(self.backbone, image, self.backbone(image).float(), batch["label"], batch.get("frontness"))
        losses = {"head": self.head(seen.embedding, seen.label)} | {term.name: term(seen) for term in self.terms}
        weights = {term.name: term.weight for term in self.terms}
        total = torch.stack([weights.get(name, 1.0) * loss for name, loss in losses.items()]).sum()
        return {"loss": total, **losses}


class Classification:
    """The task, see :class:`~pocketface.train.loop.Task`.

    Args:
        backbone: what ships.
        head: of ``roster.classes`` identities.
        roster: the crops and who they show.
        augmentation: of the crops.
        terms: losses beside the head's.
        frontness: ``(len(roster.numbers),)`` of each crop, for ``terms.Symmetry``; see ``symface.frontness``.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        roster: Roster,
        augmentation: Augmentation,
        *,
        terms: Sequence[Term] = (),
        frontness: NDArray[np.floating[Any]] | None = None,
    ) -> None:
        if frontness is not None and len(frontness) != len(roster.numbers):
            raise ValueError(f"frontness of {len(frontness)} crops for a roster of {len(roster.numbers)}")
        self.network: nn.Module = Classifier(backbone, head, terms)
        self._backbone, self._head, self.roster = backbone, head, roster
        self._augmentation, self._frontness = augmentation, frontness

    def batch(self, step: int) -> dict[str, Tensor]:
        """``image`` (B, 3, 112, 112) float32 in -1..1, ``label`` (B,) and, where it is known, ``frontness`` (B,)."""
        chosen, deck = self.roster.draw(step), self.roster.deck
        rng = np.random.default_rng([deck.seed, deck.rank, step, 1])
        crops = [augment(deck.crop(int(i)), self._augmentation, rng) for i in self.roster.numbers[chosen]]
        batch = {"image": to_input(np.stack(crops)), "label": torch.from_numpy(self.roster.labels[chosen])}
        if self._frontness is not None:
            batch["frontness"] = torch.from_numpy(self._frontness[chosen].astype(np.float32))
        return batch

    def weights(self) -> nn.Module:
        """The backbone alone."""
        return self._backbone

    def observe(self, step: int, losses: Mapping[str, float]) -> None:
        """Nothing depends on the losses."""

    def cleaning(self, max_angle_deg: float = MAX_ANGLE_DEG) -> Cleaning:
        """Which crops of the roster are too far from where most of their identity are, by this backbone and head.

        Raises:
            InvalidData: the network's embeddings are not finite.
        """
        if not isinstance(self._head, MarginHead | PartialFC):
            raise TypeError(f"a {type(self._head).__name__} has no centres")
        centres = self._head.centres.detach().float().cpu().numpy()
        return clean(embed_roster(self._backbone, self.roster), self.roster.labels, centres, max_angle_deg)


@torch.no_grad()
def embed_roster(backbone: nn.Module, roster: Roster) -> NDArray[np.float32]:
    """``(M, D) float32`` embeddings of a roster's crops as they are, in eval mode; the backbone's mode stays."""
    device, training = next(backbone.parameters()).device, backbone.training
    rng, said = np.random.default_rng(0), []
    backbone.eval()
    for start in range(0, len(roster.numbers), _AT_ONCE):
        numbers = roster.numbers[start : start + _AT_ONCE]
        crops = np.stack([augment(roster.deck.crop(int(i)), PLAIN, rng) for i in numbers])
        said.append(backbone(to_input(crops).to(device)).float().cpu().numpy())
    backbone.train(training)
    return np.concatenate(said)
