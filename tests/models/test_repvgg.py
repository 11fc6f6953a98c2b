"""RepVGG's unit: its branches written out, and folded."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketface.models import reparameterize
from pocketface.models.repvgg import RepVGGConv, SeparableUnit

#: in, out, kernel, stride, depthwise -> the branches that there are
SHAPES = {
    (6, 6, 3, 1, False): {"main", "point", "skip"},
    (6, 8, 3, 1, False): {"main", "point"},
    (3, 8, 3, 2, False): {"main", "point"},
    (6, 6, 1, 1, False): {"main", "skip"},
    (6, 8, 1, 1, False): {"main"},
    (6, 6, 3, 1, True): {"main", "skip"},
    (6, 6, 5, 1, True): {"main", "skip"},
    (6, 6, 5, 2, True): {"main", "skip"},
}


def random_unit(shape: tuple[int, int, int, int, bool]) -> RepVGGConv:
    torch.manual_seed(0)
    *sizes, depthwise = shape
    unit = RepVGGConv(*sizes, depthwise=depthwise)
    for norm in (module for module in unit.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    return unit.double().eval()


def normalized(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("size", [(8, 10), (7, 5)], ids=str)
@torch.no_grad()
def test_a_unit_is_the_sum_of_its_branches_before_and_after_folding(
    shape: tuple[int, int, int, int, bool], size: tuple[int, int]
) -> None:
    unit = random_unit(shape)
    _, out, kernel, stride, depthwise = shape
    x = torch.randn(2, shape[0], *size, dtype=torch.float64)
    groups = shape[0] if depthwise else 1
    expected = normalized(F.conv2d(x, unit.main.c.weight, None, stride, kernel // 2, groups=groups), unit.main.bn)
    branches = {"main"}
    if unit.point is not None:
        expected = expected + normalized(F.conv2d(x, unit.point.c.weight, stride=stride), unit.point.bn)
        branches.add("point")
    if unit.skip is not None:
        expected = expected + normalized(F.max_pool2d(x, 1, stride), unit.skip)
        branches.add("skip")
    assert branches == SHAPES[shape]
    folded = reparameterize(unit)
    assert isinstance(folded, nn.Conv2d)
    assert folded.weight.shape == (out, shape[0] // groups, kernel, kernel)
    torch.testing.assert_close(unit(x), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(folded(x), expected, rtol=1e-12, atol=1e-12)


def test_a_separable_unit_folds_to_two_convolutions() -> None:
    folded = reparameterize(SeparableUnit(6, 8, 5, 2).eval())
    kinds = [type(module).__name__ for module in folded.modules()][1:]
    assert kinds == ["Conv2d", "ReLU", "Conv2d", "ReLU"]
