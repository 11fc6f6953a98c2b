"""Head pose from points: the rotation under which a known face, seen from afar, gives the points in the picture.

A scaled orthographic camera: it has no focal length to be guessed, and at the distance from which portraits are taken
perspective bends a face by less than points are marked exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_ITERATIONS = 20


def pose_from_points(shape: NDArray[Any], points: NDArray[Any]) -> tuple[Floats, Floats]:
    """The rotation that brings a face's shape upon points in a picture, by Gauss-Newton on the distances in pixels.

    Minimises ``sum |s P R^T X + t - x|^2`` over the rotation R, the scale s and the shift t, P the first two rows.
    The start is the closest rotation to the best affine camera.

    Args:
        shape: (n, 3) points of a head that looks straight ahead: x to the right of the picture, y up, z to the viewer.
        points: (n, 2) in the picture, y down.

    Returns:
        R (3, 3) of :mod:`pocketface.runtime.pose`, and the (2, 4) camera that takes (x, y, z, 1) to the picture.
    """
    shape, seen = np.asarray(shape, np.float64), np.asarray(points, np.float64) * (1, -1)
    middle = shape.mean(axis=0)
    centred = shape - middle
    affine = np.linalg.lstsq(np.column_stack([centred, np.ones(len(centred))]), seen, rcond=None)[0].T
    rows, lengths, columns = np.linalg.svd(affine[:, :3], full_matrices=False)
    turn, scale, shift = _complete(rows @ columns), float(lengths.mean()), affine[:, 3]
    for _ in range(_ITERATIONS):
        turned = centred @ turn.T
        residual = (seen - scale * turned[:, :2] - shift).reshape(-1)
        step = np.linalg.lstsq(_jacobian(turned, scale), residual, rcond=None)[0]
        turn = _rotation(step[:3]) @ turn
        scale, shift = scale * float(np.exp(step[3])), shift + step[4:]
        if np.abs(step).max() < 1e-9:
            break
    linear = scale * turn[:2]
    camera: Floats = np.column_stack([linear, shift - linear @ middle]) * [[1.0], [-1.0]]
    return turn.T, camera


def pose_from_shape(shape: NDArray[Any], observed: NDArray[Any]) -> Floats:
    """The same from points (n, 3) with a depth, in the axes of ``shape``: the least squares have a closed form.

    Source: Umeyama 1991, "Least-Squares Estimation of Transformation Parameters Between Two Point Patterns".
    """
    a, b = (np.asarray(points, np.float64) - np.mean(points, axis=0) for points in (shape, observed))
    u, _, v = np.linalg.svd(b.T @ a)
    flip = np.diag([1, 1, np.sign(np.linalg.det(u @ v))])
    turned: Floats = (u @ flip @ v).T
    return turned


def mirrored(rotation: NDArray[Any]) -> NDArray[Any]:
    """The rotation of the same head in the mirrored picture; (..., 3, 3)."""
    signs = np.array([-1, 1, 1], rotation.dtype)
    turned: NDArray[Any] = rotation * signs[:, None] * signs
    return turned


def _complete(rows: Floats) -> Floats:
    return np.vstack([rows, np.cross(rows[0], rows[1])])


def _jacobian(turned: Floats, scale: float) -> Floats:
    """(2n, 6) of the projected points by a further turn, the logarithm of the scale, and the shift."""
    x, y, z = turned.T
    zero, one = np.zeros_like(x), np.ones_like(x)
    horizontal = np.stack([zero, scale * z, -scale * y, scale * x, one, zero], axis=1)
    vertical = np.stack([-scale * z, zero, scale * x, scale * y, zero, one], axis=1)
    both: Floats = np.stack([horizontal, vertical], axis=1).reshape(-1, 6)
    return both


def _rotation(vector: Floats) -> Floats:
    """Rodrigues' formula."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-15:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turned: Floats = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return turned
