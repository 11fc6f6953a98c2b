"""Boxes against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from pocketface.errors import InvalidGeometry
from pocketface.runtime.boxes import iou, nms


def slow_overlap(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Areas of intersection and union."""
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0.0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
    areas = [max(c[2] - c[0], 0.0) * max(c[3] - c[1], 0.0) for c in (a, b)]
    return width * height, areas[0] + areas[1] - width * height


def slow_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    waiting, kept = sorted(range(len(boxes)), key=lambda i: (-scores[i], i)), []
    while waiting:
        best = waiting.pop(0)
        kept.append(best)
        pairs = {i: slow_overlap(boxes[best], boxes[i]) for i in waiting}
        waiting = [i for i in waiting if not pairs[i][0] > threshold * pairs[i][1]]
    return kept


def random_boxes(n: int, seed: int, spread: float = 60) -> np.ndarray:
    random = np.random.default_rng(seed)
    corner = random.uniform(-20, spread, (n, 2))
    return np.hstack([corner, corner + random.uniform(0, 40, (n, 2))])


@pytest.mark.parametrize("seed", range(10))
def test_iou_pair_by_pair(seed: int) -> None:
    a, b = random_boxes(seed, seed), random_boxes(13, seed + 50)
    got = iou(a, b)
    assert got.shape == (seed, 13)
    for i, j in np.ndindex(got.shape):
        shared, union = slow_overlap(a[i], b[j])
        assert got[i, j] == (shared / union if union > 0 else 0.0)


def test_iou_of_known_boxes() -> None:
    box = np.array([[0, 0, 2, 2]])
    others = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [2, 0, 4, 2], [0, 0, 1, 1], [9, 9, 8, 8], [5, 5, 5, 5]])
    np.testing.assert_allclose(iou(box, others), [[1, 1 / 3, 0, 1 / 4, 0, 0]])
    np.testing.assert_array_equal(iou(others[5:], others[5:]), [[0]])


def test_iou_of_what_is_not_finite_is_0() -> None:
    bad = np.array([[np.nan, 0, 2, 2], [0, 0, np.inf, 2], [-np.inf, -np.inf, np.inf, np.inf], [np.nan] * 4])
    with np.errstate(all="raise"):
        assert not iou(bad, np.vstack([bad, [[0, 0, 2, 2]]])).any()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 1.0])
def test_nms_candidate_by_candidate(seed: int, threshold: float) -> None:
    n = int(np.random.default_rng(seed).integers(0, 130))
    boxes, scores = random_boxes(n, seed), np.random.default_rng(seed).integers(0, 9, n) / 8  # many equal scores
    assert nms(boxes, scores, threshold).tolist() == slow_nms(boxes, scores, threshold)


def test_nms_of_float32_as_detectors_give_them() -> None:
    boxes, scores = (
        random_boxes(300, 1, spread=250).astype(np.float32),
        np.random.default_rng(1).random(300, np.float32),
    )
    kept = nms(boxes, scores, 0.4)
    assert kept.dtype == np.int64
    assert kept.tolist() == slow_nms(boxes.astype(float), scores.astype(float), 0.4)


def test_equal_scores_keep_the_lower_index() -> None:
    boxes = np.tile([[0.0, 0, 10, 10]], (40, 1))
    assert nms(boxes, np.full(40, 0.5), 0.5).tolist() == [0]
    apart = boxes + 100 * np.arange(40)[:, None]
    assert nms(apart, np.full(40, 0.5), 0.5).tolist() == list(range(40))


def test_an_overlap_of_just_the_threshold_stays() -> None:
    boxes = np.array([[0, 0, 2, 2], [0, 0, 2, 1]])  # IoU exactly 1/2
    assert nms(boxes, np.array([0.9, 0.8]), 0.5).tolist() == [0, 1]
    assert nms(boxes, np.array([0.9, 0.8]), 0.49).tolist() == [0]


def test_nan_is_never_kept_and_removes_nothing() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [np.nan, 0, 10, 10], [0, 0, np.inf, 10], [50, 50, 60, 60]])
    scores = np.array([np.nan, 0.5, 0.9, 0.9, np.inf])
    assert nms(boxes, scores, 0.4).tolist() == [4, 1]


def test_nms_of_nothing() -> None:
    assert nms(np.zeros((0, 4)), np.zeros(0), 0.4).tolist() == []
    assert nms(np.full((3, 4), np.nan), np.zeros(3), 0.4).tolist() == []


@pytest.mark.parametrize(
    ("boxes", "scores", "threshold"),
    [
        (np.zeros((3, 5)), np.zeros(3), 0.4),
        (np.zeros(4), np.zeros(1), 0.4),
        (np.zeros((3, 4)), np.zeros(2), 0.4),
        (np.zeros((3, 4)), np.zeros((3, 1)), 0.4),
        (np.zeros((3, 4)), np.zeros(3), 40),
        (np.zeros((3, 4)), np.zeros(3), float("nan")),
    ],
)
def test_what_does_not_fit_is_refused(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> None:
    with pytest.raises(InvalidGeometry, match="expected"):
        nms(boxes, scores, threshold)
