"""What ranks that hold different classes must tell each other: embeddings, and the softmax over all classes.

Everything also works alone, without a process group.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def gather(x: Tensor, ranks: int) -> Tensor:
    """The (B, ...) of all ranks, one below the other in their order, without gradient."""
    if ranks == 1:
        return x
    parts = [torch.empty_like(x) for _ in range(ranks)]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)


def gather_embeddings(x: Tensor, rank: int, ranks: int) -> Tensor:
    """(B, D) of every rank -> (ranks * B, D) on all of them, with gradient.

    Each rank knows the gradient by its own classes alone, so backward sums over the ranks. It also multiplies by their
    number, since the loss is already the mean over all ranks' pictures and DistributedDataParallel will divide again.
    """
    if ranks == 1:
        return x
    together: Tensor = _Gather.apply(x, rank, ranks)  # type: ignore[no-untyped-call]
    return together


def split_cross_entropy(logits: Tensor, label: Tensor, ranks: int) -> Tensor:
    """Mean softmax cross entropy over classes that are spread over the ranks.

    Args:
        logits: (N, C) of this rank's classes, for the same N pictures on every rank; -inf for a class left out.
        label: (N,) int64 this rank's column of the true class, -1 where another rank has it.
        ranks: how many.

    Returns:
        The loss, the same on every rank; its gradient is that by this rank's logits.
    """
    loss: Tensor = _CrossEntropy.apply(logits, label, ranks)  # type: ignore[no-untyped-call]
    return loss


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rank: int, ranks: int) -> Tensor:
        ctx.rank, ctx.ranks = rank, ranks
        return gather(x, ranks)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total.chunk(ctx.ranks)[ctx.rank] * ctx.ranks, None, None


class _CrossEntropy(torch.autograd.Function):
    """By log-sum-exp, which cannot saturate as the logarithm of a probability does.

    Source of the scheme: InsightFace ``recognition/arcface_torch/partial_fc_v2.py``.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, label: Tensor, ranks: int) -> Tensor:
        rows = (label >= 0).nonzero().squeeze(1)
        top = _over_ranks(logits.amax(1), dist.ReduceOp.MAX, ranks)  # finite: the true class is never left out
        shifted = logits - top[:, None]
        true = torch.zeros_like(top).index_put((rows,), shifted[rows, label[rows]])
        exponents = shifted.exp()
        total, true = _over_ranks(torch.stack([exponents.sum(1), true]), dist.ReduceOp.SUM, ranks)
        gradient = exponents.div_(total[:, None])
        gradient[rows, label[rows]] -= 1
        ctx.save_for_backward(gradient.div_(len(logits)))
        loss: Tensor = (total.log() - true).mean()
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream, None, None


def _over_ranks(x: Tensor, op: Any, ranks: int) -> Tensor:
    if ranks > 1:
        dist.all_reduce(x, op)
    return x
