"""Head pose against rotations composed another way, and against what a camera would see."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pocketface.errors import InvalidGeometry
from pocketface.runtime.pose import euler_angles, geodesic_deg, rotation_from_6d


def turned(axis: tuple[float, float, float], degrees: float) -> tuple[float, float, float, float]:
    """A unit quaternion (w, x, y, z)."""
    half = math.radians(degrees) / 2
    return (math.cos(half), *(math.sin(half) * v for v in axis))  # type: ignore[return-value]


def product(p: tuple[float, ...], q: tuple[float, ...]) -> tuple[float, float, float, float]:
    (a, b, c, d), (e, f, g, h) = p, q
    return (
        a * e - b * f - c * g - d * h,
        a * f + b * e + c * h - d * g,
        a * g - b * h + c * e + d * f,
        a * h + b * g - c * f + d * e,
    )


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Rz(roll) Ry(yaw) Rx(pitch) by way of quaternions, with no matrix product in it."""
    w, x, y, z = product(product(turned((0, 0, 1), roll), turned((0, 1, 0), yaw)), turned((1, 0, 0), pitch))
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


@pytest.mark.parametrize("seed", range(50))
def test_angles_come_back(seed: int) -> None:
    yaw, pitch, roll = np.random.default_rng(seed).uniform([-89.9, -180, -180], [89.9, 180, 180])
    np.testing.assert_allclose(euler_angles(rotation(yaw, pitch, roll)), [yaw, pitch, roll], atol=1e-9)


@pytest.mark.parametrize("yaw", [90, -90])
@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (20, 0), (-170, 0), (15, 40), (0, -75)])
def test_looking_straight_to_a_side_the_rotation_still_comes_back(yaw: float, pitch: float, roll: float) -> None:
    known = rotation(yaw, pitch, roll)
    angles = euler_angles(known)
    assert angles[0] == pytest.approx(yaw)
    assert angles[2] == 0
    np.testing.assert_allclose(rotation(*angles), known, atol=1e-9)


def test_signs_are_what_a_camera_sees() -> None:
    """Where points of the head appear: the rows are the head's axes, x right, y up, z towards the camera."""
    right, crown, nose = rotation(yaw=30, pitch=0, roll=0)
    assert nose[0] == pytest.approx(-0.5)  # yaw > 0: the nose goes to the picture's left
    right, crown, nose = rotation(yaw=0, pitch=30, roll=0)
    assert nose[1] == pytest.approx(0.5)  # pitch > 0: the nose goes up
    right, crown, nose = rotation(yaw=0, pitch=0, roll=30)
    assert crown[0] == pytest.approx(0.5)  # roll > 0: the crown goes to the right, clockwise
    assert right[1] == pytest.approx(-0.5)
    assert euler_angles(np.eye(3)).tolist() == [0, 0, 0]


def test_any_leading_shape() -> None:
    angles = np.random.default_rng(0).uniform(-80, 80, (2, 3, 3))
    rotations = np.array([[rotation(*a) for a in row] for row in angles])
    np.testing.assert_allclose(euler_angles(rotations), angles, atol=1e-9)
    np.testing.assert_allclose(euler_angles(rotations.astype(np.float32)), angles, atol=1e-3)
    assert euler_angles(np.zeros((0, 3, 3))).shape == (0, 3)


@pytest.mark.parametrize("seed", range(20))
def test_six_numbers_give_back_the_rotation_they_were_cut_from(seed: int) -> None:
    random = np.random.default_rng(seed)
    known = rotation(*random.uniform(-180, 180, 3))
    a, b = known[:, 0], known[:, 1]
    scaled = np.concatenate([random.uniform(0.01, 50) * a, random.uniform(0.01, 50) * b + random.uniform(-9, 9) * a])
    np.testing.assert_allclose(rotation_from_6d(scaled), known, atol=1e-9)


def test_any_six_numbers_give_a_rotation() -> None:
    got = rotation_from_6d(np.random.default_rng(0).normal(size=(4, 100, 6)))
    np.testing.assert_allclose(got @ got.swapaxes(-1, -2), np.broadcast_to(np.eye(3), got.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(got), 1)


@pytest.mark.parametrize(
    "six", [[0] * 6, [0, 0, 0, 1, 2, 3], [1, 2, 3, 0, 0, 0], [1, 2, 3, -2, -4, -6], [np.nan] + [1] * 5, [np.inf] * 6]
)
def test_six_numbers_without_a_rotation_give_nan(six: list[float]) -> None:
    with np.errstate(all="raise", invalid="ignore"):
        got = rotation_from_6d(np.array([six, [1, 0, 0, 0, 1, 0]]))
    assert np.isnan(got[0]).all()
    np.testing.assert_array_equal(got[1], np.eye(3))
    assert np.isnan(euler_angles(got[0])).all()


@pytest.mark.parametrize("degrees", [0, 1e-6, 0.01, 1, 45, 120, 179, 180])
def test_geodesic_is_the_angle_turned_by(degrees: float) -> None:
    w, x, y, z = turned((0.6, 0.0, 0.8), degrees)
    start = rotation(25, -10, 70)
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    for a, b in ((start, turn @ start), (turn @ start, start), (start, start @ turn)):
        assert geodesic_deg(a, b) == pytest.approx(degrees, rel=1e-6, abs=1e-7)


def test_geodesic_broadcasts() -> None:
    many = np.array([rotation(yaw, 0, 0) for yaw in (-30, 0, 50)])
    np.testing.assert_allclose(geodesic_deg(many, np.eye(3)), [30, 0, 50], atol=1e-9)
    np.testing.assert_allclose(geodesic_deg(many[:, None], many), [[0, 30, 80], [30, 0, 50], [80, 50, 0]], atol=1e-5)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(InvalidGeometry, match=r"\(\.\.\., 6\)"):
        rotation_from_6d(np.zeros((2, 5)))
    with pytest.raises(InvalidGeometry, match=r"shape \(\)"):
        rotation_from_6d(np.float64(1))
    for bad in (np.zeros(9), np.zeros((3, 4)), np.zeros((2, 9))):
        with pytest.raises(InvalidGeometry, match=r"\(\.\.\., 3, 3\)"):
            euler_angles(bad)
        with pytest.raises(InvalidGeometry, match=r"\(\.\.\., 3, 3\)"):
            geodesic_deg(bad, np.eye(3))
