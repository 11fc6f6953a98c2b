"""Areas against scikit-learn, matching against every rule of it, intervals against what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from pocketface.evaluate.detection.matching import DUPLICATE, FALSE, IGNORED, TRUE, match
from pocketface.evaluate.detection.precision import all_points, area_under
from pocketface.evaluate.detection.searched import Search

Make = Callable[..., Search]
A, B, FAR = (0, 0, 20, 20), (40, 0, 60, 20), (100, 100, 120, 120)


def ap_of(searches: Sequence[Search]) -> float:
    return all_points(searches, [match(s.boxes, s.picture.boxes, s.picture.ignore) for s in searches]).ap


@pytest.mark.parametrize("seed", range(5))
def test_the_area_is_that_of_scikit_learn_under_the_envelope(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, labels = rng.integers(0, 40, 200) / 40, rng.uniform(size=200) < 0.4
    precision, recall, _ = precision_recall_curve(labels, scores)
    envelope = [precision[: i + 1].max() for i in range(len(precision))]  # its recall falls
    expected = -np.sum(np.diff(recall) * envelope[:-1])
    assert area_under(recall[:-1][::-1], precision[:-1][::-1]) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_ap_is_scikit_learns_where_every_face_is_found(searched: Make, seed: int) -> None:
    """Precision that only falls needs no envelope: all right detections come before all wrong ones, but for ties."""
    rng, searches, labels, scores = np.random.default_rng(seed), [], [], []
    for _ in range(20):
        right, wrong = rng.integers(4, 9) / 10, rng.integers(1, 5) / 10
        searches.append(searched([A], [(right, A), (wrong, FAR)]))
        labels += [1, 0]
        scores += [right, wrong]
    assert ap_of(searches) == pytest.approx(average_precision_score(labels, scores))


@pytest.mark.parametrize("seed", range(4))
def test_ap_is_that_of_the_ranked_list(crowds: Callable[[int], list[Search]], seed: int) -> None:
    """Against scikit-learn's curve: what was never found only lowers recall."""
    searches = crowds(seed)
    matchings = [match(s.boxes, s.picture.boxes, s.picture.ignore) for s in searches]
    outcome = np.concatenate([m.outcome for m in matchings])
    scores = np.concatenate([s.scores for s in searches])[outcome != IGNORED]
    labels = outcome[outcome != IGNORED] == TRUE
    faces = sum((~s.picture.ignore).sum() for s in searches)
    precision, recall, _ = precision_recall_curve(labels, scores)
    envelope = np.maximum.accumulate(precision[:-1])
    expected = -np.sum(np.diff(recall) * envelope) * labels.sum() / faces
    assert all_points(searches, matchings).ap == pytest.approx(expected)


def test_the_order_of_pictures_and_of_equal_scores_does_not_matter(searched: Make) -> None:
    one, other = searched([A], [(0.5, A)]), searched([A], [(0.5, FAR)])
    assert ap_of([one, other]) == ap_of([other, one]) == pytest.approx(1 / 2 * 1 / 2)


def test_matching_by_every_rule() -> None:
    near_a, ignored = (0, 1, 20, 21), (0, 40, 20, 60)
    boxes = np.array([A, near_a, FAR, ignored, ignored, (40, 0, 60, 9.9)], float)
    matching = match(boxes, np.array([B, A, ignored], float), np.array([False, False, True]))
    assert matching.outcome.tolist() == [TRUE, DUPLICATE, FALSE, IGNORED, IGNORED, FALSE]
    assert matching.partner.tolist() == [1, -1, -1, -1, -1, -1]
    assert matching.finder.tolist() == [-1, 0, -1]


def test_the_free_face_goes_before_the_ignored_one() -> None:
    boxes, truth = np.array([[0, 2, 20, 22]], float), np.array([A, (0, 2, 20, 22)], float)
    assert match(boxes, truth, np.array([False, True])).outcome.tolist() == [TRUE]


def test_nothing_to_match() -> None:
    none = np.empty((0, 4))
    assert match(none, np.array([A], float), np.array([False])).finder.tolist() == [-1]
    assert match(np.array([A], float), none, np.empty(0, bool)).outcome.tolist() == [FALSE]


def test_the_interval_covers_the_truth_of_other_pictures(searched: Make) -> None:
    """Each picture's face is found with probability 0.6, and nothing is wrong: AP is the share found."""
    covered = 0
    for seed in range(60):
        found = np.random.default_rng(seed).uniform(size=50) < 0.6
        searches = [searched([A], [(0.5, A)] if hit else []) for hit in found]
        matchings = [match(s.boxes, s.picture.boxes, s.picture.ignore) for s in searches]
        result = all_points(searches, matchings)
        assert result.ap == pytest.approx(found.mean())
        covered += result.low <= 0.6 <= result.high
    assert covered >= 51  # of 60; 57 expected
