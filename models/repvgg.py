"""RepVGG's unit, which is several branches in training and one convolution when deployed. Source: arXiv 2101.03697."""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import ConvBN, conv_like
from .reparam import Kernel, add_kernels, batchnorm_affine, identity_kernel


class RepVGGConv(nn.Module):
    """k x k, 1 x 1 and identity side by side, each with its own BatchNorm, summed; no activation.

    A BatchNorm per branch is what helps: with one behind the sum RepVGG lost 1.6 points of ImageNet accuracy. The
    1 x 1 is left out where k is 1. Of a depthwise convolution it is one factor per channel, which the BatchNorm of the
    identity has already; there the identity stays even with a stride, and passes on every ``stride``-th pixel.

    Args:
        depthwise: one kernel per channel instead of a dense one; in and out must be equal.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, *, depthwise: bool = False
    ) -> None:
        super().__init__()
        self.stride = stride
        dense = not depthwise
        self.main = ConvBN(in_channels, out_channels, kernel, stride, groups=1 if dense else in_channels)
        self.point = ConvBN(in_channels, out_channels) if dense and kernel > 1 else None
        keeps = in_channels == out_channels and (depthwise or stride == 1)
        self.skip = nn.BatchNorm2d(out_channels) if keeps else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H / stride, W / stride), rounded up."""
        y: Tensor = self.main(x)
        # Sliced, not strided: torch 2.13 crashes in the gradient of a strided 1 x 1 over a channels-last picture.
        under_centre = x[..., :: self.stride, :: self.stride]
        for branch in (self.point, self.skip):
            if branch is not None:
                y = y + branch(under_centre)
        return y

    def fold(self) -> nn.Module:
        """One convolution."""
        main = self.main
        assert isinstance(main, nn.Conv2d)  # the branches have folded before the whole does
        kernels = [kernel_of(conv) for conv in (main, self.point) if conv is not None]
        if self.skip is not None:
            scale, shift = batchnorm_affine(self.skip)
            kernels.append((identity_kernel(main.weight) * scale[:, None, None, None], shift))
        return conv_like(main, add_kernels(kernels))


class SeparableUnit(nn.Sequential):
    """Depthwise k x k, ReLU, 1 x 1, ReLU, the convolutions RepVGG's: the block of MobileOne (arXiv 2206.04040)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            RepVGGConv(in_channels, in_channels, kernel, stride, depthwise=True),
            nn.ReLU(),
            RepVGGConv(in_channels, out_channels, 1),
            nn.ReLU(),
        )


def kernel_of(conv: nn.Module) -> Kernel:
    """Weight and bias of a convolution that has both."""
    assert isinstance(conv.weight, Tensor)
    assert isinstance(conv.bias, Tensor)
    return conv.weight, conv.bias
