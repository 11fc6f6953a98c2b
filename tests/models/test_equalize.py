"""Equalisation changes no answer, and gives channels like ranges wherever nothing but a scale stands between layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pocketface.models import create_model, model_spec, reparameterize
from pocketface.models.equalize import Pair, equalize, find_pairs

PAIRS = {"mos_xs": 33, "facelivtv2_xs": 6}


def images_for(name, count=2):
    generator = torch.Generator().manual_seed(1)
    return torch.rand((count, 3, *model_spec(name).input_size), generator=generator) * 2 - 1


@pytest.mark.parametrize("name", ["mos_xs", "facelivtv2_xs"])
def test_a_deployed_network_answers_the_same_in_float64(name):
    deployed = reparameterize(create_model(name, seed=0)).double()
    images = images_for(name).double()
    changed = equalize(deployed, images)
    before, after = deployed(images), changed(images)
    for a, b in zip(before, after, strict=True) if isinstance(before, tuple) else [(before, after)]:
        torch.testing.assert_close(b, a, rtol=1e-9, atol=1e-9)
    assert len(list(find_pairs(deployed, images))) == PAIRS[name]
    weights = zip(deployed.parameters(), changed.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in weights)


def chain(*layers):
    torch.manual_seed(0)
    return nn.Sequential(*layers).eval().requires_grad_(False)


def test_before_a_depthwise_convolution_all_channels_get_one_range():
    net = chain(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 2, 1))
    net[0].weight *= torch.tensor([1e-2, 1, 10, 100])[:, None, None, None]
    images = torch.rand(4, 3, 8, 8) * 2 - 1
    peaks = net[0](images).abs().amax((0, 2, 3))
    changed = equalize(net, images)
    alike = changed[0](images).abs().amax((0, 2, 3))
    torch.testing.assert_close(alike, peaks.log().mean().exp().expand(4))
    torch.testing.assert_close(changed(images), net(images), rtol=1e-5, atol=1e-5)


def test_a_full_convolution_takes_half_of_the_scale():
    net = chain(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 3))
    net[0].weight *= torch.tensor([1e-2, 1, 10, 100])[:, None, None, None]
    net[1].weight *= torch.tensor([3.0, 1, 2, 1])[None, :, None, None]
    images = torch.rand(4, 3, 8, 8) * 2 - 1
    changed = equalize(net, images)
    given, taken = changed[0](images).abs().amax((0, 2, 3)), changed[1].weight.abs().amax((0, 2, 3))
    torch.testing.assert_close(given / taken, (given / taken)[:1].expand(4))
    torch.testing.assert_close(changed(images), net(images), rtol=1e-4, atol=1e-4)


def test_eight_bits_lose_less_of_a_network_out_of_balance():
    net = chain(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8))
    scale = torch.logspace(-2, 2, 8)[:, None, None, None]
    net[0].weight *= scale
    net[0].bias *= scale.flatten()
    net[2].weight /= scale
    images = torch.rand(4, 3, 8, 8) * 2 - 1

    def lost(network):
        """Of the answer, where what flows between the layers has 8 bits and one range."""
        middle = network[1](network[0](images))
        step = middle.max() / 255
        return float((network[2]((middle / step).round() * step) - net(images)).abs().mean())

    assert lost(equalize(net, images)) < lost(net) / 10


@pytest.mark.parametrize(
    ("between", "moves"),
    [(nn.Identity(), True), (nn.ReLU(), True), (nn.GELU(), False), (nn.Sigmoid(), False), (nn.MaxPool2d(2), False)],
)
def test_a_scale_moves_only_through_what_keeps_it(between, moves):
    net = chain(nn.Conv2d(3, 4, 1), between, nn.Conv2d(4, 4, 3))
    assert list(find_pairs(net, torch.rand(1, 3, 8, 8))) == ([Pair("0", "2")] if moves else [])


def test_a_scale_does_not_move_where_two_take_the_value():
    class Fork(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)

        def forward(self, x):
            y = self.a(x)
            return self.b(y) + y

    assert list(find_pairs(Fork().eval(), torch.rand(1, 3, 8, 8))) == []


def test_a_flattened_cell_passes_and_a_flattened_map_does_not():
    cell = chain(nn.Conv2d(3, 4, 8), nn.Flatten(), nn.Linear(4, 2))
    grid = chain(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(256, 2))
    images = torch.rand(2, 3, 8, 8)
    assert list(find_pairs(cell, images)) == [Pair("0", "2")]
    assert list(find_pairs(grid, images)) == []
    torch.testing.assert_close(equalize(cell, images)(images), cell(images))
