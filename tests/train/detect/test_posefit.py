"""Poses that points were made with are found again, by the signs of the runtime."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pocketface.evaluate.headpose import rotation_of
from pocketface.runtime.pose import euler_angles
from pocketface.train.detect.posefit import mirrored, pose_from_points, pose_from_shape

ANGLES = np.array([[0, 0, 0], [35, -10, 5], [-50, 20, -30], [10, 40, 60]], np.float64)


@pytest.fixture
def shape() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(49, 3))


def seen(shape: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """The head's points in the camera's axes: the rows of the rotation are the head's axes."""
    return shape @ rotation


@pytest.mark.parametrize("angles", ANGLES)
def test_pose_from_points(shape: np.ndarray, angles: np.ndarray) -> None:
    rotation = rotation_of(angles)
    points = seen(shape, rotation)[:, :2] * (1, -1) * 37 + (120, 80)
    found, camera = pose_from_points(shape, points)
    assert_allclose(found, rotation, atol=1e-9)
    assert_allclose(np.column_stack([shape, np.ones(49)]) @ camera.T, points, atol=1e-9)


def test_noisy_points_are_fitted_better_than_by_any_neighbour(shape: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    points = seen(shape, rotation_of(ANGLES[1]))[:, :2] * (1, -1) * 37 + rng.normal(size=(49, 2)) * 4

    def cost(rotation: np.ndarray) -> float:
        """What is left after the best scale and shift."""
        flat = seen(shape, rotation)[:, :2] * (1, -1)
        flat, there = flat - flat.mean(axis=0), points - points.mean(axis=0)
        return float(((there - flat * (flat * there).sum() / (flat**2).sum()) ** 2).sum())

    found, _ = pose_from_points(shape, points)
    turns = rotation_of(rng.normal(size=(40, 3)))
    assert all(cost(found) < cost(found @ turn) for turn in turns)


@pytest.mark.parametrize("angles", ANGLES)
def test_pose_from_shape(shape: np.ndarray, angles: np.ndarray) -> None:
    rotation = rotation_of(angles)
    assert_allclose(pose_from_shape(shape, seen(shape, rotation) * 5 + (1, 2, 3)), rotation, atol=1e-12)


def test_a_nose_to_the_left_of_the_picture_is_a_positive_yaw() -> None:
    head = np.array([[-1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1]])  # ears, crown, chin, nose
    turned = np.array([[-0.9, 0], [0.9, 0], [0, -1], [0, 1], [-0.4, 0]])  # in the picture, y down
    yaw, pitch, roll = euler_angles(pose_from_points(head, turned)[0])
    assert yaw > 15
    assert abs(pitch) + abs(roll) < 1e-6


def test_a_mirrored_head_turns_and_tilts_the_other_way() -> None:
    rotation = mirrored(rotation_of(ANGLES))
    assert_allclose(euler_angles(rotation), ANGLES * (-1, 1, -1), atol=1e-9)
