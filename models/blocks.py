"""Building blocks that several networks share; each folds into plain convolutions.

Attribute names are those of the published checkpoints (``c``, ``bn``, ``conv``, ``repconv``, ``m``, ``pw1``, ``pw2``),
so that a user's file loads without renaming.
"""

from __future__ import annotations

import copy
from collections import OrderedDict

from torch import Tensor, nn

from .reparam import Kernel, add_kernels, fuse_conv_bn, identity_kernel


def conv_like(conv: nn.Conv2d, kernel: Kernel) -> nn.Conv2d:
    """A convolution with the geometry of ``conv`` and the given weight and bias."""
    weight, bias = kernel
    new = copy.copy(conv)  # shallow: geometry is shared, the parameters are replaced
    new._parameters = {"weight": nn.Parameter(weight), "bias": nn.Parameter(bias)}
    return new


class ConvBN(nn.Module):
    """Convolution without bias, then BatchNorm: (B, in, H, W) -> (B, out, H', W')."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
    ) -> None:
        """``padding`` is half the kernel unless given."""
        super().__init__()
        padding = kernel // 2 if padding is None else padding
        self.c = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and normalise."""
        return self.bn(self.c(x))  # type: ignore[no-any-return]

    def fold(self) -> nn.Module:
        """One convolution."""
        return conv_like(self.c, fuse_conv_bn(self.c.weight, None, self.bn))


class RepConv(nn.Module):
    """A k x k and a (k//2) x (k//2) convolution side by side, summed, then one BatchNorm. Source: FaceLiVT."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        small = kernel // 2
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups)
        self.repconv = nn.Conv2d(in_channels, out_channels, small, stride, small // 2, groups=groups)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H / stride, W / stride), rounded up."""
        return self.bn(self.conv(x) + self.repconv(x))  # type: ignore[no-any-return]

    def fold(self) -> nn.Module:
        """One convolution."""
        branches = [(conv.weight, conv.bias) for conv in (self.conv, self.repconv)]
        weight, bias = add_kernels(branches)  # type: ignore[arg-type]
        return conv_like(self.conv, fuse_conv_bn(weight, bias, self.bn))


class Residual(nn.Module):
    """``x + m(x)``."""

    def __init__(self, m: nn.Module) -> None:
        super().__init__()
        self.m = m

    def forward(self, x: Tensor) -> Tensor:
        """Shape stays."""
        return x + self.m(x)  # type: ignore[no-any-return]

    def fold(self) -> nn.Module:
        """A single convolution takes the identity into its centre tap; around anything else the addition stays."""
        if not isinstance(self.m, nn.Conv2d):
            return self
        assert self.m.bias is not None
        return conv_like(self.m, (self.m.weight + identity_kernel(self.m.weight), self.m.bias))


class FFN(nn.Module):
    """1x1 convolution, GELU, 1x1 convolution; the last gamma starts at 0, so that a residual starts as identity."""

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        self.pw1 = ConvBN(channels, channels * expansion)
        self.act = nn.GELU()
        self.pw2 = ConvBN(channels * expansion, channels)
        nn.init.zeros_(self.pw2.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Shape stays."""
        return self.pw2(self.act(self.pw1(x)))  # type: ignore[no-any-return]


def named(name: str, *modules: nn.Module) -> nn.Sequential:
    """A sequence of ``modules`` whose parameters are called ``name.0...``, ``name.1...``."""
    return nn.Sequential(OrderedDict({name: nn.Sequential(*modules)}))


def init_weights(model: nn.Module) -> None:
    """FaceLiVT's start: normal(0, 0.02) cut at two, for convolutions and linear layers; biases 0."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
