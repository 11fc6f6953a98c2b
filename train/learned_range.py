"""Rounding to 8 bits between two ends that learn where to lie.

A step of 8 bits is a 255th of the range, so what few values reach costs all the others digits. Where to clip depends on
what the network makes of the error, and only the loss knows that. Source: Esser et al. 2020 (LSQ, arXiv 1902.08153)
and, for a zero point that learns as well, Bhalgat et al. 2020 (LSQ+, arXiv 2004.09576); the gradients are torch's own.
Ends that learn by their logarithm keep their sign, and move by the same share whatever the size of the tensor.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: So that a tensor that is 0 everywhere has a step too.
_LEAST = 1e-6


class LearnedRange(nn.Module):
    """Rounds a whole tensor as a signed number of 8 bits with one scale and one zero point.

    Args:
        pace: how many times faster than another parameter an end moves, as a share of itself; 0 for a range that
            does not learn and clips nothing of what was measured.
    """

    measured: Tensor

    def __init__(self, pace: float) -> None:
        super().__init__()
        self.pace, self.measuring = pace, False
        self.ends = nn.Parameter(torch.zeros(2))
        self.register_buffer("measured", torch.zeros(2))

    def range(self) -> Tensor:
        """(2,) the least and the greatest value that can be told from their neighbours; 0 is in between."""
        return self.measured * torch.exp(self.pace * self.ends)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape, rounded; while measuring, the same values."""
        if self.measuring:
            self._measure(x.detach().flatten(1))
            return x
        low, high = (self.range() if self.training else self.range().detach()).unbind()
        scale = ((high - low) / 255).clamp(min=_LEAST)
        zero = (-128 - low / scale).clamp(-128, 127)
        if self.training:
            ends = scale.reshape(1), zero.reshape(1)
            return torch._fake_quantize_learnable_per_tensor_affine(x, *ends, -128, 127, 1.0)
        return torch.fake_quantize_per_tensor_affine(x, float(scale), round(float(zero)), -128, 127)

    def _measure(self, x: Tensor) -> None:
        """The mean of what pictures (B, N) reach: learning is to begin at what is usual, not at the one outlier."""
        low, high = x.amin(1).clamp(max=0), x.amax(1).clamp(min=0)
        self.measured.copy_(torch.stack([low.mean(), high.mean()] if self.pace else [low.amin(), high.amax()]))
