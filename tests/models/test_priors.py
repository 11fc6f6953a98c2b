"""Priors and decoding against loops over plain numbers, and rotations against numpy, also in float16."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from pocketface.models.priors import MAX_LOG_SIDE, Raw, decode, priors, rotation_from_6d
from pocketface.runtime.pose import rotation_from_6d as runtime_rotation_from_6d

SIZES = [(64, 96), (32, 32), (160, 64)]


def raw_answers(height: int, width: int, batch: int = 2) -> Raw:
    rng = torch.Generator().manual_seed(height + width)
    count = 21 * height * width // 1024

    def normal(*shape: int) -> Tensor:
        return torch.randn(batch, count, *shape, generator=rng, dtype=torch.float64)

    return Raw(3 * normal(), 3 * normal(4), 2 * normal(10), normal(6))  # a tenth of the log sides is clipped


def cells(height: int, width: int) -> list[tuple[float, float, int]]:
    """(x, y, stride) of all priors: the mean of the pixels that a cell covers."""
    found = []
    for stride in (8, 16, 32):
        for top in range(0, height, stride):
            for left in range(0, width, stride):
                pixels = range(stride)
                found.append((left + sum(pixels) / stride, top + sum(pixels) / stride, stride))
    return found


@pytest.mark.parametrize("size", SIZES)
def test_a_prior_is_the_mean_of_its_cells_pixels(size: tuple[int, int]) -> None:
    points, strides = priors(*size, torch.zeros((), dtype=torch.float64))
    expected = cells(*size)
    assert points.T.tolist() == [[x, y] for x, y, _ in expected]
    assert strides.tolist() == [stride for *_, stride in expected]


@pytest.mark.parametrize("size", SIZES)
def test_decoding_equals_a_loop_over_plain_numbers(size: tuple[int, int]) -> None:
    raw = raw_answers(*size)
    faces = decode(raw, *size)
    for b in range(2):
        for n, (x, y, stride) in enumerate(cells(*size)):
            dx, dy, log_width, log_height = raw.box[b, n].tolist()
            half_width, half_height = (
                math.exp(min(max(side, -MAX_LOG_SIDE), MAX_LOG_SIDE)) * stride / 2 for side in (log_width, log_height)
            )
            cx, cy = x + dx * stride, y + dy * stride
            box = [cx - half_width, cy - half_height, cx + half_width, cy + half_height]
            offsets = raw.landmarks[b, n].tolist()
            five = [[x + stride * offsets[2 * k], y + stride * offsets[2 * k + 1]] for k in range(5)]
            assert faces.scores[b, n].item() == pytest.approx(1 / (1 + math.exp(-raw.score[b, n].item())), rel=1e-12)
            assert faces.boxes[b, n].tolist() == pytest.approx(box, rel=1e-12, abs=1e-12)
            assert faces.landmarks[b, n].tolist() == pytest.approx(np.array(five), rel=1e-12, abs=1e-12)


def test_sizes_of_boxes_are_bounded() -> None:
    raw = Raw(*(torch.full((1, 21, *shape), 1e4) for shape in ((), (4,), (10,), (6,))))
    boxes = decode(raw, 32, 32).boxes
    assert boxes.isfinite().all()
    assert (boxes[..., 2:] - boxes[..., :2]).max().item() == pytest.approx(32 * math.exp(MAX_LOG_SIDE), rel=1e-3)


def gram_schmidt(six: np.ndarray) -> np.ndarray:
    """The textbook's: the part of b that is orthogonal to a, and the cross product of both."""
    a, b = six[:3], six[3:]
    x = a / np.linalg.norm(a)
    y = b - (b @ x) * x
    y = y / np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], axis=1)


def test_rotations_are_gram_schmidts() -> None:
    six = raw_answers(64, 96).pose
    expected = np.stack([[gram_schmidt(one) for one in batch] for batch in six.numpy()])
    np.testing.assert_allclose(rotation_from_6d(six).numpy(), expected, rtol=0, atol=1e-12)


def test_rotations_are_those_of_the_runtime() -> None:
    six = raw_answers(64, 96).pose
    np.testing.assert_allclose(rotation_from_6d(six), runtime_rotation_from_6d(six.numpy()), rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e4])
def test_rotations_are_orthonormal_with_determinant_one(scale: float) -> None:
    rotation = rotation_from_6d(scale * raw_answers(64, 96).pose)
    gram = rotation.transpose(-1, -2) @ rotation
    assert (gram - torch.eye(3)).abs().max() < 1e-12
    assert (torch.linalg.det(rotation) - 1).abs().max() < 1e-12


def test_straight_ahead_is_the_identity() -> None:
    six = torch.tensor([[[2.0, 0, 0, 0, 0.5, 0]]])
    assert rotation_from_6d(six).equal(torch.eye(3)[None, None])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4], ids=str)
def test_float16_agrees_with_float64(scale: float) -> None:
    """At a thousandth and at ten thousand, where the square of a component has no float16."""
    six = (scale * raw_answers(64, 96).pose).half()
    a, b = six.double().unflatten(-1, (2, 3)).unbind(-2)
    sine = torch.linalg.cross(a, b).norm(dim=-1) / (a.norm(dim=-1) * b.norm(dim=-1))
    error = (rotation_from_6d(six) - rotation_from_6d(six.double())).abs().amax((-1, -2))
    assert (error * sine).max() < 4e-3, "rounding weighs the more, the more parallel the vectors"


HOSTILE = {
    "zero": [0.0] * 6,
    "one zero": [0.0, 0, 0, 1, 2, 3],
    "parallel": [1.0, 2, 3, 2, 4, 6],
    "opposite": [1.0, 0, 0, -1, 0, 0],
    "the largest": [65504.0, -65504, 65504, 65504, 65504, -65504],
    "the smallest": [6e-8, 0, 0, 0, 6e-8, 0],
}


@pytest.mark.parametrize("numbers", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_no_six_numbers_give_nan(numbers: list[float], dtype: torch.dtype) -> None:
    six = torch.tensor([[numbers]], dtype=dtype, requires_grad=True)
    rotation = rotation_from_6d(six)
    assert rotation.isfinite().all()
    assert rotation.abs().max() <= 1.01
    rotation.sum().backward()
    assert six.grad is not None
    assert not six.grad.isnan().any()


def test_all_of_decoding_stays_finite_in_float16() -> None:
    raw = Raw(*(answer.half() * 4 for answer in raw_answers(320, 320)))
    exact = decode(Raw(*(answer.double() for answer in raw)), 320, 320)
    rounded = decode(raw, 320, 320)
    assert all(answer.isfinite().all() for answer in rounded)
    torch.testing.assert_close(rounded.scores.double(), exact.scores, rtol=0, atol=1e-3)
    torch.testing.assert_close(rounded.boxes.double(), exact.boxes, rtol=5e-3, atol=2.0)
