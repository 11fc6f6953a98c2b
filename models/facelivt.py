"""FaceLiVT (v1): convolutional early stages, then token mixing by a small MLP per head (MHLA) or self-attention.

Source: arXiv 2506.10361, github.com/novendrastywn/FaceLiVT. Parameter names are those of the published checkpoints.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import FFN, ConvBN
from .registry import ModelSpec, register_model
from .trunk import FaceLiVT, repmix

DIMS = {"s": (40, 80, 160, 320), "m": (64, 128, 256, 512)}
DEPTHS = (2, 4, 6, 2)


class MHLA(nn.Module):
    """Multi-head linear attention: per head a two-layer perceptron over all N = side * side cells of the grid.

    The channels are split among the heads, and the channels of a head share its weights. The heads' outputs are
    interleaved: output channel ``16 c + h`` is channel c of head h. That shuffle is part of the published networks.
    """

    HEADS = 16

    def __init__(self, channels: int, side: int, expansion: int = 4) -> None:
        super().__init__()
        tokens = side * side
        self.norm = nn.GroupNorm(1, channels)
        self.linear1 = nn.ModuleList(nn.Linear(tokens, tokens * expansion) for _ in range(self.HEADS))
        self.linear2 = nn.ModuleList(nn.Linear(tokens * expansion, tokens) for _ in range(self.HEADS))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, side, side) -> the same."""
        parts = self.norm(x).flatten(2).chunk(self.HEADS, 1)  # each (B, C/heads, N)
        layers = zip(self.linear1, self.linear2, parts, strict=True)
        mixed = [second(F.gelu(first(part))) for first, second, part in layers]
        return torch.stack(mixed, 2).reshape(x.shape)  # (B, C/heads, heads, N), interleaved

    def fold(self) -> nn.Module:
        """All heads in one batched product; the norm stays, it depends on the picture."""
        return StackedMHLA(self.norm, *_stack(self.linear1), *_stack(self.linear2))


class StackedMHLA(nn.Module):
    """The deployed MHLA: two batched products, channels last, so that TFLite transposes twice per block.

    The second transpose is the shuffle itself.
    """

    def __init__(self, norm: nn.GroupNorm, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor) -> None:
        """Weights are (heads, out, in), biases (heads, out)."""
        super().__init__()
        self.norm = norm
        self.weight1, self.bias1 = nn.Parameter(weight1), nn.Parameter(bias1)
        self.weight2, self.bias2 = nn.Parameter(weight2), nn.Parameter(bias2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, side, side) -> the same."""
        batch, channels, height, width = x.shape
        tokens = x.permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        # GroupNorm of one group, channels last
        tokens = F.layer_norm(tokens, tokens.shape[1:], eps=self.norm.eps) * self.norm.weight + self.norm.bias
        heads = tokens.unflatten(2, (MHLA.HEADS, -1)).transpose(1, 2)  # (B, heads, N, C/heads)
        heads = F.gelu(self.weight1 @ heads + self.bias1[..., None])
        heads = self.weight2 @ heads + self.bias2[..., None]
        mixed = heads.permute(0, 2, 3, 1)  # (B, N, C/heads, heads), interleaved
        return mixed.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


class MHSA(nn.Module):
    """Multi-head self-attention between 1 x 1 convolutions, with values half as wide as the input, no positions."""

    HEADS, KEY = 6, 32

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.widths = (self.KEY, self.KEY, channels // 2)
        self.qkv_proj = ConvBN(channels, self.HEADS * sum(self.widths))
        self.out_proj = ConvBN(self.HEADS * self.widths[2], channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        batch, _, height, width = x.shape
        maps = self.qkv_proj(x).permute(0, 2, 3, 1)
        heads = maps.reshape(batch, height * width, self.HEADS, -1).transpose(1, 2)  # (B, heads, N, q + k + v)
        # heads join the batch, as TFLite's batched product transposes its operand for free in three dimensions only
        query, key, value = heads.flatten(0, 1).split(self.widths, 2)
        attention = torch.softmax(query @ key.transpose(1, 2) * self.KEY**-0.5, 2)  # (B * heads, N, N)
        mixed = (attention @ value).unflatten(0, (batch, self.HEADS)).transpose(1, 2)  # (B, N, heads, C/2)
        return self.out_proj(mixed.reshape(batch, height, width, -1).permute(0, 3, 1, 2))  # type: ignore[no-any-return]


def _stack(layers: nn.ModuleList) -> tuple[Tensor, Tensor]:
    weights, biases = zip(*((layer.weight, layer.bias) for layer in layers), strict=True)
    return torch.stack(weights), torch.stack(biases)


def _branches(mixer: type[MHLA] | type[MHSA], stage: int, channels: int, side: int) -> list[nn.Module]:
    return [mixer(channels, side) if stage >= 2 else repmix(channels), FFN(channels, expansion=3)]


def _build(size: str, mixer: type[MHLA] | type[MHSA]) -> nn.Module:
    return FaceLiVT(DIMS[size], DEPTHS, partial(_branches, mixer), nn.AdaptiveAvgPool2d(1), DIMS[size][-1])


def _register(name: str, size: str, mixer: type[MHLA] | type[MHSA]) -> None:
    summary = f"FaceLiVT-{size.upper()} with {mixer.__name__}"
    source = "arXiv 2506.10361, github.com/novendrastywn/FaceLiVT"
    register_model(ModelSpec(name, "recognition", (112, 112), 512, summary, source))(partial(_build, size, mixer))


for _size in DIMS:
    _register(f"facelivt_{_size}", _size, MHLA)
    _register(f"facelivt_{_size}_sa", _size, MHSA)
