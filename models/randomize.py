"""Fill a network with seeded random values that keep its signals alive, until trained weights land."""

from __future__ import annotations

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Last part of the names of parameters that are added; a weight multiplies a vector, all others scale.
ADDED = ("bias", "beta")
#: How many pictures the running statistics are taken from.
PICTURES = 8
#: Cells per side -> amplitude, of the blobs that they are made of. As in photographs, coarse structure is the stronger.
OCTAVES = {2: 1.0, 4: 0.8, 8: 0.6, 16: 0.6, 32: 0.5, 64: 0.4}
#: How much of a blob is light, common to all channels, and how much colour.
LIGHT, COLOUR = 1.0, 0.5
#: Least variance: a channel that hardly moves on these pictures would explode on others.
FLOOR = 1 / 64


def randomize(model: nn.Module, seed: int, input_size: tuple[int, int]) -> None:
    """Give every parameter and running statistic of ``model`` a seeded value, in place.

    Weights have unit gain, scales lie around a half, biases around 0. Nothing is tiny, as layer scales and last gammas
    are when training starts: a parity test of a branch that is multiplied by 1e-5 is blind. The running statistics are
    those of seeded pictures, so that signals stay of order 1 through any depth and two faces get two embeddings.

    Args:
        model: any network of the registry; it is left in eval mode.
        seed: the same seed gives the same values.
        input_size: (height, width) of the pictures.
    """
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            low, high = _range(name.rpartition(".")[2], parameter)
            parameter.copy_(torch.rand(parameter.shape, generator=rng) * (high - low) + low)
        _settle(model, _pictures(rng, input_size))


def _range(name: str, parameter: Tensor) -> tuple[float, float]:
    if name == "weight" and parameter.dim() > 1:
        bound = math.sqrt(3 / parameter[0].numel())  # variance 1 / fan_in
        return -bound, bound
    return (-0.1, 0.1) if name in ADDED else (0.3, 0.7)


def _pictures(rng: torch.Generator, size: tuple[int, int]) -> Tensor:
    """Coloured blobs in -1..1, with a contrast and a tint of their own: nearer to photographs than white noise is."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(PICTURES, *shape, generator=rng) * 2 - 1

    blobs = [
        amplitude * F.interpolate(cells, size, mode="bilinear", align_corners=True)
        for side, amplitude in OCTAVES.items()
        for cells in [LIGHT * uniform(1, side, side) + COLOUR * uniform(3, side, side)]
    ]
    contrast, tint = 1 + 0.5 * uniform(1, 1, 1), 0.4 * uniform(3, 1, 1)
    return (contrast * torch.stack(blobs).sum(0) + tint).clamp(-1, 1)


def _settle(model: nn.Module, pictures: Tensor) -> None:
    """Set the running statistics of each BatchNorm near those of what it is given.

    Rounded, and summed in float64, so that a seed gives the same weights, bit for bit, on every machine.
    """
    answers: dict[nn.Module, tuple[float, float]] = getattr(model, "answers", dict)()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(_measure) for norm in norms]
    hooks += [layer.register_forward_hook(partial(_calm, wanted)) for layer, wanted in answers.items()]
    model.eval().double()
    getattr(model, "judged", model)(pictures.double())  # through all branches
    model.float()
    for hook in hooks:
        hook.remove()


def _calm(wanted: tuple[float, float], layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    """Scale and shift a convolution so that its answers have about this mean and deviation."""
    assert isinstance(layer.weight, Tensor)
    assert isinstance(layer.bias, Tensor)
    variance, mean = torch.var_mean(output, (0, 2, 3), correction=0)
    scale = (wanted[1] / variance.sqrt()).log2().round().exp2()
    layer.weight.mul_(scale[:, None, None, None])
    layer.bias.sub_((mean * 4).round() / 4).mul_(scale).add_(wanted[0])


def _measure(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    assert isinstance(norm.running_mean, Tensor)
    assert isinstance(norm.running_var, Tensor)
    over = [axis for axis in range(inputs[0].dim()) if axis != 1]
    variance, mean = torch.var_mean(inputs[0], over, correction=0)
    deviation = variance.clamp(min=FLOOR).sqrt().log2().round().exp2()
    norm.running_var.copy_(deviation**2)
    norm.running_mean.copy_((mean / deviation * 4).round() / 4 * deviation)
