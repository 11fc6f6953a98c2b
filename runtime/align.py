"""Cut a face out of a picture so that its five landmarks lie where a recogniser expects them.

The rule is given to the pixel in ``align_face``; from the rounded transform on it works in whole numbers, so that
every language can give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..contract import ARCFACE_TEMPLATE
from ..errors import InvalidGeometry
from .images import check_image
from .preprocess import blank, check_size
from .resample import MAX_BOX, UNITS, box_mean, sample

__all__ = ["align_face", "estimate_similarity"]

Points = NDArray[np.floating[Any]] | Sequence[Sequence[float]]

_ONE = 1 << 16  # the transform counts in 1/65536 pixel
_FARTHEST = 1e6  # coordinates beyond a million pixels are a fault
_LEAST = 1e-12  # squared: points within a millionth of a pixel, or a scale of a millionth


def estimate_similarity(src: Points, dst: Points) -> NDArray[np.float64]:
    """The scale, rotation and shift that take ``src`` closest to ``dst`` in the least-squares sense; no reflection.

    With s and d the points less their means: a = Σ(sx dx + sy dy) / Σ(sx² + sy²), b = Σ(sx dy - sy dx) / Σ(sx² + sy²).
    This is Umeyama 1991 in two dimensions, solved without an SVD, which phones' languages lack. float64, the sums
    point by point in the order given.

    Args:
        src: (n, 2) points, n >= 2.
        dst: (n, 2) points that correspond to them.

    Returns:
        (2, 3) float64 ``[[a, -b, tx], [b, a, ty]]``: x' = a x - b y + tx, y' = b x + a y + ty.

    Raises:
        InvalidGeometry: shapes that do not fit together, a NaN or infinity, coordinates beyond a million, or points
            so close together or so contrary that there is no such transform.
    """
    a, b, tx, ty = _fit(_check_points(src, "src"), _check_points(dst, "dst"))
    return np.array([[a, -b, tx], [b, a, ty]])


def align_face(
    image: NDArray[np.uint8],
    landmarks: Points,
    template: Points = ARCFACE_TEMPLATE,
    size: tuple[int, int] = (112, 112),
    *,
    planes: bool = False,
) -> NDArray[np.uint8]:
    """Warp a face so that its landmarks come to lie on ``template``; what is outside the picture is 0.

    The rule, the same bytes in every language (``//`` and floor round down, also below 0):

    1. ``estimate_similarity(landmarks, template)`` gives a, b, tx, ty. Its inverse, in 1/65536 pixel:
       c = a / (a² + b²), s = b / (a² + b²), A = floor(65536 c + 1/2), B = floor(65536 s + 1/2),
       X0 = floor(65536 * -(c tx + s ty) + 1/2), Y0 = floor(65536 * (s tx - c ty) + 1/2).
       Column u, row v of the crop lies in the picture at X = A u + B v + X0, Y = A v - B u + Y0.
    2. k is the greatest whole number with (65536 k)² <= A² + B², limited to 1..256. A face more than twice the size of
       the crop would alias, so the picture is first replaced by its k x k box means, see ``resample.box_mean``; boxes
       count from the picture's top-left, and only those that the face touches need be computed.
    3. The crop's pixel is sampled at column ``(X + 32768 - 32640 * k) // (256 * k)`` and row likewise from Y, in 1/256
       pixel: the position to the nearest 1/256, half up. ``resample.sample`` blends.

    For k = 1 this is OpenCV's warpAffine with INTER_LINEAR and a constant border of 0, at a finer step.

    Args:
        image: (H, W, 3) uint8 RGB.
        landmarks: (n, 2) points (x, y) in it; may lie outside.
        template: (n, 2) where they belong, in pixels of the crop.
        size: (h, w) of the crop.
        planes: keep each colour together in memory, as ``letterbox`` does.

    Returns:
        (h, w, 3) uint8 RGB.

    Raises:
        InvalidImage: the picture is not (H, W, 3) uint8, or the size is not two positive whole numbers.
        InvalidGeometry: landmarks that no crop can be made from, see ``estimate_similarity``.
    """
    height, width = check_image(image).shape[:2]
    h, w = check_size(size)
    A, B, X0, Y0 = _inverse(*_fit(_check_points(landmarks, "landmarks"), _check_points(template, "template")))
    k = min(max(math.isqrt(A * A + B * B) >> 16, 1), MAX_BOX)
    half = _ONE // 2 - 32640 * k
    rows, columns = _Grid(-B, A, Y0 + half, UNITS * k), _Grid(A, B, X0 + half, UNITS * k)
    (top, bottom), (left, right) = rows.reach(h, w, -(-height // k)), columns.reach(h, w, -(-width // k))
    crop = blank(h, w, planes)
    if top < bottom and left < right:
        region = box_mean(image[top * k : bottom * k, left * k : right * k], k)
        sample(region, rows.positions(h, w, top), columns.positions(h, w, left), out=crop.reshape(-1, 3))
    return crop


class _Grid(NamedTuple):
    """Where the crop's column u, row v lies on one axis, in 1/256 pixel: (across * u + down * v + start) // step."""

    across: int
    down: int
    start: int
    step: int

    def corners(self, h: int, w: int) -> list[int]:
        """Of an (h, w) crop, before the division: nothing lies farther out."""
        return [self.across * u + self.down * v + self.start for u in (0, w - 1) for v in (0, h - 1)]

    def reach(self, h: int, w: int, length: int) -> tuple[int, int]:
        """First and one past the last of ``length`` pixels that are blended anywhere."""
        corners = [n // self.step >> 8 for n in self.corners(h, w)]
        return max(min(corners), 0), min(max(corners) + 2, length)

    def positions(self, h: int, w: int, origin: int) -> NDArray[np.integer[Any]]:
        """``(h * w,)`` row by row, counted from the pixel ``origin``; int32 where all fit: faster to work on."""
        grid = self._replace(start=self.start - UNITS * origin * self.step)
        u, v = grid.across * np.arange(w, dtype=np.int64), grid.down * np.arange(h, dtype=np.int64) + grid.start
        places: NDArray[Any]
        if max(map(abs, grid.corners(h, w))) < 1 << 31:
            places = u.astype(np.int32) + v.astype(np.int32)[:, None]  # where the sum fits, what wraps wraps back
        else:
            places = u + v[:, None]
        places //= self.step
        return places.ravel()


def _inverse(a: float, b: float, tx: float, ty: float) -> tuple[int, int, int, int]:
    square = a * a + b * b
    c, s = a / square, b / square
    A, B, X0, Y0 = (math.floor(_ONE * n + 0.5) for n in (c, s, -(c * tx + s * ty), s * tx - c * ty))
    return A, B, X0, Y0


def _fit(src: list[list[float]], dst: list[list[float]]) -> tuple[float, float, float, float]:
    """a, b, tx, ty of ``estimate_similarity``. Plain floats: for five points faster than numpy, and in a set order."""
    if len(src) != len(dst):
        raise InvalidGeometry(f"expected the same number of points on both sides, got {len(src)} and {len(dst)}")
    (mx, my), (nx, ny) = _mean(src), _mean(dst)
    spread = along = across = 0.0
    for (x, y), (p, q) in zip(src, dst, strict=True):
        x, y, p, q = x - mx, y - my, p - nx, q - ny
        spread += x * x + y * y
        along += x * p + y * q
        across += x * q - y * p
    if spread < _LEAST:
        raise InvalidGeometry(f"the points all lie at ({mx:g}, {my:g}); a face has landmarks in different places")
    a, b = along / spread, across / spread
    if a * a + b * b < _LEAST:
        raise InvalidGeometry("no similarity takes these points to the others: those lie in one place, or mirror them")
    return a, b, nx - (a * mx - b * my), ny - (b * mx + a * my)


def _mean(points: list[list[float]]) -> tuple[float, float]:
    sx = sy = 0.0  # not sum(): from Python 3.12 on it compensates, which other languages do not
    for x, y in points:
        sx += x
        sy += y
    return sx / len(points), sy / len(points)


def _check_points(points: Points, what: str) -> list[list[float]]:
    try:
        array = np.asarray(points, np.float64)
    except (TypeError, ValueError) as e:
        raise InvalidGeometry(f"expected {what} as (n, 2) numbers: {e}") from e
    if array.ndim != 2 or array.shape[1] != 2 or len(array) < 2:
        raise InvalidGeometry(f"expected {what} as (n, 2) points (x, y), two or more, got shape {array.shape}")
    if not (np.abs(array) <= _FARTHEST).all():
        raise InvalidGeometry(f"{what} hold NaN, infinity or more than {_FARTHEST:g} pixels: {array.tolist()}")
    rows: list[list[float]] = array.tolist()
    return rows
