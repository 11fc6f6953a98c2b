"""The canonical head, and what is read off a mesh; without FaceMesh itself, which is not part of the package."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pocketface.evaluate.headpose import rotation_of
from pocketface.runtime.pose import euler_angles
from pocketface.train.detect.mesh import FORTY_NINE, as_shape, canonical, five_of_49, five_of_mesh, outline
from pocketface.train.detect.posefit import pose_from_shape

#: Where the points are that say how a head stands: x, y up, z to the viewer.
KNOWN = {
    10: (0, 8, 4), 152: (0, -9, 4), 33: (-4.4, 2.6, 3), 263: (4.4, 2.6, 3), 133: (-1.8, 2.4, 3.5), 362: (1.8, 2.4, 3.5),
    61: (-2.4, -4.3, 4.2), 291: (2.4, -4.3, 4.2), 234: (-7.6, 0, -2.4), 454: (7.6, 0, -2.4), 4: (0, -0.5, 7.6),
}  # fmt: skip


@pytest.fixture
def head() -> np.ndarray:
    """(468, 3) of a symmetric head."""
    rng = np.random.default_rng(0)
    free = [i for i in range(468) if i not in KNOWN]
    half = rng.uniform((0.3, -9, -3), (7, 8, 7), (len(free) // 2, 3))
    points = np.zeros((468, 3))
    points[free[: len(half)]], points[free[len(half) : 2 * len(half)]] = half, half * (-1, 1, 1)
    for i, place in KNOWN.items():
        points[i] = place
    return points


def test_the_canonical_head_looks_straight_ahead_whatever_the_portraits_do(head: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    poses = rotation_of(
        np.stack([rng.uniform(-25, 25, 12), rng.uniform(-15, 15, 12), rng.uniform(-10, 10, 12)], axis=1)
    )
    meshes = [
        (head @ pose * s + rng.normal(size=3)) * (1, -1, -1) for pose, s in zip(poses, range(20, 32), strict=True)
    ]
    found = canonical(meshes)
    scaled = found * (8.8 / (found[263, 0] - found[33, 0]))
    shift = (scaled - head).mean(axis=0)
    assert_allclose(scaled - shift, head, atol=1e-6)
    for mesh, pose in zip(meshes, poses, strict=True):
        assert_allclose(pose_from_shape(found, as_shape(mesh)), pose, atol=1e-6)
    assert_allclose(euler_angles(pose_from_shape(found, head)), 0, atol=1e-6)


def test_five_points_come_in_our_order(head: np.ndarray) -> None:
    mesh = head * (10, -10, -10) + 100
    five = five_of_mesh(mesh)
    assert five[0, 0] < five[2, 0] < five[1, 0]
    assert five[3, 0] < five[4, 0]
    assert five[0, 1] < five[2, 1] < five[3, 1]
    assert_allclose(five_of_49(mesh[list(FORTY_NINE), :2]), five)
    assert outline(mesh).tolist() == [*mesh[:, :2].min(axis=0), *mesh[:, :2].max(axis=0)]


def test_the_points_of_300w_are_49_different_ones() -> None:
    assert len(set(FORTY_NINE)) == 49
