"""The algebra of folding, each rule against the modules it stands for, in float64."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketface.models import reparam

CLOSE = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double_precision() -> Iterator[None]:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _settled(bn: reparam.BatchNorm) -> reparam.BatchNorm:
    """Eval mode, with statistics and an affine map that are far from the identity."""
    for tensor, low, high in (
        (bn.weight, -1.5, 1.5),
        (bn.bias, -1, 1),
        (bn.running_mean, -1, 1),
        (bn.running_var, 0.1, 3),
    ):
        nn.init.uniform_(tensor, low, high)
    return bn.eval()


def _apply(kernel: reparam.Kernel, x: Tensor, **geometry: int) -> Tensor:
    return F.conv2d(x, *kernel, **geometry)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_conv_then_batchnorm(groups: int, bias: bool) -> None:
    conv, bn = nn.Conv2d(6, 12, 3, padding=1, groups=groups, bias=bias), _settled(nn.BatchNorm2d(12))
    x = torch.randn(2, 6, 5, 4)
    fused = reparam.fuse_conv_bn(conv.weight, conv.bias, bn)
    torch.testing.assert_close(_apply(fused, x, padding=1, groups=groups), bn(conv(x)), **CLOSE)


@pytest.mark.parametrize("bias", [True, False])
def test_linear_and_batchnorm_in_both_orders(bias: bool) -> None:
    linear, after, before = nn.Linear(6, 4, bias=bias), _settled(nn.BatchNorm1d(4)), _settled(nn.BatchNorm1d(6))
    x = torch.randn(3, 6)
    behind = reparam.fuse_conv_bn(linear.weight, linear.bias, after)
    torch.testing.assert_close(F.linear(x, *behind), after(linear(x)), **CLOSE)
    ahead = reparam.fuse_bn_linear(before, linear.weight, linear.bias)
    torch.testing.assert_close(F.linear(x, *ahead), linear(before(x)), **CLOSE)


@pytest.mark.parametrize("stride", [1, 2])
def test_parallel_convolutions(stride: int) -> None:
    convs = [nn.Conv2d(4, 4, k, stride, k // 2, groups=2) for k in (1, 3, 5)]
    x = torch.randn(2, 4, 7, 6)
    fused = reparam.add_kernels([(conv.weight, conv.bias) for conv in convs])
    torch.testing.assert_close(
        _apply(fused, x, stride=stride, padding=2, groups=2), sum(conv(x) for conv in convs), **CLOSE
    )


@pytest.mark.parametrize(("channels", "groups", "size"), [(4, 1, 1), (6, 2, 3), (6, 6, 5)])
def test_the_identity_is_a_kernel(channels: int, groups: int, size: int) -> None:
    conv = nn.Conv2d(channels, channels, size, groups=groups)
    x = torch.randn(2, channels, 6, 5)
    identity = reparam.identity_kernel(conv.weight)
    assert torch.equal(F.conv2d(x, identity, padding=size // 2, groups=groups), x)


@pytest.mark.parametrize(("kernel", "size"), [(1, (4, 4)), (3, (7, 7)), (3, (5, 2)), (5, (3, 4)), (7, (4, 4))])
@pytest.mark.parametrize("sets", [1, 4])
def test_a_convolution_is_a_matrix(sets: int, kernel: int, size: tuple[int, int]) -> None:
    conv = nn.Conv2d(sets, sets, kernel, padding=kernel // 2, groups=sets)
    weight, bias = reparam.conv_to_fc(conv.weight, conv.bias, size)
    cells = size[0] * size[1]
    assert weight.shape == (sets, cells, cells)
    x = torch.randn(3, sets, *size)
    y = torch.einsum("snm,bsm->bsn", weight, x.flatten(2)) + bias
    torch.testing.assert_close(y.reshape(x.shape), conv(x), **CLOSE)


def test_a_convolutions_matrix_holds_its_taps() -> None:
    """Written out by hand for a 3 x 3 kernel on a 2 x 3 map: entry (to, from) is the tap at their distance."""
    weight = torch.arange(9.0).reshape(1, 1, 3, 3)
    matrix, _ = reparam.conv_to_fc(weight, torch.zeros(1), (2, 3))
    cells = list(itertools.product(range(2), range(3)))
    for to, (i, j) in enumerate(cells):
        for frm, (k, m) in enumerate(cells):
            near = abs(k - i) <= 1 and abs(m - j) <= 1
            assert matrix[0, to, frm] == (weight[0, 0, k - i + 1, m - j + 1] if near else 0)


def test_repmlp_becomes_one_matrix_per_share_set() -> None:
    """RepMLP's block: FC(x) + sum over k of BN(conv_k(x)), on four share-sets of a 7 x 7 map."""
    sets, size = 4, (7, 7)
    weight, bias = torch.randn(sets, 49, 49), torch.randn(sets, 49)
    convs = [nn.Conv2d(sets, sets, k, padding=k // 2, groups=sets, bias=False) for k in (1, 3, 5)]
    bns = [_settled(nn.BatchNorm2d(sets)) for _ in convs]
    x = torch.randn(2, sets, *size)
    fc = torch.einsum("snm,bsm->bsn", weight, x.flatten(2)) + bias
    expected = fc.reshape(x.shape) + sum(bn(conv(x)) for conv, bn in zip(convs, bns, strict=True))

    branches = [reparam.fuse_conv_bn(conv.weight, None, bn) for conv, bn in zip(convs, bns, strict=True)]
    local_weight, local_bias = reparam.conv_to_fc(*reparam.add_kernels(branches), size)
    y = torch.einsum("snm,bsm->bsn", weight + local_weight, x.flatten(2)) + bias + local_bias
    torch.testing.assert_close(y.reshape(x.shape), expected, **CLOSE)


def test_token_offset_is_the_answer_to_nothing() -> None:
    heads, width, cells = 4, 3, 5
    weight, bias = torch.randn(heads, cells, cells), torch.randn(heads, cells)
    beta, gain = torch.randn(heads * width), torch.randn(heads * width)
    offset = reparam.token_offset(weight, bias, gain * beta, gain)
    for head, channel in itertools.product(range(heads), range(width)):
        c = head * width + channel
        expected = gain[c] * (beta[c].expand(cells) @ weight[head] + bias[head])
        torch.testing.assert_close(offset[head, channel], expected, **CLOSE)


def _stitched_towers() -> tuple[list[nn.Conv2d], Tensor, Tensor, Tensor]:
    towers, stitch, x = [nn.Conv2d(8, 6, 1) for _ in range(3)], torch.randn(3, 3, 6), torch.randn(2, 8, 4, 5)
    seen = torch.stack([tower(x) for tower in towers])  # (U, B, C, H, W)
    mixed = [sum(stitch[t, u, :, None, None] * seen[u] for u in range(3)) for t in range(3)]
    return towers, stitch, x, torch.stack(mixed)


def test_cross_stitch_collapses_into_one_convolution_per_task() -> None:
    towers, stitch, x, mixed = _stitched_towers()
    predictors = [nn.Conv2d(6, size, 1) for size in (2, 4, 10)]
    kernels = [[(conv.weight, conv.bias) for conv in convs] for convs in (towers, predictors)]
    collapsed = reparam.collapse_cross_stitch(kernels[0], stitch, kernels[1])
    for kernel, predictor, seen in zip(collapsed, predictors, mixed, strict=True):
        torch.testing.assert_close(_apply(kernel, x), predictor(seen), **CLOSE)


def test_cross_stitch_collapses_without_predictors() -> None:
    towers, stitch, x, mixed = _stitched_towers()
    collapsed = reparam.collapse_cross_stitch([(tower.weight, tower.bias) for tower in towers], stitch)
    for kernel, seen in zip(collapsed, mixed, strict=True):
        torch.testing.assert_close(_apply(kernel, x), seen, **CLOSE)
