"""MobileFaceNet in InsightFace's "mbf" layout: twice as wide as the paper's, 512-d embedding.

Sources: arXiv 1804.07573; github.com/deepinsight/insightface (recognition/arcface_torch), whose parameter names
these are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import conv_like, named
from .registry import ModelSpec, register_model
from .reparam import fuse_conv_bn


class PReLU(nn.PReLU):
    """PReLU with one slope per channel of (B, C, H, W)."""

    def fold(self) -> nn.Module:
        """The same function without the PRelu kernel."""
        return AffinePReLU(self.weight)


class AffinePReLU(nn.Module):
    """``slope * x + (1 - slope) * relu(x)``: exactly PReLU, for every slope.

    ONNX Runtime's PRelu kernel takes three quarters of such a network's time on one CPU thread; this form takes none
    worth mentioning, and TFLite and Core ML fuse or vectorise its parts.
    """

    def __init__(self, slope: Tensor) -> None:
        """``slope`` is (C,); it is kept as (1, C, 1, 1), which TFLite's converter broadcasts without a transpose."""
        super().__init__()
        self.weight = nn.Parameter(slope[None, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Shape stays."""
        return self.weight * x + (1 - self.weight) * torch.relu(x)


class ConvUnit(nn.Module):
    """Convolution, BatchNorm and, unless ``act`` is off, PReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        act: bool = True,
    ) -> None:
        super().__init__()
        conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False)
        self.layers = nn.Sequential(conv, nn.BatchNorm2d(out_channels), *([PReLU(out_channels)] if act else []))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H', W')."""
        return self.layers(x)  # type: ignore[no-any-return]

    def fold(self) -> nn.Module:
        """Convolution and activation."""
        conv, bn, *act = self.layers
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(bn, nn.BatchNorm2d)
        return nn.Sequential(conv_like(conv, fuse_conv_bn(conv.weight, None, bn)), *act)


class Bottleneck(nn.Module):
    """1 x 1 to ``hidden`` channels, depthwise 3 x 3, linear 1 x 1 back; added to its input where the shape stays."""

    def __init__(self, in_channels: int, out_channels: int, hidden: int, stride: int = 1) -> None:
        super().__init__()
        self.residual = stride == 1
        self.layers = nn.Sequential(
            ConvUnit(in_channels, hidden),
            ConvUnit(hidden, hidden, 3, stride, 1, groups=hidden),
            ConvUnit(hidden, out_channels, act=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H / stride, W / stride)."""
        return x + self.layers(x) if self.residual else self.layers(x)  # type: ignore[no-any-return]


class Head(nn.Module):
    """Global depthwise convolution, linear layer, BatchNorm: (B, C, 7, 7) -> (B, embedding_size)."""

    def __init__(self, channels: int, embedding_size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            ConvUnit(channels, channels, 7, groups=channels, act=False),
            nn.Flatten(),
            nn.Linear(channels, embedding_size, bias=False),
            nn.BatchNorm1d(embedding_size),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The embedding, not normalised."""
        return self.layers(x)  # type: ignore[no-any-return]

    def fold(self) -> nn.Module:
        """Convolution and linear layer."""
        conv, flatten, linear, bn = self.layers
        assert isinstance(linear, nn.Linear)
        assert isinstance(bn, nn.BatchNorm1d)
        weight, bias = fuse_conv_bn(linear.weight, None, bn)
        linear.weight, linear.bias = nn.Parameter(weight), nn.Parameter(bias)
        return nn.Sequential(conv, flatten, linear)


class MobileFaceNet(nn.Module):
    """(B, 3, 112, 112) in -1..1 RGB -> (B, 512), not normalised; inside, grids of 56, 28, 14 and 7."""

    def __init__(self, embedding_size: int = 512) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            ConvUnit(3, 128, 3, 2, 1),
            ConvUnit(128, 128, 3, 1, 1, groups=64),
            Bottleneck(128, 128, hidden=128, stride=2),
            _repeat(4, 128, hidden=128),
            Bottleneck(128, 256, hidden=256, stride=2),
            _repeat(6, 256, hidden=256),
            Bottleneck(256, 256, hidden=512, stride=2),
            _repeat(2, 256, hidden=256),
        )
        self.conv_sep = ConvUnit(256, 512)
        self.features = Head(512, embedding_size)
        _init_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 112, 112) -> (B, embedding_size)."""
        return self.features(self.conv_sep(self.layers(x)))  # type: ignore[no-any-return]


def _repeat(times: int, channels: int, hidden: int) -> nn.Sequential:
    return named("layers", *(Bottleneck(channels, channels, hidden) for _ in range(times)))


def _init_weights(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


SPEC = ModelSpec(
    name="mobilefacenet",
    task="recognition",
    input_size=(112, 112),
    embedding_size=512,
    summary="MobileFaceNet in InsightFace's mbf layout: convolutions only, the classic of on-device recognition",
    source="arXiv 1804.07573, github.com/deepinsight/insightface",
)
register_model(SPEC)(MobileFaceNet)
