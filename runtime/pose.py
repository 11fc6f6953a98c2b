"""Head pose: from six numbers to a rotation, and from a rotation to angles that a person can read.

Zero is a face that looks straight into the camera. The angles follow the field's data sets (300W-LP, AFLW2000), so
their labels can be compared directly:

- yaw > 0: the nose turns to the left of the picture (the person's own right)
- pitch > 0: the nose turns up
- roll > 0: the head tilts clockwise in the picture (to the person's own left shoulder)

``R = Rz(roll) @ Ry(yaw) @ Rx(pitch)``, each a right-handed rotation. Its rows are the head's axes as the camera
sees them, x to the right of the picture, y up, z towards the camera: row 0 goes to the side of the face that is on
the right of the picture, row 1 through the crown, row 2 out along the nose.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidGeometry

__all__ = ["euler_angles", "geodesic_deg", "rotation_from_6d"]

_GIMBAL = 1e-6  # below this cosine of the yaw, pitch and roll turn about the same axis


def rotation_from_6d(six: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Orthonormalise two vectors into a rotation: x = n(a), z = n(x × b), y = z × x are its columns.

    Source: Zhou et al. 2019, "On the Continuity of Rotation Representations in Neural Networks"; the order of
    columns is that of 6DRepNet.

    Args:
        six: (..., 6), the vectors a and b; only their directions matter.

    Returns:
        (..., 3, 3) float64; all NaN where a is zero, b is parallel to it, or a number is not finite.

    Raises:
        InvalidGeometry: the last axis is not 6 long.
    """
    six = np.asarray(six, np.float64)
    if six.ndim < 1 or six.shape[-1] != 6:
        raise InvalidGeometry(f"expected rotations as (..., 6), got shape {six.shape}")
    x = _unit(six[..., :3])
    z = _unit(np.cross(x, _unit(six[..., 3:])))
    x = np.where(np.isnan(z), np.nan, x)
    return np.stack([x, np.cross(z, x), z], axis=-1)


def euler_angles(rotation: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Yaw, pitch and roll of a rotation, see above for their signs.

    yaw = atan2(-R20, c), pitch = atan2(R21, R22), roll = atan2(R10, R00) with c = sqrt(R00² + R10²), the cosine of
    the yaw. Looking straight to a side (c < 1e-6), pitch and roll cannot be told apart: roll is then 0 and
    pitch = atan2(-R12, R11).

    Args:
        rotation: (..., 3, 3).

    Returns:
        (..., 3) float64 degrees: yaw in -90..90, pitch and roll in -180..180. NaN stays NaN.

    Raises:
        InvalidGeometry: another shape.
    """
    r = _check_rotation(rotation)
    cosine = np.hypot(r[..., 0, 0], r[..., 1, 0])
    locked = cosine < _GIMBAL
    yaw = np.arctan2(-r[..., 2, 0], cosine)
    pitch = np.where(locked, np.arctan2(-r[..., 1, 2], r[..., 1, 1]), np.arctan2(r[..., 2, 1], r[..., 2, 2]))
    roll = np.where(locked, 0.0, np.arctan2(r[..., 1, 0], r[..., 0, 0]))
    angles: NDArray[np.float64] = np.degrees(np.stack([yaw, pitch, roll], axis=-1))
    return angles


def geodesic_deg(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The angle of the rotation that takes a to b, by its half, which is accurate near 0 where arccos is not.

    sin(t/2) = |A - B| / sqrt(8), with the Frobenius norm, and cos(t/2) = sqrt(1 + tr(A Bᵀ)) / 2.

    Args:
        a: (..., 3, 3) rotations.
        b: likewise, broadcast against a.

    Returns:
        (...) float64 degrees in 0..180.

    Raises:
        InvalidGeometry: another shape.
    """
    a, b = _check_rotation(a), _check_rotation(b)
    sine = np.linalg.norm(a - b, axis=(-2, -1)) / np.sqrt(8)
    cosine = np.sqrt(np.maximum(1 + (a * b).sum(axis=(-2, -1)), 0)) / 2
    degrees: NDArray[np.float64] = np.degrees(2 * np.arctan2(sine, cosine))
    return degrees


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    sound = (length > 1e-8) & np.isfinite(length)
    return np.divide(vector, length, out=np.full_like(vector, np.nan), where=sound)


def _check_rotation(rotation: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    rotation = np.asarray(rotation, np.float64)
    if rotation.shape[-2:] != (3, 3):
        raise InvalidGeometry(f"expected rotations (..., 3, 3), got shape {rotation.shape}")
    return rotation
