"""The two pixel rules that letterboxing and alignment are made of: a box mean and a bilinear blend.

Both work in whole numbers, so that C, Kotlin, Swift and TypeScript can give the same bytes. Positions are in 1/256
pixel, eight times finer than OpenCV's warps. No product below exceeds 2**24, so ``float32`` arithmetic is exact too;
where this file uses it, that is why it may.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

#: Positions count in 1/256 pixel.
UNITS = 256
#: Longest side of a box; sums of 256 x 256 pixels still fit in 24 bits.
MAX_BOX = 256

_TOGETHER = 8  # results of one product; more of them would multiply by more zeros
_SPAN = 32  # pixels that one product takes, about, however far apart its results are
_CHUNK = 1 << 16  # values summed at a time: they stay in a core's cache and cost no memory worth counting


def box_mean(image: NDArray[np.uint8], k: int) -> NDArray[np.uint8]:
    """Shrink by a whole factor: pixel (y, x) is the mean of rows k*y .. k*y + k - 1 and columns k*x .. k*x + k - 1.

    A box that hangs over the right or bottom edge takes the mean of the pixels it has. The mean of n values with
    sum s is ``(s + n // 2) // n``, which rounds half up.

    Args:
        image: (H, W, 3) uint8.
        k: side of a box, 1..``MAX_BOX``.

    Returns:
        (ceil(H / k), ceil(W / k), 3) uint8; the picture itself for k = 1.
    """
    if k == 1:
        return image
    height, width = image.shape[:2]
    small = np.empty((-(-height // k), -(-width // k), 3), np.uint8)
    step = max(1, _CHUNK // (3 * width))  # rows of boxes at a time
    whole = height // k
    for top in range(0, whole, step):
        bottom = min(top + step, whole)
        _mean_rows(image[top * k : bottom * k], k, k, small[top:bottom])
    if height % k:
        _mean_rows(image[whole * k :], height % k, k, small[whole:])
    return small


def _mean_rows(rows: NDArray[np.uint8], box_height: int, k: int, out: NDArray[np.uint8]) -> None:
    width = rows.shape[1]
    sums = rows.reshape(-1, box_height, 3 * width).sum(axis=1, dtype=np.uint16)  # at most 256 * 255
    whole = width // k
    if whole:
        _mean_columns(sums[:, : 3 * k * whole], box_height, k, out[:, :whole])
    if width % k:
        _mean_columns(sums[:, 3 * k * whole :], box_height, width % k, out[:, whole:])


def _mean_columns(sums: NDArray[np.uint16], box_height: int, box_width: int, out: NDArray[np.uint8]) -> None:
    """Sum box_width neighbours per channel and divide. The product with 0s and 1s is a sum that BLAS does fast."""
    boxes, n = out.shape[0] * out.shape[1], box_height * box_width
    together = next(g for g in (4, 2, 1) if boxes % g == 0)  # BLAS is slow on a matrix three columns wide
    ones = _channel_sum(box_width, together)
    totals = sums.astype(np.float32, order="C").reshape(-1, len(ones)) @ ones
    if n < 1 << 13:  # a product is five times as fast as a quotient, and half a unit more keeps it off whole numbers
        totals += n // 2 + 0.5
        totals *= np.float32(1 / n)
    else:
        totals += n // 2
        totals /= n  # below 2**24 / n and n <= 2**16: the quotient never rounds up to the next whole number
    out[...] = totals.reshape(out.shape)  # the cast to uint8 drops the fraction


@functools.lru_cache(maxsize=64)
def _channel_sum(pixels: int, boxes: int) -> NDArray[np.float32]:
    """0s and 1s that take the channels of ``boxes`` boxes side by side, ``pixels`` wide each, to their sums."""
    return np.kron(np.eye(boxes), np.tile(np.eye(3), (pixels, 1))).astype(np.float32)


def stretch(image: NDArray[np.uint8], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Sample a grid of ``rows`` x ``columns``, bilinearly; beyond an edge the edge's pixels go on.

    With r = row & 255, c = column & 255 and p the pixels at ``row >> 8``, ``column >> 8`` and their successors:
    ``((256-r)*(256-c)*p00 + (256-r)*c*p01 + r*(256-c)*p10 + r*c*p11 + 32768) >> 16``.

    Args:
        image: (H, W, 3) uint8.
        rows: (h,) int64 positions in 1/256 pixel.
        columns: (w,) int64 likewise.

    Returns:
        (h, w, 3) uint8.
    """
    height, width = image.shape[:2]
    flat = image.reshape(height, 3 * width)
    first, second = (np.clip((rows >> 8) + i, 0, height - 1) for i in (0, 1))
    part = (rows & 255).astype(np.uint16)[:, None]
    lines = flat[first] * (256 - part)  # at most 255 * 256: fits in uint16
    lines += flat[second] * part
    values = lines.astype(np.float32)
    total = np.empty((len(rows), 3 * len(columns)), np.float32)
    for place, taken, weights in _blends(columns.tobytes(), width):
        np.matmul(values[:, taken], weights, out=total[:, place])
    total += 0.5
    return total.astype(np.uint8).reshape(len(rows), len(columns), 3)


@functools.lru_cache(maxsize=16)
def _blends(columns: bytes, width: int) -> tuple[tuple[slice, slice, NDArray[np.float32]], ...]:
    """The horizontal blend as products, which BLAS does fast: a few results, the pixels they need, and the weights.

    Args:
        columns: those of ``stretch``, as the bytes of the array; photos come in few sizes, so the answer is kept.
        width: of the picture.

    Returns:
        Of each product: where its results lie and where what it takes lies, in values, and the weights (taken,
        results) in 1/65536, powers of two, so that nothing is ever rounded.
    """
    where, products = np.frombuffer(columns, np.int64), []
    apart = int(np.abs(np.diff(where)).max(initial=1))
    step = max(1, min(_TOGETHER, _SPAN * UNITS // apart))
    for start in range(0, len(where), step):
        some = where[start : start + step]
        each, left, right = np.arange(len(some)), *(np.clip((some >> 8) + i, 0, width - 1) for i in (0, 1))
        first, last = int(left.min()), int(right.max()) + 1
        weights = np.zeros((last - first, len(some)), np.float32)
        weights[left - first, each] = 256 - (some & 255)
        weights[right - first, each] += some & 255  # on top: at an edge, both are the same pixel
        place, taken = (slice(3 * a, 3 * b) for a, b in ((start, start + len(some)), (first, last)))
        products.append((place, taken, np.kron(weights / 65536, np.eye(3)).astype(np.float32)))
    return tuple(products)


def sample(image: NDArray[np.uint8], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Sample n single points by the formula of ``stretch``; pixels outside the picture count as 0.

    Args:
        image: (H, W, 3) uint8.
        rows: (n,) int64 positions in 1/256 pixel.
        columns: (n,) int64 likewise.

    Returns:
        (n, 3) uint8.
    """
    height, width = image.shape[:2]
    framed = np.zeros((height + 3, width + 3, 3), np.uint8)  # black all round, so that no point is a special case
    framed[1:-2, 1:-2] = image
    flat, line = framed.reshape(-1), 3 * (width + 3)
    rows, columns = np.clip(rows, -256, 256 * height), np.clip(columns, -256, 256 * width)
    first = ((rows >> 8) + 1) * line + ((columns >> 8) + 1) * 3
    down, right = (rows & 255).astype(np.uint16), (columns & 255).astype(np.uint32)
    up, left = 256 - down, 256 - right
    points = np.empty((len(rows), 3), np.uint8)
    for c in range(3):  # one channel at a time: arrays so small that they are not given back to the system each time
        p00, p01, p10, p11 = (flat[c + step :].take(first) for step in (0, 3, line, line + 3))
        before, after = p00 * up + p10 * down, p01 * up + p11 * down  # at most 255 * 256: fits in uint16
        points[:, c] = (before * left + after * right + np.uint32(32768)) >> np.uint32(16)
    return points
