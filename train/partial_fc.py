"""Partial FC: the margin loss over a random part of very many classes, which the ranks may share out among them.

A step takes the classes of its pictures and random others, and only their centres are multiplied, differentiated and
moved. Sources: arXiv 2203.15565, InsightFace ``recognition/arcface_torch/partial_fc_v2.py``.

The centres learn by a rule of their own, AdamW, in the middle of the backward pass, as soon as their gradient is there.
So no optimiser of the loop ever meets a parameter whose rows are others at each step, nor DistributedDataParallel one
that differs from rank to rank. The moments of all rows stay beside the centres, those of a step's rows are read and
written; each row counts its own steps. It is thus exactly as if a row had an AdamW to itself that only knows the steps
in which the row was taken. (The published code corrects all rows by one count, so a row that is first taken late makes
a first step more than three times as long.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .collective import gather, gather_embeddings, split_cross_entropy
from .margin import ARCFACE, Margin, cosines, initial_centres, margin_logits

BETAS = (0.9, 0.999)
EPSILON = 1e-8
#: Buffers with a row for each class of this rank.
_BY_CLASS = ("centres", "mean", "square", "count")


class PartialFC(nn.Module):
    """Class centres of this rank and the sampled margin loss over those of all ranks.

    Args:
        classes: C, how many identities there are over all ranks.
        features: D, length of the embedding.
        margin: ``ARCFACE``, ``COSFACE`` or another.
        share: of a rank's classes that a step takes, in 0..1; more, if its pictures alone have more classes.
        learning_rate: of a step, from 0 on.
        weight_decay: of the centres.
        centres: K for each identity.
        seed: of first centres and samples.
        rank, ranks: this process among all that train together.
    """

    centres: Tensor
    mean: Tensor
    square: Tensor
    count: Tensor
    step: Tensor

    def __init__(
        self,
        classes: int,
        features: int,
        margin: Margin = ARCFACE,
        *,
        share: float,
        learning_rate: Callable[[int], float],
        weight_decay: float = 0.0,
        centres: int = 1,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        super().__init__()
        if not (0 < share <= 1 and classes >= ranks):
            raise ValueError(f"expected a share in 0..1 and a class per rank, got {share}, {classes} for {ranks} ranks")
        self.margin, self.share, self.seed, self.rank, self.ranks = margin, share, seed, rank, ranks
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.bounds = [classes * r // ranks for r in range(ranks + 1)]  # rank r has classes bounds[r]..bounds[r+1]-1
        own = self.bounds[rank + 1] - self.first
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(int(np.random.SeedSequence([seed, rank]).generate_state(1)[0]))
            start = initial_centres(own, centres, features)
        self.register_buffer("centres", start)
        self.register_buffer("mean", torch.zeros_like(start))
        self.register_buffer("square", torch.zeros_like(start))
        self.register_buffer("count", torch.zeros(own, dtype=torch.int64))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    @property
    def first(self) -> int:
        """Number of this rank's first class."""
        return self.bounds[self.rank]

    def forward(self, embedding: Tensor, label: Tensor) -> Tensor:
        """Mean cross entropy over the pictures and the sampled classes of all ranks.

        Args:
            embedding: (B, D) of this rank's pictures, of any length; B is the same on every rank.
            label: (B,) int64 number of the identity over all ranks, 0..C-1.

        Returns:
            The loss, the same on every rank. Its backward pass also moves the centres.
        """
        every = gather_embeddings(embedding, self.rank, self.ranks)
        own = gather(label, self.ranks) - self.first
        own = own.where((own >= 0) & (own < len(self.centres)), -1)
        index = self.sample(own)
        rows = self.centres[index].requires_grad_(torch.is_grad_enabled())
        if rows.requires_grad:
            rows.register_post_accumulate_grad_hook(partial(self._learn, index))
        column = torch.searchsorted(index, own).where(own >= 0, -1)
        return split_cross_entropy(margin_logits(cosines(every, rows), column, self.margin), column, self.ranks)

    def sample(self, own: Tensor) -> Tensor:
        """This step's classes: sorted numbers among this rank's, all of ``own`` (-1 is none) and random others."""
        total, positive = len(self.centres), own[own >= 0].unique()
        wanted = max(1, int(self.share * total))
        if wanted == total or len(positive) >= wanted:
            return torch.arange(total, device=own.device) if wanted == total else positive
        rng = np.random.default_rng([self.seed, self.rank, int(self.step)])
        priority = torch.from_numpy(rng.random(total)).to(own.device)
        priority[positive] = 2.0
        return priority.topk(wanted).indices.sort().values

    @torch.no_grad()
    def _learn(self, index: Tensor, rows: Tensor) -> None:
        """One step of AdamW (arXiv 1711.05101) for the rows of ``index``."""
        assert rows.grad is not None
        (fade, fade_square), rate = BETAS, self.learning_rate(int(self.step))
        mean = self.mean[index].lerp(rows.grad, 1 - fade)
        square = self.square[index].mul(fade_square).addcmul(rows.grad, rows.grad, value=1 - fade_square)
        count = self.count[index] + 1
        # Exact powers, and then no wider than the rows: these are much the larger.
        full, full_square = ((1 - f ** count.double()).to(rows.dtype)[:, None, None] for f in BETAS)
        direction = (mean / full).div_((square / full_square).sqrt_().add_(EPSILON))
        self.centres[index] = rows.detach().mul_(1 - rate * self.weight_decay).sub_(direction, alpha=rate)
        self.mean[index], self.square[index], self.count[index] = mean, square, count
        self.step += 1
        rows.grad = None

    def unshared(self) -> list[str]:
        """Names of what differs from rank to rank, which DistributedDataParallel must leave alone."""
        return [*_BY_CLASS, "step"]

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """All classes, so that a checkpoint fits any number of ranks; all of them must come here together."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name in _BY_CLASS if self.ranks > 1 else ():
            destination[prefix + name] = self._whole(getattr(self, name))

    def _load_from_state_dict(self, state: Mapping[str, Any], prefix: str, *others: Any) -> None:
        """This rank's rows of all classes."""
        own = slice(self.first, self.bounds[self.rank + 1])
        cut = {prefix + name: state[prefix + name][own] for name in _BY_CLASS if prefix + name in state}
        super()._load_from_state_dict({**state, **cut}, prefix, *others)

    def _whole(self, own: Tensor) -> Tensor:
        """The rows of all ranks, which may have one more or less than others."""
        most = -(-self.bounds[-1] // self.ranks)
        padded = torch.cat([own, own.new_zeros(most - len(own), *own.shape[1:])])
        parts = gather(padded, self.ranks).chunk(self.ranks)
        sizes = [b - a for a, b in zip(self.bounds, self.bounds[1:], strict=False)]
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])
