"""Reparameterization: the exact algebra that turns a trained network into the smaller one that is shipped.

The functions at the top are pure: tensors in, tensors out. A module that can fold has ``fold()``, built on them, which
returns the module to put in its place; ``reparameterize`` copies a network and folds the copy from the leaves up.

All rules hold in eval mode only, where a BatchNorm is the affine map ``scale * x + shift`` of its running statistics.
A kernel and its bias travel together as ``(weight, bias)``, laid out as in ``nn.Conv2d`` and ``nn.Linear``.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ExportError

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d
Kernel = tuple[Tensor, Tensor]


def batchnorm_affine(bn: BatchNorm) -> tuple[Tensor, Tensor]:
    """The (scale, shift) of shape (C,) that a BatchNorm applies in eval mode."""
    assert bn.running_mean is not None, "a BatchNorm without running statistics cannot be folded"
    assert bn.running_var is not None
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    return scale, bn.bias - scale * bn.running_mean


def fuse_conv_bn(weight: Tensor, bias: Tensor | None, bn: BatchNorm) -> Kernel:
    """Fold a BatchNorm that follows a convolution or a linear layer into it."""
    scale, shift = batchnorm_affine(bn)
    fused = weight * scale.reshape(-1, *[1] * (weight.dim() - 1))
    return fused, shift if bias is None else shift + scale * bias


def fuse_bn_linear(bn: BatchNorm, weight: Tensor, bias: Tensor | None) -> Kernel:
    """Fold a BatchNorm that precedes a linear layer, weight (out, in), into it."""
    scale, shift = batchnorm_affine(bn)
    moved = weight @ shift
    return weight * scale, moved if bias is None else moved + bias


def pad_kernel(weight: Tensor, size: int) -> Tensor:
    """Zero-pad a (out, in, k, k) kernel to ``size`` around its centre; both sizes are odd."""
    margin = (size - weight.shape[-1]) // 2
    return F.pad(weight, [margin] * 4)


def add_kernels(kernels: Sequence[Kernel]) -> Kernel:
    """One convolution for the sum of parallel ones of the same stride; the smaller kernels are padded at the centre."""
    size = max(weight.shape[-1] for weight, _ in kernels)
    weights = [pad_kernel(weight, size) for weight, _ in kernels]
    return torch.stack(weights).sum(0), torch.stack([bias for _, bias in kernels]).sum(0)


def identity_kernel(weight: Tensor) -> Tensor:
    """The kernel, of the shape of ``weight`` (C, C/groups, k, k), that passes its input on."""
    out, per_group, size, _ = weight.shape
    identity = torch.zeros_like(weight)
    channel = torch.arange(out)
    identity[channel, channel % per_group, size // 2, size // 2] = 1
    return identity


def conv_to_fc(weight: Tensor, bias: Tensor, size: tuple[int, int]) -> Kernel:
    """Write a depthwise k x k convolution over ``size`` = (H, W) as one full matrix per map. Source: arXiv 2105.01883.

    A linear map is what it does to the unit impulses, so the convolution is shown all H * W of them.

    Args:
        weight: (S, 1, k, k), one kernel per share-set, k odd; padding k // 2 and stride 1 are understood.
        bias: (S,).
        size: of the map; the kernel may be smaller or larger.

    Returns:
        Matrices (S, H*W, H*W) that multiply flattened maps from the left, and biases (S, H*W).
    """
    sets, cells = weight.shape[0], size[0] * size[1]
    impulses = torch.eye(cells).to(weight).reshape(cells, 1, *size).expand(-1, sets, -1, -1)
    answers = F.conv2d(impulses, weight, padding=weight.shape[-1] // 2, groups=sets)  # (in, S, H, W)
    return answers.flatten(2).permute(1, 2, 0).contiguous(), bias[:, None].repeat(1, cells)


def token_offset(weight: Tensor, bias: Tensor, shift: Tensor, gain: Tensor) -> Tensor:
    """What token mixing adds to cell n of channel c: ``shift_c * sum_m W_h[m, n] + gain_c * b_h[n]``.

    With ``y = gain * ((alpha * x + beta) W_h + b_h)`` and ``shift = gain * beta``, it is what is left of y without x.

    Args:
        weight: (heads, N, N), one matrix per head h; a head has C / heads neighbouring channels.
        bias: (heads, N).
        shift: (C,).
        gain: (C,).

    Returns:
        (heads, C / heads, N).
    """
    heads = weight.shape[0]
    return shift.reshape(heads, -1, 1) * weight.sum(1, keepdim=True) + gain.reshape(heads, -1, 1) * bias[:, None]


def collapse_cross_stitch(
    towers: Sequence[Kernel], stitch: Tensor, predictors: Sequence[Kernel] | None = None
) -> list[Kernel]:
    """One 1x1 convolution per task for towers, cross-stitch and predictors with no activation between them.

    ``W_t = P_t * sum_u diag(w[t, u]) * V_u`` and the biases likewise.

    Args:
        towers: per task u the 1x1 convolution ``V_u``, weight (C, in, 1, 1); all towers read the same feature.
        stitch: (T, T, C), how much of tower u's channel c goes to task t.
        predictors: per task t the 1x1 convolution ``P_t``, weight (out, C, 1, 1); left out, the stitched towers
            themselves are returned, for tasks whose predictor is not 1x1.

    Returns:
        Per task a kernel (out, in, 1, 1) and its bias.
    """
    weights = torch.stack([weight.flatten(1) for weight, _ in towers])  # (U, C, in)
    biases = torch.stack([bias for _, bias in towers])  # (U, C)
    stitched = torch.einsum("tuc,uci->tci", stitch, weights), torch.einsum("tuc,uc->tc", stitch, biases)
    if predictors is None:
        return [(weight[..., None, None], bias) for weight, bias in zip(*stitched, strict=True)]
    return [
        ((out.flatten(1) @ weight)[..., None, None], out.flatten(1) @ bias + out_bias)
        for (out, out_bias), weight, bias in zip(predictors, *stitched, strict=True)
    ]


def reparameterize(model: nn.Module) -> nn.Module:
    """The deployed form of a network, as a copy; the network itself stays as it is, ready to be trained on.

    Folding a folded network changes nothing.

    Raises:
        ExportError: the network is in training mode, where no BatchNorm is a constant.
    """
    if any(module.training for module in model.modules()):
        raise ExportError(f"{type(model).__name__} is in training mode, and only eval mode can be folded: call .eval()")
    with torch.no_grad():
        return rebuild(copy.deepcopy(model), "fold").requires_grad_(False).eval()


def rebuild(module: nn.Module, method: str) -> nn.Module:
    """Replace, from the leaves up, each module that has ``method`` by what it returns; in place."""
    for name, child in module.named_children():
        setattr(module, name, rebuild(child, method))
    return getattr(module, method)() if hasattr(module, method) else module
