"""The figures of verification, against hand-worked examples, scikit-learn and an independent form of each protocol."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from pocketface.evaluate.metrics import (
    FIELD_GRID,
    accepted,
    enough_impostors,
    kfold_accuracy,
    may_pass,
    roc,
    tar_at_far,
    threshold_at_far,
)

IMPOSTOR = np.array([0.1, 0.2, 0.2, 0.3, 0.3, 0.3, 0.4, 0.5, 0.6, 0.7], np.float32)
GENUINE = np.array([0.3, 0.45, 0.6, 0.65, 0.9], np.float32)


def random_scores(seed, ties):
    rng = np.random.default_rng(seed)
    genuine, impostor = rng.normal(0.6, 0.2, 300), rng.normal(0.1, 0.2, 2000)
    return (np.round(a, 2).astype(np.float32) if ties else a.astype(np.float32) for a in (genuine, impostor))


@pytest.mark.parametrize(
    ("far", "passing", "tar"),
    [(0.0, 0, 0.2), (0.1, 1, 0.4), (0.2, 2, 0.6), (0.45, 4, 0.8), (0.5, 4, 0.8), (0.7, 7, 1.0)],
)
def test_by_hand_with_ties(far, passing, tar):
    """At FAR 0 only 0.9 is above 0.7; at FAR 0.5 one of the three ties at 0.3 would have to pass without the others."""
    threshold = threshold_at_far(IMPOSTOR, far)
    assert np.count_nonzero(threshold <= IMPOSTOR) == passing
    assert tar_at_far(GENUINE, IMPOSTOR, far) == pytest.approx(tar)


def test_threshold_is_the_lowest_that_keeps_to_the_far():
    threshold = np.float32(threshold_at_far(IMPOSTOR, 0.2))
    assert threshold > np.float32(0.5)
    assert np.nextafter(threshold, np.float32(0)) == np.float32(0.5)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("far", [0.1, 1e-2, 1e-3])
def test_tar_at_far_is_the_best_point_of_scikit_learns_roc_that_keeps_to_the_far(ties, far):
    genuine, impostor = random_scores(1, ties)
    labels = np.repeat([1, 0], [len(genuine), len(impostor)])
    fpr, tpr, _ = roc_curve(labels, np.concatenate([genuine, impostor]), drop_intermediate=False)
    assert tar_at_far(genuine, impostor, far) == tpr[fpr <= far].max()


@pytest.mark.parametrize("ties", [False, True])
def test_curve_lies_on_scikit_learns(ties):
    genuine, impostor = random_scores(2, ties)
    labels = np.repeat([1, 0], [len(genuine), len(impostor)])
    fpr, tpr, _ = roc_curve(labels, np.concatenate([genuine, impostor]), drop_intermediate=False)
    points = set(zip(np.round(fpr, 12), np.round(tpr, 12), strict=True))
    curve = roc(genuine, impostor)
    assert np.all(np.diff(curve.threshold) < 0)
    assert (curve.far[0], curve.far[-1]) == (0, 1)
    if ties:  # else sklearn's thresholds stop at genuine scores as well, ours at impostors'
        for far, threshold in zip(curve.far[1:], curve.threshold[1:], strict=True):
            assert (round(far, 12), round(accepted(genuine, threshold), 12)) in points
    np.testing.assert_allclose(curve.tar, [accepted(genuine, t) for t in curve.threshold])
    np.testing.assert_allclose(curve.far, [accepted(impostor, t) for t in curve.threshold])


def test_curve_of_a_histogram_is_that_of_its_scores():
    genuine, impostor = random_scores(3, ties=True)
    levels, counts = np.unique(impostor, return_counts=True)
    for ours, theirs in zip(roc(genuine, levels, counts), roc(genuine, impostor), strict=True):
        np.testing.assert_allclose(ours, theirs)


def test_equal_error_rate_by_hand():
    assert roc(np.array([0.2, 0.6, 0.7, 0.8]), np.array([0.0, 0.1, 0.3, 0.4])).eer == pytest.approx(0.25)


def test_scores_of_failed_pictures_pass_no_threshold():
    genuine = np.append(GENUINE, [-np.inf] * 5).astype(np.float32)
    assert tar_at_far(genuine, IMPOSTOR, 0.7) == 0.5
    impostor = np.append(IMPOSTOR, [-np.inf] * 10).astype(np.float32)
    assert threshold_at_far(impostor, 0.1) == threshold_at_far(IMPOSTOR, 0.2)


def test_the_highest_scores_are_enough_and_fewer_are_refused():
    assert threshold_at_far(IMPOSTOR[-3:], 0.2, pairs=10) == threshold_at_far(IMPOSTOR, 0.2)
    with pytest.raises(ValueError, match="lets 3 of 10 pairs pass, but only 3 scores are known"):
        threshold_at_far(IMPOSTOR[-3:], 0.3, pairs=10)
    assert threshold_at_far(IMPOSTOR, 1.0) == -math.inf


@pytest.mark.parametrize(("pairs", "far", "count"), [(100, 0.29, 29), (3000, 1e-3, 3), (2999, 1e-3, 2), (10, 0.99, 9)])
def test_how_many_may_pass_does_not_hang_on_rounding(pairs, far, count):
    assert may_pass(pairs, far) == count


def field_protocol(scores, same, folds):
    """The field's: squared distances of unit vectors, d < t, t of 0, 0.01 ... 3.99, the first best of nine folds."""
    distances, thresholds = 2 - 2 * scores.astype(np.float64), np.arange(0, 4, 0.01)
    accuracies = []
    for k in np.unique(folds):
        train, test = folds != k, folds == k
        best = np.argmax([np.mean((distances[train] < t) == same[train]) for t in thresholds])
        accuracies.append(np.mean((distances[test] < thresholds[best]) == same[test]))
    return np.array(accuracies)


