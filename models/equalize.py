"""Cross-layer equalisation: an exact change of scale between convolutions that makes them kinder to 8 bits.

A channel between two convolutions may be divided by any positive number if the second one multiplies by it: through
nothing at all, or through a ReLU, which keeps positive factors, the network computes the same. Quantized, all channels
of a tensor share one range, so a channel that is small beside the others loses its digits. Divided by their own
ranges, all channels use the whole of it.

Sources: Nagel et al. 2019 (arXiv 1906.04721) for the idea; where the second convolution has one scale for all channels
of an output, part of the range is left in the activations (Xiao et al. 2022, arXiv 2211.10438).
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.utils.hooks import RemovableHandle

from .repvgg import kernel_of

#: Factors are kept within this, so that no channel becomes so large that half overflows, or so small that it vanishes.
_LIMIT = 2.0**10
_SMALL = 1e-6


@dataclass(frozen=True)
class Pair:
    """Two layers with nothing between them but a scale that may be moved: names in the deployed network."""

    first: str
    second: str


@torch.no_grad()
def equalize(deployed: nn.Module, images: Tensor) -> nn.Module:
    """A copy of a deployed network that computes the same, with channels of like ranges wherever that is free.

    Args:
        deployed: a folded network.
        images: ``(N, 3, H, W)`` as it takes them, to see the ranges on.
    """
    changed = copy.deepcopy(deployed)
    pairs = list(find_pairs(changed, images))
    # Once for all: a pair changes nothing behind its second layer, so no pair moves what another one has seen.
    peaks = _peaks(changed, {pair.first for pair in pairs}, images)
    for pair in pairs:
        first, second = changed.get_submodule(pair.first), changed.get_submodule(pair.second)
        _scale(first, second, _factors(peaks[pair.first], second))
    return changed


def find_pairs(deployed: nn.Module, images: Tensor) -> Iterator[Pair]:
    """Convolutions whose output goes to one layer only: directly, or through ReLUs and flattenings of one cell."""
    program = torch.export.export(deployed, (images[:1],))
    weights = program.graph_signature.inputs_to_parameters
    for node in program.graph.nodes:
        if node.target is torch.ops.aten.conv2d.default:
            after = _next(node)
            while after is not None and _passes(after):
                after = _next(after)
            if after is not None and after.target in _LAYERS:
                yield Pair(*(_owner(weights, layer) for layer in (node, after)))


_LAYERS = (torch.ops.aten.conv2d.default, torch.ops.aten.linear.default)
_FLAT = (torch.ops.aten.view.default, torch.ops.aten.reshape.default, torch.ops.aten.flatten.using_ints)


def _next(node: fx.Node) -> fx.Node | None:
    """The only one that takes a node's value."""
    users = list(node.users)
    return users[0] if len(users) == 1 else None


def _passes(node: fx.Node) -> bool:
    """Whether a positive factor of a channel goes through."""
    if node.target in (torch.ops.aten.relu.default, torch.ops.aten.relu_.default):
        return True
    before = node.args[0]
    return node.target in _FLAT and isinstance(before, fx.Node) and tuple(before.meta["val"].shape[2:]) == (1, 1)


def _owner(weights: dict[str, str], layer: fx.Node) -> str:
    return weights[str(layer.args[1])].removesuffix(".weight")


def _peaks(network: nn.Module, layers: Collection[str], images: Tensor) -> dict[str, Tensor]:
    """(C,) greatest absolute value of each channel that the layers give."""
    seen: dict[str, list[Tensor]] = {name: [] for name in layers}

    def watch(name: str) -> RemovableHandle:
        see = seen[name].append
        return network.get_submodule(name).register_forward_hook(lambda _, __, given: see(given.abs().amax((0, 2, 3))))

    handles = [watch(name) for name in layers]
    try:
        for image in images.split(8):
            network(image)
    finally:
        for handle in handles:
            handle.remove()
    return {name: torch.stack(found).amax(0) for name, found in seen.items()}


def _factors(peaks: Tensor, second: nn.Module) -> Tensor:
    """(C,) by what each channel is divided.

    A depthwise convolution has a scale for each channel of its own, so it takes the whole factor. A full one shares
    scales among its inputs; there both sides take the root.
    """
    assert isinstance(second, nn.Conv2d | nn.Linear)
    peaks = peaks.clamp(min=_SMALL)
    if not _depthwise(second):
        weights = second.weight.abs().flatten(2).amax(2) if second.weight.dim() > 2 else second.weight.abs()
        peaks = (peaks / weights.amax(0).clamp(min=_SMALL)).sqrt()
    factors = peaks / peaks.log().mean().exp()  # their geometric mean stays, and so does the tensor's size
    return factors.clamp(1 / _LIMIT, _LIMIT)


def _scale(first: nn.Module, second: nn.Module, factors: Tensor) -> None:
    weight, bias = kernel_of(first)
    weight.div_(factors[:, None, None, None])
    bias.div_(factors)
    assert isinstance(second, nn.Conv2d | nn.Linear)
    axis = 0 if _depthwise(second) else 1
    second.weight.mul_(factors.reshape([-1 if i == axis else 1 for i in range(second.weight.dim())]))


def _depthwise(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.groups > 1
