"""Error versus discard: by hand, where it must be monotone, ties, both thresholds, controls; ranks against scipy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from pocketface.evaluate.discard import (
    SHARES,
    ListedImpostors,
    discard_curve,
    oracle_curve,
    random_curves,
    supported,
)
from pocketface.evaluate.metrics import tar_at_far, threshold_at_far
from pocketface.evaluate.rank_correlation import mean_ranks, spearman, spearman_interval

#: 400 impostor pairs; at FMR 1e-2 four may pass, so the threshold is just above 395/400.
IMPOSTORS = ListedImpostors(np.arange(400) / 400, np.full(400, 0.5))
THRESHOLD = 395 / 400


def pairs(wrong: list[int]) -> np.ndarray:
    return np.where(np.array(wrong, bool), 0.1, 1.0)


def test_by_hand_every_pair_one_step() -> None:
    """Of 20 pairs the worst, the third worst and the best are errors: a step of 0.05 discards one pair."""
    genuine = pairs([1, 0, 1, *[0] * 16, 1])
    curve = discard_curve(genuine, np.arange(20.0), IMPOSTORS, 1e-2)
    expected = [3 / 20, 2 / 19, 2 / 18, *(1 / n for n in range(17, 0, -1))]
    np.testing.assert_allclose(curve.fnmr, expected)
    assert curve.left.tolist() == list(range(20, 0, -1))
    np.testing.assert_allclose(curve.discarded, SHARES)


def test_the_area_by_hand() -> None:
    curve = discard_curve(pairs([1, 1, 1, 1, *[0] * 16]), np.arange(20.0), IMPOSTORS, 1e-2)
    points = [4 / 20, 3 / 19, 2 / 18, 1 / 17, 0]
    area = 0.05 * (points[0] / 2 + sum(points[1:4]) + points[4] / 2)
    assert curve.area(0.2) == pytest.approx(area)
    assert curve.area(0.3) == pytest.approx(area)
    assert curve.normalised_area(0.2) == pytest.approx(area / (0.2 * 0.2))
    half = (points[0] + (points[0] + points[1]) / 2) / 2 * 0.025
    assert curve.area(0.025) == pytest.approx(half), "between two points, the line is followed"


def test_the_threshold_is_the_one_of_verification() -> None:
    genuine = np.array([THRESHOLD, np.nextafter(THRESHOLD, 1), 0.2, 1.0] * 5)
    curve = discard_curve(genuine, np.zeros(20), IMPOSTORS, 1e-2)
    assert curve.fnmr[0] == pytest.approx(1 - tar_at_far(genuine, IMPOSTORS.scores, 1e-2)) == 0.5


def test_a_measure_that_knows_nothing_leaves_the_error_level() -> None:
    curve = discard_curve(pairs([1, 1, 0, 0, 0] * 8), np.zeros(40), IMPOSTORS, 1e-2)
    np.testing.assert_allclose(curve.fnmr, 0.4)
    assert curve.normalised_area(0.3) == pytest.approx(1)


def test_ties_are_the_mean_over_all_orders() -> None:
    rng = np.random.default_rng(0)
    genuine, quality = pairs(list(rng.uniform(size=40) < 0.3)), rng.integers(0, 3, 40).astype(float)
    orders = []
    for _ in range(4000):
        ranked = np.lexsort([rng.permutation(40), quality])
        wrong = genuine[ranked] < 0.5
        orders.append([wrong[k:].mean() for k in range(0, 40, 2)])
    curve = discard_curve(genuine, quality, IMPOSTORS, 1e-2)
    np.testing.assert_allclose(curve.fnmr, np.mean(orders, axis=0), atol=0.02)
    assert curve.fnmr[-1] == pytest.approx(np.mean(orders, axis=0)[-1], abs=0.03)


def test_the_order_of_the_pairs_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    genuine, quality, order = rng.uniform(size=97), rng.integers(0, 9, 97).astype(float), rng.permutation(97)
    one, other = (
        discard_curve(g, q, IMPOSTORS, 1e-2).fnmr for g, q in ((genuine, quality), (genuine[order], quality[order]))
    )
    np.testing.assert_allclose(one, other)


def test_a_perfect_measure_is_the_oracle_and_falls() -> None:
    genuine = np.random.default_rng(2).uniform(0.9, 1, 300)
    perfect, oracle = discard_curve(genuine, genuine, IMPOSTORS, 1e-2), oracle_curve(genuine, IMPOSTORS, 1e-2)
    np.testing.assert_allclose(perfect.fnmr, oracle.fnmr)
    assert (np.diff(oracle.fnmr) <= 0).all()
    wrong, n = np.count_nonzero(genuine <= THRESHOLD), 300
    np.testing.assert_allclose(oracle.fnmr, [max(wrong - 15 * i, 0) / (n - 15 * i) for i in range(20)])


def test_no_measure_is_better_than_the_oracle_and_the_inverse_is_worse_than_chance() -> None:
    rng = np.random.default_rng(3)
    genuine = rng.uniform(0.9, 1, 200)
    oracle, random = oracle_curve(genuine, IMPOSTORS, 1e-2), random_curves(genuine, IMPOSTORS, 1e-2)
    for curve in (*random, discard_curve(genuine, genuine + rng.normal(0, 0.02, 200), IMPOSTORS, 1e-2)):
        assert (curve.fnmr >= oracle.fnmr - 1e-12).all()
    mean = np.mean([curve.fnmr for curve in random], axis=0)
    np.testing.assert_allclose(mean[:15], oracle.fnmr[0], atol=0.03)
    assert (discard_curve(genuine, -genuine, IMPOSTORS, 1e-2).fnmr >= oracle.fnmr[0] - 1e-12).all()
    assert [c.fnmr.tolist() for c in random] == [c.fnmr.tolist() for c in random_curves(genuine, IMPOSTORS, 1e-2)]


def test_re_estimated_by_hand() -> None:
    """Bad impostor pairs score high: once they are gone the threshold falls, and errors vanish that were kept."""
    impostors = ListedImpostors(
        np.concatenate([np.full(300, 0.1), np.full(100, 0.9)]), np.repeat([0.9, 0.2], [300, 100])
    )
    genuine, quality = np.array([0.5] * 19 + [0.95]), np.concatenate([[0.1], np.full(19, 0.8)])
    fixed = discard_curve(genuine, quality, impostors, 1e-2)
    again = discard_curve(genuine, quality, impostors, 1e-2, "re-estimated")
    assert fixed.fnmr[:2] == pytest.approx([19 / 20, 18 / 19])
    assert again.fnmr[:2] == pytest.approx([19 / 20, 0])


def test_re_estimated_is_the_threshold_on_what_is_left() -> None:
    rng = np.random.default_rng(4)
    genuine, quality = rng.normal(0.6, 0.2, 200), rng.uniform(size=200)
    impostors = ListedImpostors(rng.normal(0, 0.2, 20000), rng.uniform(size=20000))
    curve = discard_curve(genuine, quality, impostors, 1e-2, "re-estimated")
    for i, k in enumerate(range(0, 200, 10)):
        left = np.argsort(quality)[k:]
        lowest = quality[left].min() if k else -math.inf
        threshold = threshold_at_far(impostors.scores[impostors.quality >= lowest], 1e-2)
        assert curve.fnmr[i] == pytest.approx(np.mean(genuine[left] < threshold))


def test_too_few_impostors_give_no_figure() -> None:
    assert supported(300, 1e-2)
    assert not supported(299, 1e-2)
    genuine, quality = pairs([1] * 20), np.arange(20.0)
    assert np.isnan(discard_curve(genuine, quality, IMPOSTORS, 1e-3).fnmr).all()
    half = ListedImpostors(np.zeros(400), np.repeat([0.0, 100.0], 200))
    again = discard_curve(genuine, quality, half, 1e-2, "re-estimated")
    assert np.isnan(again.fnmr).tolist() == [False, *[True] * 19]


def test_no_error_has_no_normalised_area() -> None:
    curve = discard_curve(pairs([0] * 20), np.arange(20.0), IMPOSTORS, 1e-2)
    assert curve.area(0.2) == 0
    assert math.isnan(curve.normalised_area(0.2))


@pytest.mark.parametrize(
    ("genuine", "quality", "words"),
    [
        ([], [], "each genuine pair"),
        ([1.0], [1.0, 2.0], "each"),
        ([1.0], [math.nan], "NaN"),
        ([math.nan], [1.0], "NaN"),
    ],
)
def test_what_cannot_be_ranked_is_refused(genuine: list[float], quality: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        discard_curve(np.array(genuine), np.array(quality), IMPOSTORS, 1e-2)


@pytest.mark.parametrize("draw", [lambda rng: rng.normal(size=50), lambda rng: rng.integers(0, 6, 50).astype(float)])
def test_ranks_and_their_correlation_are_scipys(draw: Callable[[np.random.Generator], np.ndarray]) -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        a = draw(rng)
        b = np.round(a / 2) + draw(rng)
        np.testing.assert_allclose(mean_ranks(a), rankdata(a))
        assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)


def test_correlation_at_its_ends() -> None:
    a = np.array([3.0, 1, 2, 2, -math.inf])
    assert spearman(a, np.tanh(a)) == pytest.approx(1)
    assert spearman(a, -a) == pytest.approx(-1)
    for few in (np.empty(0), np.ones(1), np.ones(9)):
        assert math.isnan(spearman(few, few))
    with pytest.raises(ValueError, match="NaN"):
        spearman(np.array([1, math.nan]), np.array([1.0, 2]))
    with pytest.raises(ValueError, match="shapes"):
        spearman(np.ones(2), np.ones(3))


def test_the_interval_holds_the_correlation() -> None:
    rng = np.random.default_rng(6)
    a = rng.normal(size=400)
    b = a + rng.normal(size=400)
    low, high = spearman_interval(a, b)
    assert low < spearman(a, b) < high < low + 0.2
