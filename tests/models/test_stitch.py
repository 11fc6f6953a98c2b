"""Cross-stitch units against the formula written as loops, and their folding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pocketface.models import reparameterize
from pocketface.models.stitch import CrossStitch

TASKS = {"one": [0.5], "two": [-1.0, 2.0], "three": [0.0, 0.0, 0.0]}
CHANNELS = 5


@pytest.fixture
def unit() -> CrossStitch:
    torch.manual_seed(0)
    stitch = CrossStitch(CHANNELS, TASKS)
    for parameter in stitch.parameters():
        nn.init.normal_(parameter)
    for tower in stitch.towers.values():
        nn.init.normal_(tower.bn.running_mean)
        nn.init.uniform_(tower.bn.running_var, 0.5, 2)
    return stitch.double().eval()


def by_hand(unit: CrossStitch, feature: Tensor) -> list[float]:
    """The answers at one pixel: out_t = P_t(sum_u w[c, t, u] * V_u(x)) + start_t, a number at a time."""
    names = list(TASKS)
    towers = []
    for name in names:
        conv, bn = unit.towers[name].c, unit.towers[name].bn
        tower = []
        for c in range(CHANNELS):
            value = sum(conv.weight[c, i, 0, 0] * feature[i] for i in range(CHANNELS))
            tower.append((value - bn.running_mean[c]) / (bn.running_var[c] + bn.eps) ** 0.5 * bn.weight[c] + bn.bias[c])
        towers.append(tower)
    answers = []
    for t, name in enumerate(names):
        mixed = [sum(unit.stitch[c, t, u] * towers[u][c] for u in range(len(names))) for c in range(CHANNELS)]
        predictor = unit.predictors[name]
        for o, start in enumerate(TASKS[name]):
            weighted = sum(predictor.weight[o, c, 0, 0] * mixed[c] for c in range(CHANNELS))
            answers.append(float(weighted + predictor.bias[o] + start))
    return answers


@pytest.mark.parametrize("fold", [False, True], ids=["training form", "folded"])
@torch.no_grad()
def test_answers_are_the_formulas(unit: CrossStitch, fold: bool) -> None:
    image = torch.randn(2, CHANNELS, 2, 3, dtype=torch.float64)
    network = reparameterize(unit) if fold else unit
    answers = network(image)
    assert answers.shape == (2, 6, 2, 3)
    for b, y, x in ((0, 0, 0), (1, 1, 2), (0, 1, 1)):
        assert answers[b, :, y, x].tolist() == pytest.approx(by_hand(unit, image[b, :, y, x]), rel=1e-12, abs=1e-12)


def test_one_convolution_is_left(unit: CrossStitch) -> None:
    folded = reparameterize(unit)
    assert isinstance(folded, nn.Conv2d)
    assert folded.weight.shape == (6, CHANNELS, 1, 1)


def test_a_fresh_unit_listens_mostly_to_its_own_tower_and_answers_its_start() -> None:
    fresh = CrossStitch(CHANNELS, TASKS).eval()
    expected = torch.full((3, 3), 0.1).fill_diagonal_(0.9)
    torch.testing.assert_close(fresh.stitch, expected.expand(CHANNELS, 3, 3))
    answers = fresh(torch.randn(1, CHANNELS, 4, 4))
    start = torch.tensor([number for numbers in TASKS.values() for number in numbers])
    assert (answers - start[:, None, None]).abs().max() < 0.2
