"""FaceLiVTv2: convolutional early stages, then token mixing by one small matrix per head.

Source: arXiv 2604.09127, github.com/novendrastywn/FaceLiVT. Parameter names are those of the published checkpoints.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from .blocks import FFN, ConvBN, Residual
from .registry import ModelSpec, register_model
from .reparam import Kernel, conv_to_fc, token_offset
from .trunk import FaceLiVT, repmix

DIMS = {"xs": (32, 64, 128, 256), "s": (48, 96, 192, 320), "m": (56, 112, 224, 448), "l": (64, 128, 256, 512)}
DEPTHS = (3, 3, 9, 3)
HEADS = 4
#: Width of the head between its 1 x 1 and its 4 x 4 convolution.
FEATURES = 1284


class Affine(nn.Module):
    """``alpha * x + beta`` per channel of (B, C, N)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.full((1, channels, 1), 1e-5))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Shape stays."""
        return self.alpha * x + self.beta


class LiteMHLA(nn.Module):
    """Multi-head linear attention without the attention: per head one linear map over all cells of the grid.

    The channels are split among the heads, and the channels of a head share its (N, N) matrix, N = side * side.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        tokens = side * side
        self.norm = Affine(channels)
        self.lin = nn.ModuleList(nn.Linear(tokens, tokens) for _ in range(HEADS))
        self.ls = nn.Parameter(torch.full((channels, 1, 1), 1e-5))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, side, side) -> the same."""
        tokens = self.norm(x.flatten(2)).unflatten(1, (HEADS, -1))  # (B, heads, C/heads, N)
        return self.ls * self.mix(tokens).reshape(x.shape)

    def mix(self, tokens: Tensor) -> Tensor:
        """(B, heads, C/heads, N) -> the same, mixed over N."""
        return torch.stack([lin(part) for lin, part in zip(self.lin, tokens.unbind(1), strict=True)], 1)

    def matrices(self) -> Kernel:
        """The heads' matrices (heads, N, N) and biases (heads, N)."""
        weights, biases = zip(*((lin.weight, lin.bias) for lin in self.lin), strict=True)
        return torch.stack(weights), torch.stack(biases)


class LocalLiteMHLA(LiteMHLA):
    """LiteMHLA that learns with a k x k convolution beside each head's matrix, and ships without it.

    The kernel is shared by the channels of a head, as its matrix is: only then can RepMLP's rule (arXiv 2105.01883)
    write the convolution into the matrix, which so starts with the locality that it would have to learn.
    """

    def __init__(self, channels: int, side: int, kernel: int = 3) -> None:
        super().__init__(channels, side)
        self.grid = (side, side)
        self.local: nn.Module = ConvBN(HEADS, HEADS, kernel, groups=HEADS)

    def mix(self, tokens: Tensor) -> Tensor:
        """(B, heads, C/heads, N) -> the same, mixed over N."""
        maps = tokens.transpose(1, 2).unflatten(3, self.grid)  # (B, C/heads, heads, side, side)
        local: Tensor = self.local(maps.flatten(0, 1)).flatten(2).unflatten(0, maps.shape[:2])
        return super().mix(tokens) + local.transpose(1, 2)

    def matrices(self) -> Kernel:
        """The heads' matrices with the convolution written into them."""
        weight, bias = super().matrices()
        local = self.local
        assert isinstance(local, nn.Conv2d)  # it folds before the whole does
        assert local.bias is not None
        local_weight, local_bias = conv_to_fc(local.weight, local.bias, self.grid)
        return weight + local_weight, bias + local_bias


class MixingResidual(Residual):
    """``x + m(x)`` around a LiteMHLA, which folds as a whole."""

    m: LiteMHLA

    def fold(self) -> nn.Module:
        """The per-channel scales before and after the matrices become one after them."""
        weight, bias = self.m.matrices()
        gain, alpha, beta = self.m.ls.flatten(), self.m.norm.alpha.flatten(), self.m.norm.beta.flatten()
        return TokenMixing(weight.transpose(1, 2), bias, scale=gain * alpha, shift=gain * beta, gain=gain)


class TokenMixing(nn.Module):
    """The deployed LiteMHLA with its residual, ``x + scale * (x W) + offset``, in 5 tensors.

    The offset has the size of the grid but only rank two per head. It is kept as its factors, and becomes one constant
    when the network is exported.
    """

    def __init__(self, weight: Tensor, bias: Tensor, scale: Tensor, shift: Tensor, gain: Tensor) -> None:
        """Weights (heads, N, N) multiply from the right; for the others see ``reparam.token_offset``."""
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight.contiguous()), nn.Parameter(bias)
        self.scale, self.shift, self.gain = nn.Parameter(scale), nn.Parameter(shift), nn.Parameter(gain)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, side, side) -> the same."""
        tokens = x.reshape(x.shape[0], HEADS, x.shape[1] // HEADS, -1)  # (B, heads, C/heads, N)
        mixed = tokens @ self.weight * self.scale.reshape(HEADS, -1, 1) + self.offset()
        return (tokens + mixed).reshape(x.shape)

    def offset(self) -> Tensor:
        """(heads, C/heads, N)."""
        return token_offset(self.weight, self.bias, self.shift, self.gain)

    def channels_last(self) -> nn.Module:
        """The same for TFLite."""
        return ChannelsLastTokenMixing(self)


class ChannelsLastTokenMixing(nn.Module):
    """TokenMixing without any transpose in TFLite: a head's matrix multiplies its (N, C/heads) from the left."""

    def __init__(self, mixing: TokenMixing) -> None:
        super().__init__()
        self.mixing = mixing

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, side, side) -> the same."""
        batch, channels, height, width = x.shape
        tokens = x.permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        weights = self.mixing.weight.transpose(1, 2).unsqueeze(1)  # (heads, 1, N, N)
        mixed = torch.cat([w @ part for w, part in zip(weights, tokens.chunk(HEADS, 2), strict=True)], 2)  # (B, N, C)
        mixed = mixed * self.mixing.scale + self.mixing.offset().permute(2, 0, 1).flatten(1)
        return (tokens + mixed).reshape(batch, height, width, channels).permute(0, 3, 1, 2)


def _block(mixer: type[LiteMHLA], stage: int, channels: int, side: int) -> list[nn.Module]:
    mixing = [MixingResidual(mixer(channels, side))] if stage >= 2 else []
    return [Residual(repmix(channels)), *mixing, Residual(FFN(channels, expansion=2))]


def _build(size: str, mixer: type[LiteMHLA] = LiteMHLA) -> nn.Module:
    width = DIMS[size][-1]
    pre_head = nn.Sequential(ConvBN(width, FEATURES), ConvBN(FEATURES, FEATURES, 4, padding=0, groups=FEATURES))
    return FaceLiVT(DIMS[size], DEPTHS, partial(_block, mixer), pre_head, FEATURES)


def _spec(name: str, summary: str) -> ModelSpec:
    source = "arXiv 2604.09127, github.com/novendrastywn/FaceLiVT"
    return ModelSpec(name, "recognition", (112, 112), 512, summary, source)


for _size in DIMS:
    register_model(_spec(f"facelivtv2_{_size}", f"FaceLiVTv2-{_size.upper()}"))(partial(_build, _size))

_LOCAL = "FaceLiVTv2-XS, trained with a convolution beside each token matrix that is merged into it"
register_model(_spec("facelivtv2_xs_local", _LOCAL))(partial(_build, "xs", LocalLiteMHLA))
