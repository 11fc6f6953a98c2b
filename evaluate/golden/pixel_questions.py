"""Which pictures are asked for: every branch of the rules, and places where a slightly other rule shows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...contract import ARCFACE_TEMPLATE, InputSpec
from ...runtime.resample import box_mean
from ..faces import bundled_portraits
from .pictures import Pictures
from .pixels import Aligning, Fitting, Laying, Letterboxing, Sampling, Shrinking
from .vectors import Array, Question, numbers

#: A portrait whose head is turned, so that left for right would show; and the part of it that is used (y, x).
_TURNED, _PART = 7, (slice(72, 332), slice(64, 304))

# name, height, width, size, why
_LETTERBOXES = (
    ("unchanged", 6, 8, (6, 8), "scale 1 changes no byte"),
    ("doubled", 5, 7, (10, 14), "pixel centres: weights of 1/4 and 3/4, and the edge goes on"),
    ("up_wide", 5, 7, (16, 16), "odd factor; what is left at the bottom is black"),
    ("up_tall", 9, 4, (24, 24), "odd factor; what is left at the right is black"),
    ("up_from_one_pixel", 1, 1, (6, 5), "one pixel is its own neighbour"),
    ("down_a_little", 23, 31, (17, 17), "less than 2: no box mean, only the blend"),
    ("halved", 24, 32, (16, 16), "exactly 2: only the box mean"),
    ("halved_odd", 10, 5, (5, 5), "2.5 columns round up to 3, and a box hangs over the edge"),
    ("down_2_5", 30, 40, (16, 16), "box mean by 2, then a blend by 1.25"),
    ("down_3_04", 73, 51, (24, 32), "box mean by 3 with boxes that hang over, then a blend"),
    ("down_9", 150, 113, (16, 20), "box mean by 9"),
    ("thin", 3, 120, (12, 12), "less than half a row is still one row"),
    ("both_fit", 12, 18, (8, 12), "height and width ask for the same scale"),
)


def shrinkings(pictures: Pictures) -> Iterator[Question]:
    """For ``pixels.shrink``."""
    halves = np.zeros((2, 18, 3), np.uint8)
    halves[0, ::2] = np.arange(9)[:, None]
    pictures.put("halves.png", halves)
    yield Question("halves_up", "sums of 0..8 over four pixels: a half rounds up", Shrinking("halves.png", 2))
    for height, width, k in ((8, 6, 2), (7, 5, 2), (9, 11, 4), (13, 1, 3), (3, 4, 5), (6, 5, 1)):
        why = "boxes over the edge take the pixels they have" if height % k or width % k else "whole boxes"
        yield Question(f"{height}x{width}_by_{k}", why, Shrinking(pictures.noise(height, width), k))


def stretchings(pictures: Pictures) -> Iterator[Question]:
    """For ``pixels.stretch_grid``."""
    noise, rows, columns = pictures.noise(5, 7), (-300, -1, 0, 1, 128, 511, 700, 1024, 1025, 1500), (-77, 64, 333, 1791)
    yield Question("weights", "1/256 pixel, half up, and beyond an edge the edge", Sampling(noise, rows, columns))
    whole = tuple(range(0, 1280, 256)), tuple(range(0, 1792, 256))
    yield Question("whole_positions", "whole positions give the pixels themselves", Sampling(noise, *whole))


def samplings(pictures: Pictures) -> Iterator[Question]:
    """For ``pixels.sample_points``."""
    rows = (0, 128, 255, -128, -255, -256, -700, 1024, 1100, 1279, 1280, 640, 640, 333)
    columns = (0, 64, 1500, 300, 1600, 300, 300, 1536, 1700, 1791, 0, -128, 1664, 777)
    yield Question("black_outside", "what is outside counts as black", Sampling(pictures.noise(5, 7), rows, columns))


def letterboxings(pictures: Pictures) -> Iterator[Question]:
    """For ``pixels.fit_letterbox``."""
    for name, height, width, size, why in _LETTERBOXES:
        yield Question(name, why, Letterboxing(pictures.noise(height, width), size))
    photo = _photo(pictures)
    yield Question("photo_down", "a face, 4 times smaller", Letterboxing(photo, (64, 64)))
    yield Question("photo_up", "a small face, made larger", Letterboxing(_small(pictures), (96, 128)))
    yield Question("no_size", "a size has no zero", Letterboxing(pictures.noise(5, 7), (0, 16)))


def layings(pictures: Pictures) -> Iterator[Question]:
    """For ``pixels.lay_out``."""
    noise = pictures.noise(3, 4)

    def spec(**changes: object) -> InputSpec:
        return InputSpec(**{"name": "image", "layout": "NCHW", "height": 3, "width": 4, **changes})  # type: ignore[arg-type]

    yield Question("nchw", "our ONNX files: planes of red, green, blue, 0..255", Laying(noise, spec()))
    yield Question("nhwc", "our TFLite files", Laying(noise, spec(layout="NHWC")))
    yield Question("bgr_bytes", "colour order, and bytes stay bytes", Laying(noise, spec(color="BGR", dtype="uint8")))
    half = spec(mean=(127.5,) * 3, std=(127.5,) * 3)
    yield Question("half", "(pixel - 127.5) / 127.5 in float32", Laying(noise, half))
    imagenet = spec(layout="NHWC", color="BGR", mean=(103.53, 116.28, 123.675), std=(57.375, 57.12, 58.395))
    yield Question("by_channel", "mean and std are those of the tensor's channels, float32", Laying(noise, imagenet))
    yield Question("int8", "the file's scale and zero point come after this", Laying(noise, spec(dtype="int8")))
    yield Question("wrong_size", "another size than the model's", Laying(pictures.noise(5, 7), spec()))
    yield Question("mean_of_bytes", "bytes cannot be normalised", Laying(noise, spec(dtype="uint8", mean=(1, 1, 1))))


def fittings(_: Pictures) -> Iterator[Question]:
    """For ``pixels.fit_similarity``."""
    face, far = numbers(bundled_portraits()[_TURNED].landmarks), ((10.0, -20.0), (900000.0, 800000.0), (-3.0, 7.5))
    yield Question("face", "a face onto ArcFace's template", Fitting(face, ARCFACE_TEMPLATE))
    yield Question("identity", "the template onto itself", Fitting(ARCFACE_TEMPLATE, ARCFACE_TEMPLATE))
    turned = tuple((200.0 - 2 * y, 2 * x - 30) for x, y in ARCFACE_TEMPLATE)
    yield Question("turned", "a quarter turn, twice as large: signs", Fitting(ARCFACE_TEMPLATE, turned))
    yield Question("two_points", "two points are enough", Fitting(((0.0, 0.0), (4.0, 0.0)), ((1.0, 1.0), (1.0, 3.0))))
    yield Question("inexact", "the least squares of a triangle that does not fit", Fitting(far, face[:3]))
    yield Question("one_place", "no spread", Fitting(((3.0, 4.0),) * 5, ARCFACE_TEMPLATE))
    mirrored = ((0.0, 0.0), (2.0, 0.0), (0.0, 2.0), (2.0, 2.0)), ((2.0, 0.0), (0.0, 0.0), (2.0, 2.0), (0.0, 2.0))
    yield Question("mirrored", "only a reflection would fit a square", Fitting(*mirrored))
    yield Question("not_finite", "NaN", Fitting((("NaN", 0.0), *face[1:]), ARCFACE_TEMPLATE))
    yield Question("too_far", "beyond a million pixels", Fitting(((1e7, 0.0), *face[1:]), ARCFACE_TEMPLATE))
    yield Question("unequal", "five points onto four", Fitting(ARCFACE_TEMPLATE, ARCFACE_TEMPLATE[:4]))


def alignings(pictures: Pictures) -> Iterator[Question]:
    """For ``pixels.align``."""
    photo, face = _photo(pictures), _landmarks()
    small, small_face = _small(pictures), (_landmarks() - 1.5) / 4

    def ask(picture: str, points: Array, size: tuple[int, int], side: float = 112) -> Aligning:
        template = (np.array(ARCFACE_TEMPLATE) - 55.5) * (side / 112) + (side - 1) / 2
        return Aligning(picture, numbers(points), numbers(template), size)

    yield Question("photo", "a face more than twice as large as its crop: box mean", ask(photo, face, (112, 112)))
    yield Question("down_5", "a crop of 48 x 40: box mean by 5 or more", ask(photo, face, (48, 40), 48))
    yield Question("up", "a face smaller than its crop", ask(small, small_face, (64, 64), 64))
    for name, shift in (("left_top", (-30, -25)), ("right_bottom", (28, 34))):
        yield Question(f"border_{name}", "a face over the border", ask(small, small_face + shift, (40, 40), 40))
    beyond = face + np.array([90, 110])
    yield Question("border_down", "boxes that hang over, and black beyond them", ask(photo, beyond, (48, 48), 48))
    yield Question("outside", "nothing of it is in the picture", ask(small, small_face + 500, (8, 8), 40))
    middle = small_face.mean(0)
    for degrees in (37, 180, 270):
        points = (small_face - middle) @ _turn(degrees).T + middle
        yield Question(f"turned_{degrees}", "another roll", ask(small, points, (40, 40), 40))
    yield from _steps(pictures)


def _steps(pictures: Pictures) -> Iterator[Question]:
    """Where k changes, with squares that map without a fraction."""
    square = np.array([[0.0, 0], [4, 0], [4, 4], [0, 4]])
    noise = pictures.noise(23, 31)
    for name, scale, why in (
        ("just_two", 2.0, "exactly twice as large: box mean by 2"),
        ("nearly_two", 1.9999, "a hair less than twice as large: no box mean"),
        ("two_and_a_half", 2.5, "positions between boxes: (X + 32768 - 32640 k) // (256 k)"),
        ("beyond_256", 300.0, "boxes end at 256"),
    ):
        yield Question(name, why, Aligning(noise, numbers(square * scale + 1), numbers(square), (9, 10)))
    half = Aligning(noise, numbers(square + 0.5 / 256), numbers(square), (7, 9))
    yield Question("half_step", "half a step of 1/256 rounds up", half)


def _photo(pictures: Pictures) -> str:
    return pictures.put("face.png", np.ascontiguousarray(bundled_portraits()[_TURNED].image[_PART]))


def _small(pictures: Pictures) -> str:
    return pictures.put("face_small.png", box_mean(pictures[_photo(pictures)], 4))


def _landmarks() -> Array:
    return bundled_portraits()[_TURNED].landmarks - (_PART[1].start, _PART[0].start)


def _turn(degrees: float) -> Array:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s], [s, c]])
