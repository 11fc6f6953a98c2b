"""The official protocol of WIDER FACE: an example worked by hand, its quirks one by one, and a second, slow version."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from pocketface.evaluate.detection.matching import match
from pocketface.evaluate.detection.official import normalised, official_ap
from pocketface.evaluate.detection.precision import all_points
from pocketface.evaluate.detection.searched import Search

Make = Callable[..., Search]
A, B, IGNORED, FAR = (0, 0, 20, 20), (40, 0, 60, 20), (0, 40, 20, 60), (100, 100, 120, 120)


@pytest.fixture
def by_hand(searched: Make) -> list[Search]:
    """Three faces. Ranked: right, a duplicate, wrong, on an ignored face, right, wrong; one face is never found.

    So precision is 1/1 at a recall of 1/3, and 2/4 at 2/3: the area is 1/3 * 1 + 1/3 * 1/2 = 1/2.
    """
    first = [(0.9, A), (0.8, A), (0.7, FAR), (0.6, IGNORED)]
    return [searched([A, B, IGNORED], first, [True, True, False]), searched([B], [(0.5, B), (0.1, FAR)])]


def plain(searches: Sequence[Search]) -> float:
    return all_points(searches, [match(s.boxes, s.picture.boxes, s.picture.ignore) for s in searches]).ap


def test_the_example_by_hand(by_hand: list[Search]) -> None:
    result = official_ap(by_hand, "s")
    assert (result.ap, result.faces, result.pictures) == (pytest.approx(0.5), 3, 2)
    assert plain(by_hand) == pytest.approx(0.5)
    assert result.low <= result.ap <= result.high


def test_scores_are_normalised_over_the_whole_set(by_hand: list[Search], searched: Make) -> None:
    first, second = normalised(by_hand)
    np.testing.assert_allclose(first, [1, 0.875, 0.75, 0.625])
    np.testing.assert_allclose(second, [0.5, 0], atol=1e-15)
    same = [searched([A], [(0.3, A), (0.3, B)])]
    assert normalised(same)[0].tolist() == [1, 1]
    assert official_ap(same, "s").ap == pytest.approx(0.5)


def test_false_detections_where_there_is_no_face_cost_nothing_here(searched: Make) -> None:
    found = [searched([A], [(0.5, A)]), searched([], [(0.9, A)]), searched([A], [(0.1, A)])]
    assert official_ap(found, "s").ap == pytest.approx(1)
    assert plain(found) == pytest.approx(1 / 2 * 2 / 3 + 1 / 2 * 2 / 3)


def test_a_box_covers_a_pixel_more(searched: Make) -> None:
    """10 x 5 of 10 x 10 pixels are half; 9 x 4 of 9 x 9 are less."""
    half = [searched([(0, 0, 9, 9)], [(0.9, (0, 0, 9, 4))])]
    assert official_ap(half, "s").ap == pytest.approx(1)
    assert plain(half) == 0


def test_a_detection_belongs_to_the_nearest_face_even_if_that_is_taken(searched: Make) -> None:
    below = (0, 4, 20, 24)
    found = [searched([A, below], [(0.9, A), (0.8, (0, 1, 20, 21))])]
    assert official_ap(found, "s").ap == pytest.approx(0.5)
    assert plain(found) == pytest.approx(1)


def test_one_on_a_face_outside_the_subset_is_neither_right_nor_wrong(searched: Make) -> None:
    found = [searched([A, IGNORED], [(0.9, IGNORED), (0.8, IGNORED), (0.5, A)], [True, False])]
    assert official_ap(found, "s").ap == pytest.approx(1)


def test_an_empty_subset_has_no_precision(searched: Make) -> None:
    result = official_ap([searched([A], [(0.9, A)], [False])], "s")
    assert math.isnan(result.ap)
    assert result.faces == 0
    assert official_ap([searched([A], [])], "s").ap == 0


def covered(a: Sequence[float], b: Sequence[float]) -> float:
    """IoU of two boxes, counting pixels from the first to the last."""
    w, h = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) + 1 for i in (0, 1))
    if w <= 0 or h <= 0:
        return 0.0
    areas = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
    return w * h / (sum(areas) - w * h)


def slow(searches: Sequence[Search]) -> float:
    """The protocol, threshold by threshold and detection by detection, from nothing."""
    scores = [score for s in searches for score in s.scores]
    low, high = min(scores), max(scores)
    points, faces = [], sum(int(s.picture.subsets["s"].sum()) for s in searches)
    for t in range(1, 1001):
        proposed = found = 0
        for s in searches:
            kept, taken = s.picture.subsets["s"], set()
            for box, score in zip(s.boxes, s.scores, strict=True):
                if (score - low) / (high - low) < 1 - t / 1000 or not len(kept):
                    continue
                overlaps = [covered(box, face) for face in s.picture.boxes]
                best = overlaps.index(max(overlaps))
                if max(overlaps) < 0.5 or kept[best]:
                    proposed += 1
                if max(overlaps) >= 0.5 and kept[best]:
                    taken.add(best)
            found += len(taken)
        points.append((found / faces, found / proposed if proposed else 0.0))
    area, before = 0.0, 0.0
    for i, (recall, _) in enumerate(points):
        area += (recall - before) * max(precision for _, precision in points[i:])
        before = recall
    return area


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_slow_protocol(crowds: Callable[[int], list[Search]], seed: int) -> None:
    searches = crowds(seed)
    expected = slow(searches)
    assert 0.1 < expected < 0.9
    assert official_ap(searches, "s").ap == pytest.approx(expected, abs=1e-9)
