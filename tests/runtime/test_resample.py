"""The two pixel rules against plain loops over whole numbers, which other languages' runtimes can be read from too."""

from __future__ import annotations

import numpy as np
import pytest

from pocketface.runtime.resample import MAX_BOX, _blends, box_mean, sample, stretch


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def slow_box_mean(image: np.ndarray, k: int) -> np.ndarray:
    height, width, _ = image.shape
    small = np.zeros((-(-height // k), -(-width // k), 3), np.uint8)
    for y, x, c in np.ndindex(small.shape):
        box = image[y * k : (y + 1) * k, x * k : (x + 1) * k, c].astype(int)
        small[y, x, c] = (int(box.sum()) + box.size // 2) // box.size
    return small


def slow_blend(image: np.ndarray, row: int, column: int, c: int, *, clamp: bool) -> int:
    height, width, _ = image.shape
    total = 0
    for y, y_weight in ((row >> 8, 256 - (row & 255)), ((row >> 8) + 1, row & 255)):
        for x, x_weight in ((column >> 8, 256 - (column & 255)), ((column >> 8) + 1, column & 255)):
            if clamp:
                y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
            if 0 <= y < height and 0 <= x < width:
                total += y_weight * x_weight * int(image[y, x, c])
    return (total + 32768) >> 16


@pytest.mark.parametrize("seed", range(30))
def test_box_mean_is_the_rounded_mean(seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width, k = random.integers(1, 40, 3)
    image = picture(height, width, seed)
    np.testing.assert_array_equal(box_mean(image, int(k)), slow_box_mean(image, int(k)))


def test_box_mean_rounds_half_up() -> None:
    for total in range(9):
        four = np.zeros((2, 2, 3), np.uint8)
        four[0, 0] = total
        assert box_mean(four, 2)[0, 0, 0] == [0, 0, 1, 1, 1, 1, 2, 2, 2][total]


@pytest.mark.parametrize("value", [0, 1, 128, 254, 255])
@pytest.mark.parametrize("k", [2, 3, 16, 17, 255, MAX_BOX])
def test_the_largest_sums_do_not_overflow(value: int, k: int) -> None:
    assert (box_mean(np.full((k + 1, 2 * k + 3, 3), value, np.uint8), k) == value).all()


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_what_is_written_to_may_lie_anyhow_in_memory(k: int) -> None:
    image = picture(11, 14, k)
    planes = np.zeros((3, 40, 50), np.uint8)
    rows, columns = (256 * np.arange(n) + 77 * k for n in (-(-11 // k), -(-14 // k)))
    for expected, write in (
        (box_mean(image, k), lambda out: box_mean(image, k, out)),
        (stretch(image, rows, columns), lambda out: stretch(image, rows, columns, out)),
    ):
        view = planes[:, 1 : 1 + len(rows), 2 : 2 + len(columns)].transpose(1, 2, 0)
        assert write(view) is view
        np.testing.assert_array_equal(view, expected)
    assert np.count_nonzero(planes) == np.count_nonzero(view)


def test_box_mean_over_many_chunks_and_of_views() -> None:
    image = picture(700, 1501)
    expected = box_mean(image, 3)
    np.testing.assert_array_equal(expected[:-1, :-1], slow_box_mean_of_whole_boxes(image, 3))
    for view in (image[::-1, ::-1][::-1, ::-1], np.asfortranarray(image), np.pad(image, 2)[2:-2, 2:-2, 2:-2]):
        assert view.strides != image.strides or view.base is not None
        np.testing.assert_array_equal(box_mean(view, 3), expected)
    image.flags.writeable = False
    np.testing.assert_array_equal(box_mean(image, 3), expected)


def slow_box_mean_of_whole_boxes(image: np.ndarray, k: int) -> np.ndarray:
    height, width = (n // k * k for n in image.shape[:2])
    boxes = image[:height, :width].reshape(height // k, k, width // k, k, 3).astype(int)
    return (boxes.sum(axis=(1, 3)) + k * k // 2) // (k * k)


@pytest.mark.parametrize("seed", range(10))
def test_stretch_blends_and_repeats_the_edge(seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width, h, w = random.integers(1, 12, 4)
    image = picture(height, width, seed)
    rows, columns = random.integers(-900, 256 * height + 900, h), random.integers(-900, 256 * width + 900, w)
    got = stretch(image, rows, columns)
    for y, x, c in np.ndindex(got.shape):
        assert got[y, x, c] == slow_blend(image, int(rows[y]), int(columns[x]), c, clamp=True)


def test_a_strip_of_many_pixels_needs_little_memory() -> None:
    """Its products would otherwise hold a weight for every pixel between two results, nearly all of them 0."""
    width = 1 << 18
    columns = 256 * (np.arange(320) * (width // 320))
    image = picture(1, width)
    got = stretch(image, np.zeros(1, np.int64), columns)
    np.testing.assert_array_equal(got[0], image[0, columns >> 8])
    assert sum(weights.nbytes for _, _, weights in _blends(columns.tobytes(), width)) < 1e5


@pytest.mark.parametrize("seed", range(10))
def test_sample_blends_and_sees_black_outside(seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width = random.integers(1, 12, 2)
    image = picture(height, width, seed)
    rows, columns = random.integers(-900, 256 * height + 900, 200), random.integers(-900, 256 * width + 900, 200)
    got = sample(image, rows, columns)
    assert got.shape == (200, 3)
    planes = np.empty((3, 200), np.uint8)
    assert np.shares_memory(sample(image, rows.astype(np.int32), columns.astype(np.int32), planes.T), planes)
    np.testing.assert_array_equal(planes.T, got)
    for i, c in np.ndindex(got.shape):
        assert got[i, c] == slow_blend(image, int(rows[i]), int(columns[i]), c, clamp=False)


def test_whole_positions_give_the_pixels_themselves() -> None:
    image = picture(5, 7)
    np.testing.assert_array_equal(stretch(image, 256 * np.arange(5), 256 * np.arange(7)), image)
    rows, columns = (256 * n.ravel() for n in np.mgrid[:5, :7])
    np.testing.assert_array_equal(sample(image, rows, columns), image.reshape(-1, 3))
