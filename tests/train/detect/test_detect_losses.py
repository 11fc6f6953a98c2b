"""Each loss against its formula, a number at a time in float64, and its gradient against differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from pocketface.evaluate.headpose import rotation_of
from pocketface.runtime.boxes import iou
from pocketface.runtime.pose import geodesic_deg
from pocketface.train.detect.geometry import diou, iou_rows
from pocketface.train.detect.losses import FINE, Uncertainty, box_loss, landmark_loss, pose_loss, quality_focal


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def boxes_of(rng: np.random.Generator, count: int) -> Tensor:
    corner, side = rng.uniform(0, 20, (count, 2)), rng.uniform(1, 30, (count, 2))
    return torch.from_numpy(np.concatenate([corner, corner + side], 1))


def rotations_of(rng: np.random.Generator, count: int) -> Tensor:
    return torch.from_numpy(rotation_of(rng.uniform(-80, 80, (count, 3))))


def test_quality_focal(rng: np.random.Generator) -> None:
    logits, quality = rng.normal(size=20) * 3, rng.uniform(size=20)
    p = 1 / (1 + np.exp(-logits))
    wanted = (quality - p) ** 2 * -((1 - quality) * np.log(1 - p) + quality * np.log(p))
    got = quality_focal(torch.from_numpy(logits), torch.from_numpy(quality))
    np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_iou_is_that_of_the_runtime(rng: np.random.Generator) -> None:
    a, b = boxes_of(rng, 6), boxes_of(rng, 9)
    np.testing.assert_allclose(iou_rows(a, b.expand(6, 9, 4)), iou(a.numpy(), b.numpy()), rtol=1e-12)


def test_diou(rng: np.random.Generator) -> None:
    a, b = boxes_of(rng, 30), boxes_of(rng, 30)
    for one, other, got in zip(a.tolist(), b.tolist(), diou(a, b).tolist(), strict=True):
        overlap = float(iou(np.array([one]), np.array([other]))[0, 0])
        x, y = ((one[i] + one[i + 2] - other[i] - other[i + 2]) / 2 for i in (0, 1))
        w, h = (max(one[i + 2], other[i + 2]) - min(one[i], other[i]) for i in (0, 1))
        assert got == pytest.approx(overlap - (x * x + y * y) / (w * w + h * h), rel=1e-12)


def test_boxes_that_agree_cost_nothing(rng: np.random.Generator) -> None:
    a = boxes_of(rng, 5)
    np.testing.assert_allclose(box_loss(a, a), 0, atol=1e-12)


def test_landmarks(rng: np.random.Generator) -> None:
    found, marked = (torch.from_numpy(rng.normal(size=(4, 5, 2))) for _ in range(2))
    side = torch.from_numpy(rng.uniform(5, 60, 4))
    got = landmark_loss(found, marked, side).tolist()
    for face in range(4):
        costs = []
        for point in range(5):
            for axis in range(2):
                d = abs(float(found[face, point, axis] - marked[face, point, axis])) / float(side[face])
                costs.append(d * d / 2 / FINE if d < FINE else d - FINE / 2)
        assert got[face] == pytest.approx(sum(costs) / 10, rel=1e-12)


def test_pose_is_the_angle_between(rng: np.random.Generator) -> None:
    a, b = rotations_of(rng, 30), rotations_of(rng, 30)
    angle = np.radians(geodesic_deg(a.numpy(), b.numpy()))
    below = angle < np.radians(175)
    np.testing.assert_allclose(pose_loss(a, b).numpy()[below], angle[below], rtol=1e-3)
    trace = np.einsum("nij,nij->n", a.numpy(), b.numpy())
    np.testing.assert_allclose(pose_loss(a, b).numpy()[below], np.arccos((trace - 1) / 2)[below], rtol=1e-3)


def test_pose_can_be_learned_from_anywhere(rng: np.random.Generator) -> None:
    """No gradient is infinite where poses agree or are opposite, where that of arccos is."""
    same = rotations_of(rng, 2)
    for other in (same.clone(), same * torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64)):
        other.requires_grad_()
        (gradient,) = torch.autograd.grad(pose_loss(other, same).sum(), other)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("loss", ["box", "landmarks", "pose", "score"])
def test_gradients(loss: str, rng: np.random.Generator) -> None:
    if loss == "box":
        free, known = boxes_of(rng, 4), boxes_of(rng, 4)
        what = lambda x: box_loss(x, known)  # noqa: E731
    elif loss == "landmarks":
        free, known = (torch.from_numpy(rng.normal(size=(3, 5, 2))) for _ in range(2))
        what = lambda x: landmark_loss(x, known, torch.tensor([9.0, 20.0, 40.0]).double())  # noqa: E731
    elif loss == "pose":
        free, known = rotations_of(rng, 3), rotations_of(rng, 3)
        what = lambda x: pose_loss(x, known)  # noqa: E731
    else:
        free, known = torch.from_numpy(rng.normal(size=8)), torch.from_numpy(rng.uniform(size=8))
        what = lambda x: quality_focal(x, known)  # noqa: E731
    assert torch.autograd.gradcheck(what, (free.requires_grad_(),))


def test_uncertainty_is_kendalls_sum_and_ends_at_the_logarithm_of_the_loss() -> None:
    weigh = Uncertainty({"a": 1.0, "b": 0.5}).double()
    losses = {name: torch.tensor(value, dtype=torch.float64) for name, value in (("a", 4.0), ("b", 0.01))}
    with torch.no_grad():
        weigh.log_variance["a"].fill_(0.3)
        weigh.log_variance["b"].fill_(-1.0)
    wanted = (math.exp(-0.3) * 4 + 0.3) / 2 + 0.5 * (math.exp(1.0) * 0.01 - 1.0) / 2
    assert float(weigh(losses).detach()) == pytest.approx(wanted, rel=1e-12)
    optimizer = torch.optim.LBFGS(weigh.parameters(), max_iter=100)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = weigh(losses)
        loss.backward()
        return loss

    optimizer.step(step)
    assert float(weigh.log_variance["a"].detach()) == pytest.approx(math.log(4), abs=1e-3)
    assert float(weigh.log_variance["b"].detach()) == pytest.approx(math.log(0.01), abs=1e-3)


def test_a_task_without_labels_in_a_batch_is_left_out() -> None:
    weigh = Uncertainty({"a": 1.0, "b": 1.0})
    weigh({"a": torch.tensor(2.0)}).backward()
    assert weigh.log_variance["a"].grad is not None
    assert weigh.log_variance["b"].grad is None
