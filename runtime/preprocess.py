"""From a picture to what a network takes: scale it into the input's size, and lay it out as a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import InputSpec
from ..errors import InvalidContract, InvalidGeometry, InvalidImage
from .images import check_image
from .resample import MAX_BOX, UNITS, box_mean, stretch

__all__ = ["letterbox", "to_source", "to_tensor"]


def letterbox(
    image: NDArray[np.uint8], size: tuple[int, int], *, planes: bool = False
) -> tuple[NDArray[np.uint8], float]:
    """Scale a picture, aspect kept, to fill ``size`` from the top-left; what is left at the right or bottom is 0.

    The rule, in whole numbers throughout (``//`` rounds down, also below 0), the same bytes in every language:

    1. The scale is P / Q: (P, Q) = (h, H) if h * W <= w * H, else (w, W). The scaled picture has
       ``max(1, (2 * n * P + Q) // (2 * Q))`` rows for n = H, and columns for n = W.
    2. With k = Q // P, limited to 1..256, the picture is first replaced by its k x k box means, see
       ``resample.box_mean``.
    3. Row (or column) i of the result is sampled at ``(256 * ((2 * i + 1) * Q - P * k) + P * k) // (2 * P * k)``,
       in 1/256 pixel of that: the pixel-centre position (i + 1/2) * Q / (P * k) - 1/2 to the nearest 1/256,
       and blended by ``resample.stretch``. Where Q = P * k this changes nothing and is skipped.

    Args:
        image: (H, W, 3) uint8 RGB.
        size: (h, w) of the result.
        planes: keep each colour together in memory, as a network with the layout ``NCHW`` takes it: ``to_tensor`` is
            then fast. Nothing else changes.

    Returns:
        The (h, w, 3) uint8 canvas, and the scale P / Q.

    Raises:
        InvalidImage: the picture is not (H, W, 3) uint8, or the size is not two positive whole numbers.
    """
    height, width = check_image(image).shape[:2]
    h, w = check_size(size)
    p, q = (h, height) if h * width <= w * height else (w, width)
    k = min(max(q // p, 1), MAX_BOX)
    rows, columns = (max(1, (2 * n * p + q) // (2 * q)) for n in (height, width))
    canvas = blank(h, w, planes)
    filled = canvas[:rows, :columns]
    if q != p * k:
        stretch(box_mean(image, k), _positions(rows, q, p * k), _positions(columns, q, p * k), out=filled)
    elif filled.shape[:2] == (-(-height // k), -(-width // k)):
        box_mean(image, k, out=filled)
    else:  # the shorter side was rounded down, so its last box is beyond the canvas
        filled[...] = box_mean(image, k)[:rows, :columns]
    return canvas, p / q


def _positions(count: int, q: int, pk: int) -> NDArray[np.int64]:
    odd = 2 * np.arange(count, dtype=np.int64) + 1
    return (UNITS * (odd * q - pk) + pk) // (2 * pk)


def blank(h: int, w: int, planes: bool) -> NDArray[np.uint8]:
    """``(h, w, 3) uint8`` zeros; with ``planes`` each colour lies together in memory."""
    return np.zeros((3, h, w), np.uint8).transpose(1, 2, 0) if planes else np.zeros((h, w, 3), np.uint8)


def check_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return a size (height, width) as two ints.

    Raises:
        InvalidImage: it is not two positive whole numbers.
    """
    if len(size) != 2 or not all(isinstance(n, int | np.integer) and n > 0 for n in size):
        raise InvalidImage(f"expected a size (height, width) of positive whole numbers, got {size!r}")
    return int(size[0]), int(size[1])


def to_source(points: NDArray[np.floating[Any]], scale: float) -> NDArray[np.float64]:
    """Take coordinates from the letterboxed picture back to the picture it was made from.

    ``(x + 1/2) / scale - 1/2`` for each coordinate, so it serves points (..., 2) and boxes (..., 4) alike.

    Returns:
        float64 of the same shape.

    Raises:
        InvalidGeometry: the scale is not a positive finite number.
    """
    if not 0 < scale < float("inf"):
        raise InvalidGeometry(f"expected the positive scale that letterbox returned, got {scale}")
    return (np.asarray(points, np.float64) + 0.5) / scale - 0.5


def to_tensor(images: NDArray[np.uint8], spec: InputSpec) -> NDArray[Any]:
    """Lay pictures out as the input tensor that a contract asks for.

    Channels are put in the order ``spec.color``; then, only where the spec says other than 0 and 1, mean is
    subtracted and the rest divided by std, both in float32.

    Args:
        images: (N, H, W, 3) uint8 RGB, of the spec's size, or with a ``size_step`` any multiple of it.
        spec: what the model's contract says of its input.

    Returns:
        A C-contiguous array of ``spec.dtype``, or of float32 where that is int8, for the engine knows the file's scale
        and zero point: (N, 3, H, W) for ``NCHW``, (N, H, W, 3) for ``NHWC``. For the
        layout ``image`` the pictures themselves, RGB uint8: Core ML does the rest.

    Raises:
        InvalidImage: another shape, type or size.
        InvalidContract: the spec wants mean and std applied, but takes uint8.
    """
    _check_batch(images, spec)
    normalised = any(spec.mean) or any(s != 1 for s in spec.std)
    if normalised and (spec.layout == "image" or spec.dtype == "uint8"):
        raise InvalidContract(f"input {spec.name!r} takes uint8, so mean {spec.mean}, std {spec.std} cannot be applied")
    if spec.layout == "image":
        return np.ascontiguousarray(images)
    if spec.color == "BGR":
        images = images[..., ::-1]
    tensor = _laid_out(images, "float32" if spec.dtype == "int8" else spec.dtype, spec.layout == "NCHW")
    if normalised:
        shape = (3, 1, 1) if spec.layout == "NCHW" else (3,)
        tensor -= np.array(spec.mean, np.float32).reshape(shape)
        tensor /= np.array(spec.std, np.float32).reshape(shape)
    return tensor


def _laid_out(images: NDArray[np.uint8], dtype: str, planes: bool) -> NDArray[Any]:
    if not planes:
        return images.astype(dtype, order="C")
    n, height, width, channels = images.shape
    tensor = np.empty((n, channels, height, width), dtype)
    for c in range(channels):  # twice as fast as one transposition, while the picture is in the cache
        tensor[:, c] = images[..., c]
    return tensor


def _check_batch(images: NDArray[np.uint8], spec: InputSpec) -> None:
    if not isinstance(images, np.ndarray) or images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        came = f"{getattr(images, 'shape', type(images).__qualname__)} {getattr(images, 'dtype', '')}".strip()
        raise InvalidImage(f"expected pictures (N, H, W, 3) uint8 RGB, got {came}; stack them with np.stack")
    height, width = images.shape[1:3]
    step = spec.size_step
    fits = not (height % step or width % step) if step else (height, width) == (spec.height, spec.width)
    if not fits or images.size == 0:
        wanted = f"at least one of a multiple of {step}" if step else f"at least one of {spec.height} x {spec.width}"
        came = f"{images.shape} {images.dtype}"
        raise InvalidImage(f"expected pictures, {wanted} pixels, got {came}; letterbox or align them to that size")
