"""Fill a network with seeded random values of sane size."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def randomize(model: nn.Module, seed: int) -> None:
    """Give every parameter and running statistic of ``model`` a seeded random value, in place.

    Weights get unit gain, scales and variances lie around 1, biases and means around 0. Nothing is tiny, as layer
    scales and last gammas are at the start of training: a parity test of a branch that is multiplied by 1e-5 is blind.
    """
    rng = torch.Generator().manual_seed(seed)

    def uniform(like: Tensor, low: float, high: float) -> Tensor:
        return torch.rand(like.shape, generator=rng, dtype=torch.float32) * (high - low) + low

    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if not tensor.is_floating_point():
                continue
            if tensor.dim() > 1:
                bound = math.sqrt(3 / max(1, tensor[0].numel()))  # variance 1 / fan_in
                tensor.copy_(uniform(tensor, -bound, bound))
            elif name.endswith(("running_var", "weight", "alpha", "ls")):
                tensor.copy_(uniform(tensor, 0.5, 1.5))
            else:
                tensor.copy_(uniform(tensor, -0.1, 0.1))
