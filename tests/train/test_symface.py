"""Frontness of landmarks, halves of pictures, and the loss between them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pocketface.contract import ARCFACE_TEMPLATE
from pocketface.errors import InvalidGeometry
from pocketface.train.symface import frontness, halves, statistics_kept, symmetry_loss

TEMPLATE = np.array(ARCFACE_TEMPLATE)


def turned(landmarks: np.ndarray, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return landmarks @ np.array([[c, s], [-s, c]]) + [5, -3]


def test_it_is_the_noses_offset_in_eye_distances() -> None:
    aside = TEMPLATE.copy()
    aside[2, 0] += 0.25 * (TEMPLATE[1, 0] - TEMPLATE[0, 0])
    level = aside.copy()
    level[:2, 1] = 50  # eyes level: the specification's |x_nose - (x_left + x_right) / 2|
    offset = abs(level[2, 0] - (level[0, 0] + level[1, 0]) / 2) / (level[1, 0] - level[0, 0])
    assert frontness(level[None])[0] == pytest.approx(1 - offset, abs=1e-12)
    assert frontness(TEMPLATE[None])[0] > 0.99
    assert frontness(aside[None])[0] == pytest.approx(0.75, abs=0.01)


def test_turning_scaling_and_mirroring_change_nothing() -> None:
    aside = TEMPLATE + np.random.default_rng(0).normal(size=(20, 5, 2)) * 5
    expected = frontness(aside)
    assert np.ptp(expected) > 0.1
    for angle in (10, 90, 200):
        assert frontness(np.stack([turned(2 * face, angle) for face in aside])) == pytest.approx(expected)
    mirrored = ([112, 0] + aside * [-1, 1])[:, [1, 0, 2, 4, 3]]
    assert frontness(mirrored) == pytest.approx(expected)


def test_a_profile_has_none_at_all() -> None:
    profile = TEMPLATE.copy()
    profile[2, 0] += 60
    assert frontness(profile[None])[0] == 0


@pytest.mark.parametrize(
    "wrong", [np.zeros((1, 5, 2)), np.full((1, 5, 2), np.nan), np.zeros((5, 2)), np.zeros((1, 4, 2))]
)
def test_landmarks_without_eyes_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(InvalidGeometry):
        frontness(wrong)


def test_halves_lie_on_each_other() -> None:
    image = torch.rand(2, 3, 4, 6)
    left, right = halves(image).chunk(2)
    assert torch.equal(left[..., :3], image[..., :3])
    assert torch.equal(right[..., 0], image[..., 5])
    assert torch.equal(right[..., 2], image[..., 3])
    assert (left[..., 3:] == -1).all()
    assert (right[..., 3:] == -1).all()


def test_a_mirror_image_of_itself_costs_nothing() -> None:
    image = torch.rand(3, 3, 8, 8)
    symmetric = torch.cat([image[..., :4], image[..., :4].flip(3)], 3)
    assert symmetry_loss(halves(symmetric).flatten(1)).item() == pytest.approx(0, abs=1e-6)
    assert symmetry_loss(halves(image).flatten(1)) > 1e-3


def test_the_loss_is_its_formula_and_0_for_no_face() -> None:
    e = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    x = e.detach().numpy()
    cos = [x[i] @ x[3 + i] / np.linalg.norm(x[i]) / np.linalg.norm(x[3 + i]) for i in range(3)]
    assert symmetry_loss(e).item() == pytest.approx(np.mean([1 - c for c in cos]))
    assert torch.autograd.gradcheck(symmetry_loss, e)
    assert symmetry_loss(e[:0]).item() == 0


def test_halves_leave_no_trace_in_running_statistics() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    before = {key: value.clone() for key, value in network[1].named_buffers()}
    with statistics_kept(network):
        inside = network(torch.rand(2, 3, 8, 8) + 5)
    assert inside.mean().abs() < 1e-5  # normalised by its own batch
    assert torch.equal(network[1].running_mean, before["running_mean"])
    assert torch.equal(network[1].running_var, before["running_var"])
    network(torch.rand(2, 3, 8, 8) + 5)
    assert not torch.equal(network[1].running_mean, before["running_mean"])
