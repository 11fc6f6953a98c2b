"""Alignment: the transform against a linear solver, the warp against its rule in plain loops and against geometry."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pocketface.contract import ARCFACE_TEMPLATE
from pocketface.errors import InvalidGeometry, InvalidImage
from pocketface.runtime.align import _Grid, align_face, estimate_similarity

TEMPLATE = np.array(ARCFACE_TEMPLATE)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def similarity(scale: float, degrees: float, shift: tuple[float, float]) -> np.ndarray:
    a, b = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return np.array([[a, -b, shift[0]], [b, a, shift[1]]])


def apply(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ transform[:, :2].T + transform[:, 2]


# ---- the transform


@pytest.mark.parametrize("seed", range(20))
def test_the_transform_is_the_least_squares_solution(seed: int) -> None:
    """x' = a x - b y + tx, y' = b x + a y + ty is linear in a, b, tx, ty: let a linear solver find them."""
    random = np.random.default_rng(seed)
    n = int(random.integers(2, 9))
    src, dst = random.uniform(-500, 4000, (n, 2)), random.uniform(-100, 200, (n, 2))
    x, y, one, zero = src[:, 0], src[:, 1], np.ones(n), np.zeros(n)
    equations = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, tx, ty = np.linalg.lstsq(equations, np.concatenate([dst[:, 0], dst[:, 1]]), rcond=None)[0]
    np.testing.assert_allclose(estimate_similarity(src, dst), [[a, -b, tx], [b, a, ty]], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("seed", range(10))
def test_an_exact_similarity_is_found(seed: int) -> None:
    random = np.random.default_rng(seed)
    known = similarity(random.uniform(0.05, 9), random.uniform(-180, 180), tuple(random.uniform(-999, 999, 2)))
    np.testing.assert_allclose(estimate_similarity(TEMPLATE, apply(known, TEMPLATE)), known, rtol=1e-9, atol=1e-9)


def test_a_mirrored_face_is_not_mirrored_back() -> None:
    mirrored = TEMPLATE * [-1, 1] + [112, 0]
    assert np.linalg.det(estimate_similarity(mirrored, TEMPLATE)[:, :2]) > 0


@pytest.mark.parametrize(
    ("src", "says"),
    [
        (np.full((5, 2), 7.25), r"all lie at \(7.25, 7.25\)"),
        (np.full((5, 2), 0.1), "all lie at"),
        (np.full((5, 2), np.nan), "NaN"),
        (np.where(np.arange(10).reshape(5, 2) == 3, np.inf, TEMPLATE), "infinity"),
        (TEMPLATE * 1e6, "more than 1e"),
        (TEMPLATE[:1], r"shape \(1, 2\)"),
        (TEMPLATE[:4], "got 4 and 5"),
        (TEMPLATE.T, r"shape \(2, 5\)"),
        (TEMPLATE.ravel(), r"shape \(10,\)"),
        ([["a", "b"]], "numbers"),
        ([[1, 2], [3]], "numbers"),
        (None, "expected"),
    ],
)
def test_impossible_landmarks(src: object, says: str) -> None:
    with pytest.raises(InvalidGeometry, match=says):
        estimate_similarity(src, TEMPLATE)  # type: ignore[arg-type]
    with pytest.raises(InvalidGeometry, match=says):
        align_face(picture(9, 9), src)  # type: ignore[arg-type]


def test_contrary_points() -> None:
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * 50.0
    with pytest.raises(InvalidGeometry, match="mirror"):
        estimate_similarity(square, square * [-1, 1])
    with pytest.raises(InvalidGeometry, match="lie in one place"):
        estimate_similarity(square, np.ones((4, 2)))


# ---- the warp


def slow_align(image: np.ndarray, landmarks: np.ndarray, template: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The rule of the docstring, one value at a time, with the boxes of the whole picture."""
    (a, _, tx), (b, _, ty) = estimate_similarity(landmarks, template)
    c, s = a / (a * a + b * b), b / (a * a + b * b)
    A, B, X0, Y0 = (math.floor(65536 * v + 0.5) for v in (c, s, -(c * tx + s * ty), s * tx - c * ty))
    k = 1
    while k < 256 and (65536 * (k + 1)) ** 2 <= A * A + B * B:
        k += 1
    height, width, _ = image.shape
    small = np.zeros((-(-height // k), -(-width // k), 3), int)
    for y, x in np.ndindex(small.shape[:2]):
        box = image[y * k : y * k + k, x * k : x * k + k].reshape(-1, 3).astype(int)
        small[y, x] = (box.sum(axis=0) + len(box) // 2) // len(box)
    crop = np.zeros((*size, 3), np.uint8)
    for v, u in np.ndindex(size):
        column, right = divmod((A * u + B * v + X0 + 32768 - 32640 * k) // (256 * k), 256)
        row, down = divmod((A * v - B * u + Y0 + 32768 - 32640 * k) // (256 * k), 256)
        total = np.zeros(3, int)
        for y, x, weight in (
            (row, column, (256 - down) * (256 - right)),
            (row, column + 1, (256 - down) * right),
            (row + 1, column, down * (256 - right)),
            (row + 1, column + 1, down * right),
        ):
            if 0 <= y < small.shape[0] and 0 <= x < small.shape[1]:
                total += weight * small[y, x]
        crop[v, u] = (total + 32768) // 65536
    return crop


@pytest.mark.parametrize("seed", range(24))
def test_align_is_its_rule(seed: int) -> None:
    """Faces smaller and up to eight times larger than the crop, at any angle, inside the picture or half outside."""
    random = np.random.default_rng(seed)
    image = picture(*random.integers(20, 150, 2), seed)
    template, size = TEMPLATE / 4, (int(random.integers(20, 36)), int(random.integers(20, 36)))
    move = similarity(2 ** random.uniform(-2, 3), random.uniform(-180, 180), tuple(random.uniform(-20, 120, 2)))
    landmarks = apply(move, template - 14) + random.normal(0, 0.3, (5, 2))
    expected = slow_align(image, landmarks, template, size)
    np.testing.assert_array_equal(align_face(image, landmarks, template, size), expected)


def test_landmarks_on_the_template_give_the_picture_itself() -> None:
    image = picture(112, 112)
    np.testing.assert_array_equal(align_face(image, ARCFACE_TEMPLATE), image)
    larger = picture(200, 300)
    np.testing.assert_array_equal(align_face(larger, TEMPLATE + np.array([120, 50])), larger[50:162, 120:232])


def test_a_quarter_turn_and_an_exact_half() -> None:
    image = picture(112, 112)
    turned = np.stack([111 - TEMPLATE[:, 1], TEMPLATE[:, 0]], axis=1)  # where the points lie in the turned picture
    np.testing.assert_array_equal(align_face(np.rot90(image, -1), turned), image)
    double = picture(224, 224)
    means = (double.reshape(112, 2, 112, 2, 3).astype(int).sum(axis=(1, 3)) + 2) // 4
    np.testing.assert_array_equal(align_face(double, 2 * TEMPLATE + 0.5), means)


def test_outside_is_black() -> None:
    white = np.full((112, 112, 3), 255, np.uint8)
    crop = align_face(white, TEMPLATE - np.array([60, 0]))
    assert (crop[:, :60] == 0).all()
    assert (crop[:, 60:] == 255).all()
    half = align_face(white, TEMPLATE - np.array([0.5, 0]))
    assert (half[:, 0] == 128).all()  # half a pixel of black
    assert (half[:, 1:] == 255).all()
    for shift in ([9000, 0], [-9000, 0], [0, 9000], [0, -9000]):
        assert not align_face(white, TEMPLATE + np.array(shift)).any()


@pytest.mark.parametrize("scale", [0.4, 1.0, 1.9])
@pytest.mark.parametrize("degrees", [0, 25, -140])
def test_landmarks_arrive_on_the_template(scale: float, degrees: float) -> None:
    """A picture that holds its own coordinates: what the crop shows at the template is where the landmarks were."""
    y, x = np.mgrid[:250, :250]
    image = np.stack([x, y, x], axis=2).astype(np.uint8)
    landmarks = apply(similarity(scale, degrees, (125, 125)), TEMPLATE - 56)
    crop = align_face(image, landmarks).astype(float)
    for (u, v), landmark in zip(TEMPLATE, landmarks, strict=True):
        around = crop[round(v) - 1 : round(v) + 2, round(u) - 1 : round(u) + 2, :2].mean(axis=(0, 1))
        assert np.abs(around - landmark).max() < 0.75 * max(scale, 1)


def test_a_large_face_is_averaged_not_picked() -> None:
    """Against the mean of 64 points within each pixel, the boxes leave less than half the error of plain sampling."""
    image = np.repeat(np.repeat(picture(300, 300), 2, axis=0), 2, axis=1)
    transform = similarity(4.3, 12, (280, 290))
    crop = align_face(image, apply(transform, TEMPLATE - 56)).astype(float)
    grid = np.stack(np.meshgrid(np.arange(112.0), np.arange(112.0)), axis=2)

    def nearest(offset: tuple[float, float]) -> np.ndarray:
        x, y = np.rint(apply(transform, (grid + offset - 56).reshape(-1, 2))).astype(int).T
        return image[y, x].reshape(112, 112, 3).astype(float)

    steps = (np.arange(8) - 3.5) / 8
    fine = np.mean([nearest((dx, dy)) for dx in steps for dy in steps], axis=0)
    assert np.abs(crop - fine).mean() < 0.5 * np.abs(nearest((0, 0)) - fine).mean()


def test_views_and_read_only_pictures() -> None:
    image = picture(300, 260)
    image.flags.writeable = False
    for scale in (1.2, 3.5):
        landmarks = apply(similarity(scale, 30, (130, 120)), TEMPLATE - 56)
        for view in (image[::-1], image.transpose(1, 0, 2), image[20:, 10:], image[:, :, ::-1]):
            np.testing.assert_array_equal(align_face(view, landmarks), align_face(view.copy(), landmarks))
    assert align_face(image, landmarks).flags.c_contiguous


@pytest.mark.parametrize("scale", [0.7, 3.5, 90])
def test_planes_change_only_where_a_value_lies(scale: float) -> None:
    image, landmarks = picture(90, 70), (TEMPLATE - 56) * scale + 40
    planes = align_face(image, landmarks, size=(50, 60), planes=True)
    np.testing.assert_array_equal(planes, align_face(image, landmarks, size=(50, 60)))
    assert planes.transpose(2, 0, 1).flags.c_contiguous


@pytest.mark.parametrize(
    ("grid", "dtype"),
    [
        (_Grid(-30_000, 70_000, 12_345, 256), np.int32),
        (_Grid(-(1 << 28), 1000, 1_300_000_000, 3 * 256), np.int32),  # the sums fit, what u adds does not
        (_Grid(1 << 27, 1 << 27, 0, 3 * 256), np.int64),
        (_Grid(-7, 5, -(1 << 40), 65536), np.int64),
    ],
)
def test_positions_of_any_length_are_exact(grid: _Grid, dtype: type) -> None:
    got = grid.positions(9, 12, 3)
    assert got.dtype == dtype
    exact = [(grid.across * u + grid.down * v + grid.start) // grid.step - 3 * 256 for v in range(9) for u in range(12)]
    assert got.tolist() == exact


def test_other_sizes_and_wrong_arguments() -> None:
    assert align_face(picture(50, 50), TEMPLATE, size=(30, 70)).shape == (30, 70, 3)
    with pytest.raises(InvalidImage, match="positive whole numbers"):
        align_face(picture(50, 50), TEMPLATE, size=(0, 112))
    with pytest.raises(InvalidImage, match="expected a picture"):
        align_face(picture(50, 50).astype(float), TEMPLATE)
    with pytest.raises(InvalidGeometry, match="template"):
        align_face(picture(50, 50), TEMPLATE, template=[(1, 2)])


@pytest.mark.parametrize("scale", [1e-3, 400, 20000])
def test_extreme_scales_stay_in_bounds(scale: float) -> None:
    crop = align_face(np.full((60, 60, 3), 9, np.uint8), (TEMPLATE - 56) * scale + 30)
    assert crop.shape == (112, 112, 3)
    assert crop.max() <= 9
