"""The two pixel rules that letterboxing and alignment are made of: a box mean and a bilinear blend.

Both work in whole numbers, so that C, Kotlin, Swift and TypeScript can give the same bytes. Positions are in 1/256
pixel, eight times finer than OpenCV's warps. No product in a blend exceeds 2**24, so ``float32`` arithmetic is exact
too; where this file uses it, that is why it may.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Positions count in 1/256 pixel.
UNITS = 256
#: Longest side of a box; sums of 256 x 256 pixels still fit in 24 bits.
MAX_BOX = 256

_TOGETHER = 8  # results of one product; more of them would multiply by more zeros
_SPAN = 32  # pixels that one product takes, about, however far apart its results are
_CHUNK = 1 << 20  # column sums at a time: few operations, and no memory worth counting


def box_mean(image: NDArray[np.uint8], k: int, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Shrink by a whole factor: pixel (y, x) is the mean of rows k*y .. k*y + k - 1 and columns k*x .. k*x + k - 1.

    A box that hangs over the right or bottom edge takes the mean of the pixels it has. The mean of n values with
    sum s is ``(s + n // 2) // n``, which rounds half up.

    Args:
        image: (H, W, 3) uint8.
        k: side of a box, 1..``MAX_BOX``.
        out: (ceil(H / k), ceil(W / k), 3) uint8 of any strides to write to.

    Returns:
        ``out``, or what would be written there; without it, for k = 1 the picture itself.
    """
    height, width = image.shape[:2]
    if k == 1 and out is None:
        return image
    if out is None:
        out = np.empty((-(-height // k), -(-width // k), 3), np.uint8)
    if k == 1:
        out[...] = image
        return out
    step = max(1, _CHUNK // (3 * width))  # rows of boxes at a time
    whole = height // k
    for top in range(0, whole, step):
        bottom = min(top + step, whole)
        _mean_rows(image[top * k : bottom * k], k, k, out[top:bottom])
    if height % k:
        _mean_rows(image[whole * k :], height % k, k, out[whole:])
    return out


def _mean_rows(rows: NDArray[np.uint8], box_height: int, k: int, out: NDArray[np.uint8]) -> None:
    width = rows.shape[1]
    sums = rows.reshape(-1, box_height, 3 * width).sum(axis=1, dtype=np.uint16)  # at most 256 * 255
    whole = width // k
    if whole:
        _mean_columns(sums[:, : 3 * k * whole], box_height, k, out[:, :whole])
    if width % k:
        _mean_columns(sums[:, 3 * k * whole :], box_height, width % k, out[:, whole:])


def _mean_columns(sums: NDArray[np.uint16], box_height: int, box_width: int, out: NDArray[np.uint8]) -> None:
    """Sum box_width neighbours per channel and divide. Few, long operations: after an engine's run each starts cold."""
    n = box_height * box_width
    wide = np.uint16 if n <= 256 else np.uint32  # 256 * 255 and the half fit in 16 bits
    values, span = sums.reshape(-1), 1  # boxes follow one another, across rows too; each value sums span pixels
    while box_width // span > 2 and not box_width // span % 2:
        values, span = np.add(values[: -3 * span], values[3 * span :], dtype=wide), 2 * span
    for c in range(3):
        first, *others = (values[3 * j + c :: 3 * box_width] for j in range(0, box_width, span))
        total: NDArray[Any] = np.add(first, others.pop() if others else 0, dtype=wide)
        for other in others:
            total += other
        total += n // 2
        total //= n
        out[..., c] = total.reshape(out.shape[:2])


def stretch(
    image: NDArray[np.uint8],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Sample a grid of ``rows`` x ``columns``, bilinearly; beyond an edge the edge's pixels go on.

    With r = row & 255, c = column & 255 and p the pixels at ``row >> 8``, ``column >> 8`` and their successors:
    ``((256-r)*(256-c)*p00 + (256-r)*c*p01 + r*(256-c)*p10 + r*c*p11 + 32768) >> 16``.

    Args:
        image: (H, W, 3) uint8.
        rows: (h,) int64 positions in 1/256 pixel.
        columns: (w,) int64 likewise.
        out: (h, w, 3) uint8 of any strides to write to.

    Returns:
        ``out``, or a new array like it.
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
    if out is None:
        out = np.empty((len(rows), len(columns), 3), np.uint8)
    for c in range(3):
        out[..., c] = total[:, c::3]  # the cast drops the fraction
    return out


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


def sample(
    image: NDArray[np.uint8],
    rows: NDArray[np.integer[Any]],
    columns: NDArray[np.integer[Any]],
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Sample n single points by the formula of ``stretch``; pixels outside the picture count as 0.

    Args:
        image: (H, W, 3) uint8.
        rows: (n,) int64 or int32 positions in 1/256 pixel.
        columns: (n,) likewise.
        out: (n, 3) uint8 of any strides to write to.

    Returns:
        ``out``, or a new array like it.
    """
    height, width = image.shape[:2]
    framed = np.zeros((height + 3, width + 3, 3), np.uint8)  # black all round, so that no point is a special case
    framed[1:-2, 1:-2] = image
    flat, line = framed.reshape(-1), 3 * (width + 3)
    rows, columns = rows.clip(-256, 256 * height), columns.clip(-256, 256 * width)
    first = np.multiply(rows >> 8, line, dtype=np.intp)
    first += (columns >> 8) * 3
    first += line + 3
    down, right = (rows & 255).astype(np.uint16), (columns & 255).astype(np.uint32)
    up, left = 256 - down, 256 - right
    if out is None:
        out = np.empty((len(rows), 3), np.uint8)
    for c in range(3):  # one channel at a time: arrays so small that they are not given back to the system each time
        p00, p01, p10, p11 = (flat[c + step :].take(first) for step in (0, 3, line, line + 3))
        before, after = p00 * up, p01 * up  # at most 255 * 256: fits in uint16
        before += p10 * down
        after += p11 * down
        total = before * left
        total += after * right
        total += 32768
        total >>= 16
        out[:, c] = total
    return out