@pytest.fixture
def ten_folds():
    rng = np.random.default_rng(4)
    same = np.tile(np.repeat([True, False], 30), 10)
    scores = np.where(same, rng.normal(0.5, 0.2, 600), rng.normal(0.1, 0.15, 600)).clip(-1, 1)
    return scores.astype(np.float32), same, np.repeat(np.arange(10), 60)


def test_accuracy_on_the_grid_is_the_fields(ten_folds):
    theirs = field_protocol(*ten_folds)
    ours = kfold_accuracy(*ten_folds, candidates=FIELD_GRID)
    np.testing.assert_array_equal(ours.accuracy, theirs)
    assert (ours.mean, ours.std) == pytest.approx((theirs.mean(), theirs.std()))


def test_exact_thresholds_are_the_best_there_are(ten_folds):
    scores, same, folds = ten_folds
    ours = kfold_accuracy(scores, same, folds)
    for k, threshold in enumerate(ours.threshold):
        train = folds != k
        best = max(np.mean((scores[train] >= t) == same[train]) for t in [*scores[train], 2])
        assert np.mean((scores[train] >= threshold) == same[train]) == best
    assert abs(ours.mean - field_protocol(*ten_folds).mean()) < 0.01


def test_the_test_fold_has_no_say_in_its_threshold(ten_folds):
    scores, same, folds = ten_folds
    before = kfold_accuracy(scores, same, folds).threshold[3]
    flipped = np.where(folds == 3, ~same, same)
    assert kfold_accuracy(scores, flipped, folds).threshold[3] == before


def test_accuracy_by_hand():
    scores = np.array([0.9, 0.2, 0.8, 0.4, 0.3, 0.6], np.float32)
    same = np.array([1, 0, 1, 0, 1, 0], bool)
    folds = np.array([0, 0, 1, 1, 2, 2])
    ours = kfold_accuracy(scores, same, folds)
    # fold 2 is judged at the middle of 0.8 and 0.4, where folds 0 and 1 are told apart without error: both pairs wrong
    np.testing.assert_allclose(ours.threshold[2], 0.6, atol=1e-6)
    np.testing.assert_allclose(ours.accuracy, [1, 1, 0])


def test_pairs_with_a_failed_picture_are_rejected_at_every_threshold():
    scores = np.array([-np.inf, 0.1, -np.inf, -np.inf] * 2, np.float32)
    same = np.array([1, 1, 1, 0] * 2, bool)
    folds = np.repeat([0, 1], 4)
    np.testing.assert_allclose(kfold_accuracy(scores, same, folds).accuracy, [0.5, 0.5])
    nothing = kfold_accuracy(np.full(4, -np.inf, np.float32), np.array([1, 0, 1, 0], bool), np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(nothing.accuracy, [0.5, 0.5])


def test_what_pairs_cannot_support_is_said_plainly():
    assert enough_impostors(30_000, 1e-3) is None
    assert enough_impostors(3000, 1e-2) is None
    few = enough_impostors(3000, 1e-3)
    assert "FAR 1e-3 rests on 3 of 3,000 impostor pairs, fewer than 30" in few
    assert "30,000 are needed" in few
    none = enough_impostors(3000, 1e-6)
    assert "FAR 1e-6 cannot be measured on 3,000 impostor pairs" in none
    assert "may be 1e-3 (rule of 3)" in none
    assert "30,000,000 are needed" in none
    assert enough_impostors(0, 1e-2)
