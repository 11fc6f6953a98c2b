"""FaceLiVT (v1): convolutional early stages, then token mixing by a small MLP per head (MHLA) or self-attention.

Source: arXiv 2506.10361, github.com/novendrastywn/FaceLiVT. Parameter names are those of the published checkpoints.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import FFN, ConvBN, Residual
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
    """The deployed MHLA: all heads in two batched products."""

    def __init__(self, norm: nn.GroupNorm, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor) -> None:
        """Weights (heads, in, out) multiply from the right; biases are (heads, out)."""
        super().__init__()
        self.norm = norm
        self.weight1, self.bias1 = nn.Parameter(weight1), nn.Parameter(bias1)
        self.weight2, self.bias2 = nn.Parameter(weight2), nn.Parameter(bias2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, side, side) -> the same."""
        gamma, beta = self.norm.weight[:, None, None], self.norm.bias[:, None, None]
        maps = F.layer_norm(x, x.shape[1:], eps=self.norm.eps) * gamma + beta  # what GroupNorm of one group is
        heads = maps.reshape(x.shape[0], MHLA.HEADS, x.shape[1] // MHLA.HEADS, -1)  # (B, heads, C/heads, N)
        heads = F.gelu(heads @ self.weight1 + self.bias1[:, None])
        heads = heads @ self.weight2 + self.bias2[:, None]
        return heads.transpose(1, 2).reshape(x.shape)  # interleaved

    def channels_last(self) -> nn.Module:
        """The same for TFLite."""
        return ChannelsLastMHLA(self)


class ChannelsLastMHLA(nn.Module):
    """StackedMHLA with two transposes in TFLite, the second of which is the shuffle itself.

    Linear layers, one per head, because TFLite quantizes those well; its batched product it does not.
    """

    def __init__(self, stacked: StackedMHLA) -> None:
        super().__init__()
        self.stacked = stacked

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, side, side) -> the same."""
        batch, channels, height, width = x.shape
        stacked, norm = self.stacked, self.stacked.norm
        tokens = x.permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        tokens = F.layer_norm(tokens, tokens.shape[1:], eps=norm.eps) * norm.weight + norm.bias
        heads = _linear(tokens.transpose(1, 2), stacked.weight1, stacked.bias1)  # (B, C, 4 N)
        heads = _linear(F.gelu(heads), stacked.weight2, stacked.bias2)  # (B, C, N)
        mixed: Tensor = heads.unflatten(1, (MHLA.HEADS, -1)).permute(0, 3, 2, 1)  # (B, N, C/heads, heads), interleaved
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
        heads = self.qkv_proj(x).reshape(batch, self.HEADS, sum(self.widths), height * width)
        query, key, value = heads.split(self.widths, 2)  # (B, heads, width, N)
        attention = torch.softmax(query.transpose(2, 3) @ key * self.KEY**-0.5, 3)  # (B, heads, N, N)
        mixed = value @ attention.transpose(2, 3)  # (B, heads, C/2, N)
        return self.out_proj(mixed.reshape(batch, -1, height, width))  # type: ignore[no-any-return]

    def channels_last(self) -> nn.Module:
        """The same for TFLite."""
        return ChannelsLastMHSA(self)


class ChannelsLastMHSA(nn.Module):
    """MHSA with two transposes in TFLite.

    The heads join the batch, as only in three dimensions its batched product transposes an operand for free.
    """

    def __init__(self, mhsa: MHSA) -> None:
        super().__init__()
        self.mhsa = mhsa

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        batch, _, height, width = x.shape
        maps = self.mhsa.qkv_proj(x).permute(0, 2, 3, 1).reshape(batch, height * width, MHSA.HEADS, -1)
        heads = maps.transpose(1, 2).flatten(0, 1)  # (B * heads, N, query + key + value)
        query, key, value = heads.split(self.mhsa.widths, 2)
        attention = torch.softmax(query @ key.transpose(1, 2) * MHSA.KEY**-0.5, 2)  # (B * heads, N, N)
        mixed = (attention @ value).unflatten(0, (batch, MHSA.HEADS)).transpose(1, 2)  # (B, N, heads, C/2)
        maps = mixed.reshape(batch, height, width, -1).permute(0, 3, 1, 2)
        return self.mhsa.out_proj(maps)  # type: ignore[no-any-return]


def _stack(layers: nn.ModuleList) -> tuple[Tensor, Tensor]:
    """The layers' weights (heads, in, out) and biases (heads, out)."""
    weights, biases = zip(*((layer.weight.T, layer.bias) for layer in layers), strict=True)
    return torch.stack(weights), torch.stack(biases)


def _linear(tokens: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
    """One linear layer per head: (B, C, in) -> (B, C, out)."""
    parts = zip(tokens.chunk(len(weights), 1), weights, biases, strict=True)
    return torch.cat([F.linear(part, weight.T, bias) for part, weight, bias in parts], 1)


def _block(mixer: type[MHLA] | type[MHSA], stage: int, channels: int, side: int) -> list[nn.Module]:
    mixing = mixer(channels, side) if stage >= 2 else repmix(channels)
    return [Residual(mixing), Residual(FFN(channels, expansion=3))]


def _build(size: str, mixer: type[MHLA] | type[MHSA]) -> nn.Module:
    return FaceLiVT(DIMS[size], DEPTHS, partial(_block, mixer), nn.AdaptiveAvgPool2d(1), DIMS[size][-1])


def _register(name: str, size: str, mixer: type[MHLA] | type[MHSA]) -> None:
    summary = f"FaceLiVT-{size.upper()} with {mixer.__name__}"
    source = "arXiv 2506.10361, github.com/novendrastywn/FaceLiVT"
    register_model(ModelSpec(name, "recognition", (112, 112), 512, summary, source))(partial(_build, size, mixer))


for _size in DIMS:
    _register(f"facelivt_{_size}", _size, MHLA)
    _register(f"facelivt_{_size}_sa", _size, MHSA)
