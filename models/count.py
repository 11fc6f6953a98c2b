"""What a network costs: parameters, and multiply-accumulates of one pass."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def parameters(model: nn.Module) -> int:
    """Number of parameters; running statistics are not among them."""
    return sum(p.numel() for p in model.parameters())


def macs(model: nn.Module, input_size: tuple[int, int]) -> int:
    """Multiply-accumulates of convolutions and matrix products for one RGB picture of ``input_size`` = (height, width).

    PyTorch counts a multiply-accumulate as two operations; the literature on faces mixes both under one word, so
    pocketface always says MACs. Element-wise work is not counted. What a recogniser says of quality beside the
    embedding is.
    """
    example = next(model.parameters()).new_zeros(1, 3, *input_size)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        getattr(model, "judged", model)(example)
    return int(counter.get_total_flops()) // 2
