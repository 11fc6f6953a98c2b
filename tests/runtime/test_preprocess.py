"""Letterbox against its rule in plain loops and against geometry; tensors against the contract, element by element."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from pocketface.contract import InputSpec
from pocketface.errors import InvalidContract, InvalidGeometry, InvalidImage
from pocketface.runtime.preprocess import letterbox, to_source, to_tensor


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def slow_letterbox(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The rule of the docstring, step by step, one value at a time; positions as exact fractions."""
    (height, width, _), (h, w) = image.shape, size
    scale = min(Fraction(h, height), Fraction(w, width))
    k = min(max(int(1 / scale), 1), 256)
    small = {}
    for y in range(-(-height // k)):
        for x in range(-(-width // k)):
            box = image[y * k : (y + 1) * k, x * k : (x + 1) * k].reshape(-1, 3)
            for c in range(3):
                small[y, x, c] = (sum(map(int, box[:, c])) + len(box) // 2) // len(box)
    last_y, last_x = max(y for y, _, _ in small), max(x for _, x, _ in small)
    canvas = np.zeros((h, w, 3), np.uint8)
    for y in range(max(1, int(height * scale + Fraction(1, 2)))):
        for x in range(max(1, int(width * scale + Fraction(1, 2)))):
            (top, down), (left, right) = position(y, scale, k), position(x, scale, k)
            for c in range(3):
                total = 0
                for i, j, weight in (
                    (top, left, (256 - down) * (256 - right)),
                    (top, left + 1, (256 - down) * right),
                    (top + 1, left, down * (256 - right)),
                    (top + 1, left + 1, down * right),
                ):
                    total += weight * small[min(max(i, 0), last_y), min(max(j, 0), last_x), c]
                canvas[y, x, c] = (total + 32768) // 65536
    return canvas


def position(i: int, scale: Fraction, k: int) -> tuple[int, int]:
    """Whole pixel and 1/256 parts of a position in the box means, rounded half up."""
    exact = (i + Fraction(1, 2)) / (scale * k) - Fraction(1, 2)
    return divmod((exact * 256 + Fraction(1, 2)).__floor__(), 256)


SIZES = [
    ((12, 20), (12, 20)),  # as it is
    ((24, 40), (12, 20)),  # k = 2 exactly
    ((23, 41), (12, 20)),  # just less than 1/2
    ((25, 40), (12, 20)),  # just more, ragged
    ((36, 59), (12, 20)),  # k = 3 with a ragged column
    ((5, 3), (16, 16)),  # enlarged
    ((1, 1), (3, 4)),
    ((1, 50), (8, 8)),  # a line
    ((50, 1), (8, 8)),
    ((2, 600), (2, 2)),  # 1/300: boxes stop at 256
    ((7, 9), (1, 1)),
]


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_letterbox_is_its_rule_in_special_cases(shape: tuple[int, int], size: tuple[int, int]) -> None:
    image = picture(*shape)
    canvas, scale = letterbox(image, size)
    assert scale == min(size[0] / shape[0], size[1] / shape[1])
    np.testing.assert_array_equal(canvas, slow_letterbox(image, size))


@pytest.mark.parametrize("seed", range(25))
def test_letterbox_is_its_rule(seed: int) -> None:
    height, width, h, w = map(int, np.random.default_rng(seed).integers(1, [70, 70, 20, 20]))
    image = picture(height, width, seed)
    np.testing.assert_array_equal(letterbox(image, (h, w))[0], slow_letterbox(image, (h, w)))


@pytest.mark.parametrize("shape", [(20, 32), (21, 33), (7, 50), (16, 9), (3, 3)])
def test_planes_change_only_where_a_value_lies(shape: tuple[int, int]) -> None:
    image = picture(*shape)
    expected, scale = letterbox(image, (8, 8))
    canvas, same = letterbox(image, (8, 8), planes=True)
    np.testing.assert_array_equal(canvas, expected)
    assert same == scale
    assert canvas.transpose(2, 0, 1).flags.c_contiguous
    for layout in ("NCHW", "NHWC"):
        tensors = [to_tensor(one[None], spec(layout=layout, height=8, width=8)) for one in (canvas, expected)]
        np.testing.assert_array_equal(*tensors)
        assert tensors[0].flags.c_contiguous


def test_letterbox_of_the_same_size_is_the_picture() -> None:
    image = picture(31, 17)
    canvas, scale = letterbox(image, (31, 17))
    np.testing.assert_array_equal(canvas, image)
    assert scale == 1.0
    assert not np.shares_memory(canvas, image)


@pytest.mark.parametrize(("shape", "size"), [((720, 1280), (320, 320)), ((1280, 720), (96, 64)), ((9, 16), (40, 40))])
def test_padding_is_black_and_lies_right_or_below(shape: tuple[int, int], size: tuple[int, int]) -> None:
    canvas, scale = letterbox(np.full((*shape, 3), 200, np.uint8), size)
    rows, columns = int(shape[0] * scale + 0.5), int(shape[1] * scale + 0.5)
    assert (canvas[:rows, :columns] == 200).all()
    assert canvas.astype(int).sum() == 600 * rows * columns


@pytest.mark.parametrize("shape", [(200, 240), (131, 97), (60, 40), (255, 180), (160, 250)])
@pytest.mark.parametrize("axis", [0, 1])
def test_to_source_says_where_each_pixel_came_from(shape: tuple[int, int], axis: int) -> None:
    """A picture that holds its own coordinate, rising and falling so that rounding half up cancels out."""
    coordinate = np.indices(shape)[axis]
    image = np.stack([coordinate, 255 - coordinate, coordinate], axis=2).astype(np.uint8)
    canvas, scale = letterbox(image, (64, 64))
    canvas = canvas[: int(shape[0] * scale) - 1, : int(shape[1] * scale) - 1].astype(float)  # the last may see the edge
    read = (canvas[:, :, 0] - canvas[:, :, 1] + 255) / 2
    expected = to_source(np.indices(read.shape)[axis], scale)
    inside = (expected >= 0) & (expected <= shape[axis] - 1)
    error = (read - expected)[inside]
    assert np.abs(error).max() < 0.53  # rounded once, and positions to 1/256 of a box
    assert np.abs(error.mean()) < 0.2  # a rule that is half a pixel off would not pass


def test_to_source_of_corners() -> None:
    np.testing.assert_allclose(
        to_source(np.array([[-0.5, -0.5], [319.5, 179.5]]), 0.25), [[-0.5, -0.5], [1279.5, 719.5]]
    )
    boxes = np.array([[0, 1, 2, 3]], np.float32)
    assert to_source(boxes, 0.5).dtype == np.float64
    np.testing.assert_allclose(to_source(boxes, 0.5), [[0.5, 2.5, 4.5, 6.5]])


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_to_source_wants_a_scale(scale: float) -> None:
    with pytest.raises(InvalidGeometry, match="positive scale"):
        to_source(np.zeros((1, 2)), scale)


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (4,), (4, 4, 4), (4.0, 4), "ab"])
def test_letterbox_wants_a_size(size: object) -> None:
    with pytest.raises(InvalidImage, match="positive whole numbers"):
        letterbox(picture(4, 4), size)  # type: ignore[arg-type]


@pytest.mark.parametrize("image", [picture(4, 4)[0], picture(4, 4).astype(np.float32), np.zeros((0, 4, 3), np.uint8)])
def test_letterbox_wants_a_picture(image: np.ndarray) -> None:
    with pytest.raises(InvalidImage, match="expected a picture"):
        letterbox(image, (4, 4))


def test_letterbox_takes_views() -> None:
    image = picture(90, 70)
    for view in (image[::-1], image[:, ::-1], image.transpose(1, 0, 2), image[5:80, 3:50], image[:, :, ::-1]):
        for size in ((30, 30), (64, 64), (200, 100)):
            np.testing.assert_array_equal(letterbox(view, size)[0], letterbox(view.copy(), size)[0])


# ---- tensors


def spec(**changes: object) -> InputSpec:
    return InputSpec(**{"name": "image", "layout": "NCHW", "height": 5, "width": 4, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("color", ["RGB", "BGR"])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("normalised", [False, True])
def test_to_tensor_element_by_element(layout: str, color: str, dtype: str, normalised: bool) -> None:
    if normalised and dtype == "uint8":
        return
    mean, std = ((104.0, 117.0, 123.5), (57.0, 58.5, 127.5)) if normalised else ((0.0,) * 3, (1.0,) * 3)
    images = np.stack([picture(5, 4, seed) for seed in range(3)])
    tensor = to_tensor(images, spec(layout=layout, color=color, dtype=dtype, mean=mean, std=std))
    assert tensor.dtype == dtype
    assert tensor.flags.c_contiguous
    assert tensor.shape == ((3, 3, 5, 4) if layout == "NCHW" else (3, 5, 4, 3))
    for n, y, x, c in np.ndindex(images.shape):
        value = images[n, y, x, c if color == "RGB" else 2 - c]
        expected = (np.float32(value) - np.float32(mean[c])) / np.float32(std[c])
        assert tensor[(n, c, y, x) if layout == "NCHW" else (n, y, x, c)] == expected


def test_the_image_layout_is_rgb_bytes_whatever_the_color() -> None:
    images = picture(5, 4)[None]
    np.testing.assert_array_equal(to_tensor(images[:, :, ::-1], spec(layout="image", color="BGR")), images[:, :, ::-1])
    assert to_tensor(images[:, :, ::-1], spec(layout="image")).flags.c_contiguous


@pytest.mark.parametrize("changes", [{"dtype": "uint8"}, {"layout": "image"}])
def test_bytes_cannot_be_normalised(changes: dict[str, object]) -> None:
    for values in ({"mean": (127.5,) * 3}, {"std": (127.5,) * 3}):
        with pytest.raises(InvalidContract, match="cannot be applied"):
            to_tensor(picture(5, 4)[None], spec(**changes, **values))


def test_sizes_follow_the_contract() -> None:
    with pytest.raises(InvalidImage, match=r"5 x 4 pixels, got \(1, 4, 5, 3\) uint8"):
        to_tensor(picture(4, 5)[None], spec())
    steps = spec(height=32, width=64, size_step=32)
    assert to_tensor(picture(64, 32)[None], steps).shape == (1, 3, 64, 32)
    with pytest.raises(InvalidImage, match="multiple of 32"):
        to_tensor(picture(64, 48)[None], steps)


@pytest.mark.parametrize(
    "images",
    [picture(5, 4), picture(5, 4)[None].astype(np.float32), np.zeros((0, 5, 4, 3), np.uint8), [picture(5, 4)], None],
)
def test_other_batches_are_refused(images: object) -> None:
    with pytest.raises(InvalidImage, match="expected pictures"):
        to_tensor(images, spec())  # type: ignore[arg-type]
