"""The rules for pixels, written a second time from the words of bindings/golden/README.md, and rules that are wrong.

Each wrong rule is one that a port may well have: half a pixel off, another rounding, another edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from pocketface.evaluate.golden import Pictures

Given = dict[str, Any]
Failures = Callable[..., list[str]]


class Pixels(NamedTuple):
    """The rules for pixels; a changed field is a wrong rule."""

    box_half: int = 1  # whether half is added before dividing
    box_whole: bool = False  # divide by k * k even at an edge
    blend_half: int = 32768
    grain: int = 1  # positions to 1, 2, ... 256ths
    position_half: int = 1
    corner: bool = False  # pixels counted from their corners
    size_half: bool = True
    centred: bool = False
    shrinks: bool = True
    k_up: bool = False  # k rounded to the nearest
    edge_black: bool = False  # letterbox sees black beyond an edge
    outside_edge: bool = False  # alignment sees the edge beyond it
    swapped: bool = False  # x for y


def box_mean(image: np.ndarray, k: int, rules: Pixels) -> np.ndarray:
    if k == 1:
        return image
    height, width = image.shape[:2]
    rows, columns = ([slice(i, min(i + k, n)) for i in range(0, n, k)] for n in (height, width))
    small = np.zeros((len(rows), len(columns), 3), int)
    for y, row in enumerate(rows):
        sums = image[row].astype(int).sum(axis=0)
        for x, column in enumerate(columns):
            n = k * k if rules.box_whole else (row.stop - row.start) * (column.stop - column.start)
            small[y, x] = (sums[column].sum(axis=0) + rules.box_half * (n // 2)) // n
    return small


def blend(image: np.ndarray, rows: np.ndarray, columns: np.ndarray, black: bool, rules: Pixels) -> np.ndarray:
    height, width = image.shape[:2]
    rows, columns = (n // rules.grain * rules.grain for n in (rows, columns))
    total = np.zeros((*rows.shape, 3), int)
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        y, x = rows // 256 + down, columns // 256 + right
        weight = (rows % 256 if down else 256 - rows % 256) * (columns % 256 if right else 256 - columns % 256)
        seen = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        color = image[y.clip(0, height - 1), x.clip(0, width - 1)]
        total += weight[..., None] * np.where(seen[..., None] | (not black), color, 0)
    return (total + rules.blend_half) // 65536


def letterbox(image: np.ndarray, size: list[int], rules: Pixels) -> tuple[np.ndarray, float]:
    (h, w), (height, width) = size, image.shape[:2]
    if h < 1 or w < 1:
        raise ValueError("InvalidImage")
    p, q = (h, height) if h * width <= w * height else (w, width)
    k = max(1, min(256, (2 * q + p) // (2 * p) if rules.k_up else q // p)) if rules.shrinks else 1
    rows, columns = (max(1, (2 * n * p + (q if rules.size_half else 0)) // (2 * q)) for n in (height, width))
    small = box_mean(image, k, rules)
    y, x = np.mgrid[:rows, :columns]
    pk = p * k
    centre = (lambda i: 256 * 2 * i * q) if rules.corner else (lambda i: 256 * ((2 * i + 1) * q - pk))
    at = [(centre(i) + rules.position_half * pk) // (2 * pk) for i in (y, x)]
    canvas = np.zeros((h, w, 3), int)
    top, left = ((h - rows) // 2, (w - columns) // 2) if rules.centred else (0, 0)
    canvas[top : top + rows, left : left + columns] = blend(small, *at, rules.edge_black, rules)
    return canvas, p / q


def similarity(source: list[list[float]], target: list[list[float]]) -> tuple[float, float, float, float]:
    flat = [c for point in (*source, *target) for c in point]
    if any(isinstance(c, str) or abs(c) > 1e6 for c in flat) or len(source) != len(target):
        raise ValueError("InvalidGeometry")
    n = len(source)
    (mx, my), (nx, ny) = ([sum(p[i] for p in points) / n for i in (0, 1)] for points in (source, target))
    pairs = [(x - mx, y - my, u - nx, v - ny) for (x, y), (u, v) in zip(source, target, strict=True)]
    spread = sum(x * x + y * y for x, y, _, _ in pairs)
    if spread < 1e-12:
        raise ValueError("InvalidGeometry")
    a = sum(x * u + y * v for x, y, u, v in pairs) / spread
    b = sum(x * v - y * u for x, y, u, v in pairs) / spread
    if a * a + b * b < 1e-12:
        raise ValueError("InvalidGeometry")
    return a, b, nx - (a * mx - b * my), ny - (b * mx + a * my)


def align(image: np.ndarray, given: Given, rules: Pixels) -> np.ndarray:
    a, b, tx, ty = similarity(given["landmarks"], given["template"])
    square = a * a + b * b
    exact = [65536 * n / square for n in (a, b, -(a * tx + b * ty), b * tx - a * ty)]
    assert all(abs(n % 1 - 0.5) > 1e-6 for n in exact)  # so that the last bit of a float does not matter
    A, B, X0, Y0 = (math.floor(n + 0.5) for n in exact)
    k = max(n for n in range(1, 257) if n == 1 or (65536 * n) ** 2 <= A * A + B * B) if rules.shrinks else 1
    small = box_mean(image, k, rules)
    v, u = np.mgrid[: given["size"][0], : given["size"][1]]
    x, y = A * u + B * v + X0, A * v - B * u + Y0
    shift = 128 * k * rules.position_half + (0 if rules.corner else 32768 - 32768 * k)
    columns, rows = ((n + shift) // (256 * k) for n in (x, y))
    if rules.swapped:
        rows, columns = columns, rows
    return blend(small, rows, columns, not rules.outside_edge, rules)


def answer_pixels(operation: str, given: Given, pictures: Pictures, rules: Pixels) -> Given:
    image = pictures[given["picture"]].astype(int)
    if operation == "letterbox":
        canvas, scale = letterbox(image, given["size"], rules)
        return {"picture": canvas, "scale": scale}
    if operation == "align":
        return {"picture": align(image, given, rules)}
    if operation == "box_mean":
        return {"picture": box_mean(image, given["k"], rules)}
    rows, columns = np.array(given["rows"]), np.array(given["columns"])
    if operation == "sample":
        return {"colors": blend(image, rows, columns, not rules.outside_edge, rules).tolist()}
    return {"picture": blend(image, *np.meshgrid(rows, columns, indexing="ij"), rules.edge_black, rules)}


PIXELS = ("box_mean", "stretch", "sample", "letterbox", "align")


@pytest.mark.parametrize("operation", PIXELS)
def test_pixels_by_the_book(operation: str, failures: Failures) -> None:
    assert failures(operation, lambda given, pictures: answer_pixels(operation, given, pictures, Pixels())) == []


@pytest.mark.parametrize(
    ("operation", "wrong"),
    [
        *((operation, {"blend_half": 0}) for operation in ("stretch", "sample", "letterbox", "align")),
        *((operation, {"grain": 8}) for operation in ("stretch", "sample", "letterbox", "align")),  # OpenCV's 1/32
        *((operation, {"box_half": 0}) for operation in ("box_mean", "letterbox", "align")),
        *((operation, {"box_whole": True}) for operation in ("box_mean", "letterbox", "align")),
        *((operation, {"corner": True}) for operation in ("letterbox", "align")),
        *((operation, {"position_half": 0}) for operation in ("letterbox", "align")),
        *((operation, {"shrinks": False}) for operation in ("letterbox", "align")),
        *((operation, {"edge_black": True}) for operation in ("stretch", "letterbox")),
        *((operation, {"outside_edge": True}) for operation in ("sample", "align")),
        ("letterbox", {"size_half": False}),
        ("letterbox", {"centred": True}),
        ("letterbox", {"k_up": True}),
        ("align", {"swapped": True}),
    ],
    ids=str,
)
def test_a_wrong_rule_for_pixels_is_found(operation: str, wrong: dict[str, Any], failures: Failures) -> None:
    rules = Pixels(**wrong)
    assert failures(operation, lambda given, pictures: answer_pixels(operation, given, pictures, rules), enough=1)


def test_similarity_by_the_book(failures: Failures) -> None:
    def matrix(given: Given, _: Pictures) -> Given:
        a, b, tx, ty = similarity(given["source"], given["target"])
        return {"matrix": [[a, -b, tx], [b, a, ty]]}

    assert failures("similarity", matrix) == []
