"""Fill a network with seeded random values that keep its signals alive, until trained weights land."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Last part of the names of parameters that are added; a weight multiplies a vector, all others scale.
ADDED = ("bias", "beta")
#: How many pictures the running statistics are taken from.
PICTURES = 16
#: Coarse cells per side -> amplitude, of the colour blobs that they are made of.
OCTAVES = {14: 0.6, 28: 0.4, 56: 0.3}


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
        amplitude * F.interpolate(uniform(3, cells, cells), size, mode="bilinear", align_corners=True)
        for cells, amplitude in OCTAVES.items()
    ]
    contrast, tint = 1 + 0.75 * uniform(1, 1, 1), 0.5 * uniform(3, 1, 1)
    return (contrast * torch.stack(blobs).sum(0) + tint).clamp(-1, 1)


def _settle(model: nn.Module, pictures: Tensor) -> None:
    """Set the running statistics to those of one batch."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    model.train()(pictures)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
