"""What both versions of FaceLiVT share: stem, four stages with downsampling between them, and the classifier.

Sources: arXiv 2506.10361 and 2604.09127, github.com/novendrastywn/FaceLiVT. Nested ``named`` modules give the
parameters the names that they have in the published checkpoints.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from .blocks import FFN, ConvBN, RepConv, Residual, init_weights, named
from .reparam import fuse_bn_linear

#: Side of the square token grid in each stage, for a 112 x 112 picture.
GRIDS = (28, 14, 7, 4)
#: Stage number, channels and side of the grid -> the residual modules of one block.
BlockBuilder = Callable[[int, int, int], Sequence[nn.Module]]


class BNLinear(nn.Module):
    """BatchNorm, then a linear layer: (B, in) -> (B, out)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(in_features)
        self.l = nn.Linear(in_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise and project."""
        return self.l(self.bn(x))  # type: ignore[no-any-return]

    def fold(self) -> nn.Module:
        """One linear layer."""
        weight, bias = fuse_bn_linear(self.bn, self.l.weight, self.l.bias)
        self.l.weight, self.l.bias = nn.Parameter(weight), nn.Parameter(bias)
        return self.l


class FaceLiVT(nn.Module):
    """Stem to a 28 x 28 grid, four stages, a head: (B, 3, 112, 112) in -1..1 RGB -> (B, embedding_size).

    The embedding is not normalised. Token mixing has one weight per pair of grid cells, so the input size is fixed.

    Args:
        dims: channels of each stage.
        depths: blocks of each stage.
        block: makes the residual modules of one block.
        pre_head: (B, dims[-1], 4, 4) -> (B, features, 1, 1).
        features: what ``pre_head`` gives.
        embedding_size: length of the embedding.
    """

    def __init__(
        self,
        dims: Sequence[int],
        depths: Sequence[int],
        block: BlockBuilder,
        pre_head: nn.Module,
        features: int,
        embedding_size: int = 512,
    ) -> None:
        super().__init__()
        downsamplings = [_downsample(a, b) for a, b in pairwise(dims)]
        self.patch_embedds = nn.Sequential(_stem(dims[0]), *downsamplings)
        self.stages = nn.Sequential(
            *(
                named("blocks", *(named("block", *block(stage, dim, grid)) for _ in range(depth)))
                for stage, (dim, depth, grid) in enumerate(zip(dims, depths, GRIDS, strict=True))
            )
        )
        self.pre_head = pre_head
        self.head = nn.Sequential(OrderedDict(classifier=BNLinear(features, embedding_size)))
        init_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 112, 112) -> (B, embedding_size)."""
        return self.embed(self.last_map(x))

    def last_map(self, x: Tensor) -> Tensor:
        """(B, 3, 112, 112) -> (B, dims[-1], 4, 4)."""
        for embed, stage in zip(self.patch_embedds, self.stages, strict=True):
            x = stage(embed(x))
        return x

    def embed(self, last: Tensor) -> Tensor:
        """(B, dims[-1], 4, 4) -> (B, embedding_size)."""
        return self.head(self.pre_head(last).flatten(1))  # type: ignore[no-any-return]


def repmix(channels: int) -> RepConv:
    """The token mixer of the early stages: a depthwise 3 x 3."""
    return RepConv(channels, channels, 3, groups=channels)


def _stem(channels: int) -> nn.Module:
    """Two 3 x 3 convolutions of stride 2: 112 -> 56 -> 28."""
    first = nn.Sequential(RepConv(3, channels // 2, 3, stride=2), nn.GELU())
    return named("stem", first, nn.Sequential(RepConv(channels // 2, channels, 3, stride=2)))


def _downsample(in_channels: int, out_channels: int) -> nn.Module:
    """Halve the grid with a depthwise convolution, widen with a 1 x 1, then mix the channels."""
    spatial = nn.Sequential(
        RepConv(in_channels, in_channels, 3, stride=2, groups=in_channels), ConvBN(in_channels, out_channels)
    )
    return nn.Sequential(OrderedDict(spatial=spatial, channel=Residual(FFN(out_channels, expansion=2))))
