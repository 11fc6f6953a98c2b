"""Normalisations. Their sums are taken in float32, also where the program computes in half."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..kernels import Tensor, op


@op
def batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` per channel of ``x (B, C, ...)``."""
    return F.batch_norm(x, mean, variance, gamma, beta, eps=epsilon)


@op
def instance_norm(x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = 1e-5) -> Tensor:
    """Like ``batch_norm``, with mean and variance of each picture and channel."""
    return F.instance_norm(x, weight=gamma, bias=beta, eps=epsilon)


@op
def layer_norm(
    x: Tensor,
    axes: list[int] | None = None,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """Zero mean and unit variance over some axes, then ``gamma`` and ``beta``, which have these axes only."""
    over = sorted(a % x.dim() for a in (range(x.dim()) if axes is None else axes))
    shape = [n if i in over else 1 for i, n in enumerate(x.shape)]
    if over == list(range(over[0], x.dim())):
        return F.layer_norm(x, [x.shape[i] for i in over], gamma, beta, epsilon)
    variance, mean = torch.var_mean(x, over, correction=0, keepdim=True)
    normal = (x - mean) / (variance + epsilon).sqrt()
    if gamma is not None:
        normal = normal * gamma.reshape(shape)
    return normal if beta is None else normal + beta.reshape(shape)


@op
def l2_norm(x: Tensor, epsilon: float = 1e-6) -> Tensor:
    """``x / sqrt(sum of squares over the last three axes + epsilon)``."""
    return x / (x.square().sum((-3, -2, -1), keepdim=True) + epsilon).sqrt()
