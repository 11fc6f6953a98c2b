"""The same network in forms whose backward pass is fast on a CPU; weights, names and answers stay.

``pocketface bench self`` measures what they bring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models.blocks import ConvBN, RepConv
from ..models.reparam import add_kernels
from ..models.repvgg import kernel_of
from ..models.stitch import CrossStitch


def quicken(network: nn.Module) -> nn.Module:
    """Give slow modules of a network a faster forward that computes the same; in place.

    torch 2.13 ends in a segmentation fault in the backward pass of a strided 1 x 1 convolution over a channels-last
    input on a CPU, which RepConv has as a branch: its merged form also goes around that.
    """
    for module in network.modules():
        if form := QUICK.get(type(module)):
            module.forward = MethodType(form, module)
    return network


def _merged(self: RepConv, x: Tensor) -> Tensor:
    """One convolution by the sum of the two kernels, which learn as before."""
    assert self.conv.bias is not None
    assert self.repconv.bias is not None
    weight, bias = add_kernels([(self.conv.weight, self.conv.bias), (self.repconv.weight, self.repconv.bias)])
    out = F.conv2d(x, weight, bias, self.conv.stride, self.conv.padding, groups=self.conv.groups)
    return self.bn(out)  # type: ignore[no-any-return]


def _product(self: ConvBN, x: Tensor) -> Tensor:
    """A depthwise convolution that fits the map once, as recognisers end in, is a product and a sum."""
    conv = self.c
    depthwise = conv.groups == conv.in_channels == conv.out_channels and conv.padding == (0, 0)
    if not depthwise or conv.kernel_size[0] == 1 or x.shape[2:] != conv.weight.shape[2:]:
        return self.bn(conv(x))  # type: ignore[no-any-return]
    return self.bn((x * self.c.weight[:, 0]).sum((2, 3), keepdim=True))  # type: ignore[no-any-return]


def _stitched(self: CrossStitch, x: Tensor) -> Tensor:
    """Unit and predictors as one kernel over all towers: the mixed features themselves need not be computed."""
    towers = torch.cat([tower(x) for tower in self.towers.values()], 1)  # (B, T C, H, W)
    kernels, biases = zip(*(kernel_of(predictor) for predictor in self.predictors.values()), strict=True)
    mixed = [kernel[:, :, 0, 0, None] * self.stitch[:, t] for t, kernel in enumerate(kernels)]  # (answers, C, T) each
    weight = torch.cat(mixed).transpose(1, 2).flatten(1)[:, :, None, None]
    return F.conv2d(towers, weight, torch.cat(biases) + self.start)


#: Kind of module -> its quick forward.
QUICK: Mapping[type[nn.Module], Callable[..., Any]] = {RepConv: _merged, ConvBN: _product, CrossStitch: _stitched}
