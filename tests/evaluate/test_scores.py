"""Scores of all pairs, block by block, against the whole matrix; the bootstrap against copied-out resamples."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from pocketface.evaluate import scores as scores_module
from pocketface.evaluate.bootstrap import draws, impostor_weight, interval, linear_interval, resample
from pocketface.evaluate.metrics import accepted, threshold_at_far
from pocketface.evaluate.scores import all_pairs, score_all_pairs, score_pairs

FARS = (1e-1, 1e-2, 1e-3)


def people(identities=12, pictures=7, size=16, noise=0.8, seed=0):
    """Unit vectors around a centre for each person, in mixed order."""
    rng = np.random.default_rng(seed)
    of = rng.permutation(np.repeat(np.arange(identities), pictures))
    vectors = rng.normal(size=(identities, size))[of] + noise * rng.normal(size=(len(of), size))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), of


def whole_matrix(vectors, of):
    first, second = np.triu_indices(len(of), 1)
    cosines = (vectors[first] * vectors[second]).sum(1)
    return cosines, of[first] == of[second], first, second


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(scores_module, "_AT_ONCE", 500)


def test_blocks_cover_every_pair_once(small_blocks):
    of = np.array([0, 0, 1, 2, 2, 2, 3] * 13)
    seen = np.zeros((len(of), len(of)), int)
    for rows, columns, same, other in all_pairs(of):
        seen[rows, columns] += same + 2 * other
    assert len(list(all_pairs(of))) > 10
    np.testing.assert_array_equal(seen, np.triu(2 - (of[:, None] == of[None]), 1))


def test_all_pairs_are_those_of_the_whole_matrix(small_blocks, monkeypatch):
    monkeypatch.setattr(scores_module, "KEPT_SHARE", 0.2)
    vectors, of = people()
    ours = score_all_pairs(vectors, np.zeros(len(of), bool), [f"p{i:02d}" for i in of])
    cosines, same, first, second = whole_matrix(vectors, of)
    np.testing.assert_allclose(np.sort(ours.genuine), np.sort(cosines[same]), atol=1e-6)
    highest = np.sort(cosines[~same])[::-1][: len(ours.impostor)]
    np.testing.assert_allclose(ours.impostor, highest, atol=1e-6)
    assert ours.impostors == np.count_nonzero(~same) == ours.histogram.sum()
    assert 0.2 * ours.impostors < len(ours.impostor) < 0.25 * ours.impostors
    top = np.argsort(-np.where(same, -9, cosines))[0]
    assert set(ours.impostor_units[0]) == {of[first[top]], of[second[top]]}
    for far in (0.1, 0.01, 1e-3):
        assert ours.threshold(far) == pytest.approx(threshold_at_far(cosines[~same], far), abs=1e-6)


def test_beyond_the_kept_scores_the_histogram_keeps_to_the_far(monkeypatch):
    monkeypatch.setattr(scores_module, "KEPT_MOST", 10)
    vectors, of = people()
    ours = score_all_pairs(vectors, np.zeros(len(of), bool), list(of.astype(str)))
    cosines, same, *_ = whole_matrix(vectors, of)
    assert not ours.holds(0.1)
    exact = threshold_at_far(cosines[~same], 0.1)
    assert exact - 1e-6 <= ours.threshold(0.1) <= exact + 1 / 32768
    assert accepted(cosines[~same], ours.threshold(0.1)) <= 0.1
    drawn = resample(ours, [0.1, 0.001], rounds=20)
    assert (drawn.threshold[:, 0] == ours.threshold(0.1)).all()
    assert len(np.unique(drawn.threshold[:, 1])) > 1


def test_pairs_with_failed_pictures_are_counted_and_rejected():
    vectors, of = people()
    failed = np.zeros(len(of), bool)
    failed[[3, 40, 41]] = True
    vectors[failed] = 0
    ours = score_all_pairs(vectors, failed, list(of.astype(str)))
    _, same, first, second = whole_matrix(vectors, of)
    lost = failed[first] | failed[second]
    assert np.isneginf(ours.genuine).sum() == np.count_nonzero(lost & same)
    assert ours.unusable == np.count_nonzero(lost & ~same)
    assert ours.impostors == np.count_nonzero(~same)
    assert len(ours.genuine) == np.count_nonzero(same)
    in_order, listed = score_pairs(vectors, failed, np.stack([first, second], 1), same, list(of.astype(str)))
    assert np.isneginf(in_order[lost]).all()
    assert listed.unusable == ours.unusable
    np.testing.assert_allclose(np.sort(listed.genuine), np.sort(ours.genuine), atol=1e-6)
    assert listed.curve.far[-1] == ours.curve.far[-1] == 1


def test_a_list_of_all_pairs_gives_the_same_figures():
    vectors, of = people(seed=5)
    none, names = np.zeros(len(of), bool), list(of.astype(str))
    _, same, first, second = whole_matrix(vectors, of)
    _, listed = score_pairs(vectors, none, np.stack([first, second], 1), same, names)
    ours = score_all_pairs(vectors, none, names)
    for far in FARS[1:]:
        assert ours.threshold(far) == pytest.approx(listed.threshold(far), abs=1e-6)
    assert ours.curve.eer == pytest.approx(listed.curve.eer, abs=1e-3)


def test_without_every_identity_a_pair_is_a_unit():
    vectors, _ = people()
    pairs, same = np.array([[0, 1], [2, 3], [4, 5]]), np.array([True, False, False])
    for identities in (None, ["a", "a", "b", None, "d", "e", *[None] * 78]):
        scored = score_pairs(vectors, np.zeros(84, bool), pairs, same, identities)[1]
        assert (scored.unit, scored.units) == ("pair", 3)
        assert list(scored.genuine_units) == [0]
        assert sorted(scored.impostor_units[:, 0]) == [1, 2]
    known = score_pairs(vectors, np.zeros(84, bool), pairs, same, ["a", "a", "b", "c", "d", "b", *[None] * 78])[1]
    assert (known.unit, known.units) == ("identity", 4)


def test_memory_is_that_of_a_block_not_of_the_matrix():
    vectors, of = people(identities=100, pictures=40, noise=0.5)
    tracemalloc.start()
    score_all_pairs(vectors, np.zeros(len(of), bool), list(of.astype(str)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4000 * 4000 * 4  # the matrix itself would be 64 MB


def test_a_round_is_what_copying_out_the_drawn_identities_gives():
    """Copies of one identity make no impostors of each other, and each copy brings the genuine pairs once."""
    vectors, of = people(identities=9, pictures=4, seed=2)
    scores = score_all_pairs(vectors, np.zeros(len(of), bool), list(of.astype(str)))
    scores_of_list = score_pairs(
        vectors,
        np.zeros(len(of), bool),
        np.stack(np.triu_indices(len(of), 1), 1),
        whole_matrix(vectors, of)[1],
        [str(i) for i in of],
    )[1]
    drawn = resample(scores_of_list, FARS[:2], rounds=30, seed=7)
    cosines, same, first, second = whole_matrix(vectors, of)
    number = {name: i for i, name in enumerate(dict.fromkeys(of))}  # units are numbered as they come
    unit = np.array([number[i] for i in of])
    for i, times in enumerate(draws(9, 30, 7)):
        times = times.astype(int)
        genuine = np.repeat(cosines[same], times[unit[first[same]]])
        impostor = np.repeat(cosines[~same], times[unit[first[~same]]] * times[unit[second[~same]]])
        assert impostor_weight(times, scores_of_list) == len(impostor)
        for j, far in enumerate(FARS[:2]):
            threshold = threshold_at_far(impostor, far)
            assert drawn.threshold[i, j] == pytest.approx(threshold, abs=1e-6)
            assert drawn.tar[i, j] == pytest.approx(accepted(genuine, threshold), abs=1e-9)
    assert impostor_weight(np.ones(9), scores) == scores.impostors


def test_the_same_seed_draws_the_same():
    vectors, of = people()
    scores = score_all_pairs(vectors, np.zeros(len(of), bool), list(of.astype(str)))
    first, again, other = (resample(scores, [1e-2], rounds=20, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.tar, again.tar)
    assert (first.tar != other.tar).any()


def test_intervals_over_identities_cover_the_truth():
    """Of many samples of people, about 95 % must have an interval that holds the population's TAR at FAR 1e-2."""
    cosines, same, *_ = whole_matrix(*people(identities=300, pictures=5, noise=1.1, seed=99))
    truth = accepted(cosines[same], threshold_at_far(cosines[~same], 0.01))
    hits = 0
    for seed in range(40):
        vectors, of = people(identities=40, pictures=5, noise=1.1, seed=seed)
        scores = score_all_pairs(vectors, np.zeros(len(of), bool), list(of.astype(str)))
        found = interval(resample(scores, [0.01], rounds=100, seed=seed).tar[:, 0])
        hits += found.low <= truth <= found.high
    assert 32 <= hits <= 40


def test_interval_of_a_mean_is_that_of_the_exact_bootstrap():
    rng = np.random.default_rng(0)
    values, owner = rng.normal(1, 1, 400), rng.integers(40, size=400)
    sums, counts = np.bincount(owner, values, minlength=40), np.bincount(owner, minlength=40).astype(float)
    exact = interval(np.array([(d @ sums) / (d @ counts) for d in draws(40, 2000, 0)]))
    ours = linear_interval(sums, counts, 400, rounds=2000)
    assert ours == pytest.approx(exact, abs=0.01)
    assert linear_interval(sums * 0, counts * 0, 0) is None


def test_an_interval_needs_half_of_the_rounds():
    assert interval(np.array([1.0, np.nan, np.nan])) is None
    low, high = interval(np.append(np.arange(1001.0), np.nan))
    assert (low, high) == pytest.approx((25, 975))
