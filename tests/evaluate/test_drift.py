"""Verification and drift on embeddings whose right answers are known."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from pocketface.errors import InvalidData
from pocketface.evaluate import scores as scores_module
from pocketface.evaluate.data import ImageSet, PairSet, Sample, contiguous_folds
from pocketface.evaluate.drift import measure_drift
from pocketface.evaluate.embeddings import Embedded
from pocketface.evaluate.verification import Verification, judge

ROUNDS = 40


def unreadable():
    raise AssertionError("no test here reads a picture")


def pictures(names):
    samples = tuple(Sample(f"{i}.png", unreadable, aligned=True, identity=name) for i, name in enumerate(names))
    return ImageSet("people", samples, "ab" * 32)


def embedded(vectors, failed=()):
    vectors = np.asarray(vectors, np.float32)
    lost = np.isin(np.arange(len(vectors)), failed)
    unit = np.where(lost[:, None], 0, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    problems = (f"{lost.sum()} pictures show no face",) if lost.any() else ()
    return Embedded(unit, lost, np.ones(len(unit), np.float32), problems, np.nan, 0)


def people(identities=30, each=4, noise=0.8, seed=0):
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(identities), each)
    return rng.normal(size=(identities, 16))[of] + noise * rng.normal(size=(len(of), 16)), [f"p{i:03d}" for i in of]


def all_listed(images, step=1):
    """Every pair of an image set as a list."""
    pairs = np.stack(np.triu_indices(len(images), 1), 1)[::step]
    who = np.array([sample.identity for sample in images.samples])
    same = who[pairs[:, 0]] == who[pairs[:, 1]]
    return PairSet(images, pairs, same, contiguous_folds(same))


@pytest.fixture(params=["all pairs", "list"])
def data(request):
    images = pictures(people()[1])
    return images if request.param == "all pairs" else all_listed(images)


def drift_of(data, first, other, **options):
    a, b = (judge(data, e, rounds=ROUNDS) for e in (first, other))
    return measure_drift(data, (first, a), (other, b), rounds=ROUNDS, **options)


def test_a_result_survives_json_and_counts_what_it_says(data):
    result = judge(data, embedded(people()[0]), rounds=ROUNDS).result
    assert msgspec.json.decode(msgspec.json.encode(result), type=Verification) == result
    assert (result.pictures, result.genuine, result.impostors) == (120, 30 * 6, 120 * 119 // 2 - 180)
    assert (result.units, result.unit) == (30, "identity")
    for entry in result.at_far[:2]:
        assert entry.tar_interval.low <= entry.tar <= entry.tar_interval.high
    assert result.at(1e-3).note.startswith("FAR 1e-3 rests on 6 of 6,960")
    assert result.at(1e-4).tar is None
    assert result.at(1e-4).note in result.notes
    assert result.curve[-1] == (1, 1)


def test_folds_only_where_there_is_a_list():
    images = pictures(people()[1])
    listed = judge(all_listed(images), embedded(people()[0]), rounds=2).result
    assert listed.folds == 10
    assert 0.9 < listed.accuracy <= 1
    assert judge(images, embedded(people()[0]), rounds=2).result.accuracy is None


def test_failures_count_against_the_result_and_are_said(data):
    vectors, _ = people(noise=0.1)
    sound, lost = (judge(data, embedded(vectors, failed), rounds=ROUNDS).result for failed in ((), (0, 50)))
    assert sound.at(1e-2).tar == 1
    assert (lost.failed, lost.genuine_failed, lost.impostors_failed) == (2, 6, 2 * 116 - 1)
    assert lost.at(1e-2).tar == pytest.approx(1 - 6 / 180)
    assert "2 pictures show no face" in lost.notes
    assert any(
        "genuine pairs count as rejected (6), their impostor pairs as not accepted (231)" in n for n in lost.notes
    )


def test_data_without_both_kinds_of_pairs_or_without_identities_are_refused():
    for names, said in ((["a"] * 3, "3 genuine and 0 impostor"), (["a", "b", "c"], "0 genuine and 3 impostor")):
        with pytest.raises(InvalidData, match=said):
            judge(pictures(names), embedded(np.eye(3)))
    with pytest.raises(InvalidData, match=r"1 of 3 pictures name no identity, first 1.png"):
        judge(pictures(["a", None, "b"]), embedded(np.eye(3)))


def test_a_file_does_not_drift_from_itself(data):
    same = drift_of(data, embedded(people()[0]), embedded(people()[0]))
    assert same.turn.min == pytest.approx(1, abs=1e-6)
    assert (same.genuine.mean, same.impostor.mean, same.flips, same.tar[0].drop) == (0, 0, 0, 0)
    assert tuple(same.flips_interval) == tuple(same.tar[0].drop_interval) == (0, 0)
    assert same.far == 1e-3


def test_drift_against_the_whole_matrix(data, monkeypatch):
    monkeypatch.setattr(scores_module, "_AT_ONCE", 1000)
    vectors, names = people()
    first = embedded(vectors, failed=[7])
    other = embedded(vectors + 0.3 * np.random.default_rng(1).normal(size=vectors.shape), failed=[7, 8])
    drift = drift_of(data, first, other, far=1e-2)
    i, j = np.triu_indices(120, 1)
    a, b = ((e.vectors[i] * e.vectors[j]).sum(1) for e in (first, other))
    gone = {e: e.failed[i] | e.failed[j] for e in (first, other)}
    same = np.array(names)[i] == np.array(names)[j]
    usable = ~gone[other]
    flipped = ((a >= drift.threshold) & ~gone[first]) != ((b >= drift.threshold) & ~gone[other])
    for shift, kind in ((drift.genuine, same), (drift.impostor, ~same)):
        difference = (b - a)[usable & kind]
        assert shift.mean == pytest.approx(difference.mean(), abs=1e-6)
        assert shift.spread == pytest.approx(difference.std(), abs=1e-5)
        assert shift.largest == pytest.approx(np.abs(difference).max(), abs=1e-6)
        assert shift.mean_interval.low < shift.mean < shift.mean_interval.high
    one = 1.1 / (~same).sum()  # the pair that the threshold lies just above may be rounded to either side of it
    assert drift.flips_genuine == pytest.approx(flipped[same].mean())
    assert drift.flips_impostor == pytest.approx(flipped[~same].mean(), abs=one)
    assert drift.flips == pytest.approx((flipped[same].mean() + flipped[~same].mean()) / 2, abs=one)
    assert drift.flips_all == pytest.approx(flipped.mean(), abs=one)
    assert 0 < drift.flips_interval.low < drift.flips < drift.flips_interval.high
    cosines = (first.vectors * other.vectors).sum(1)[~(first.failed | other.failed)]
    assert (drift.pictures, drift.turn.mean, drift.turn.min) == pytest.approx((118, cosines.mean(), cosines.min()))
    assert drift.turn.p1 == pytest.approx(np.percentile(cosines, 1))
    assert drift.turn.mean_interval.low < drift.turn.mean < drift.turn.mean_interval.high


def test_a_worse_file_has_a_tar_drop_whose_interval_says_so(data):
    vectors, _ = people(noise=0.7)
    worse = vectors + 0.9 * np.random.default_rng(1).normal(size=vectors.shape)
    drop = drift_of(data, embedded(vectors), embedded(worse)).tar[0]
    assert drop.drop == drop.first - drop.other > 0
    assert 0 < drop.drop_interval.low < drop.drop < drop.drop_interval.high


def test_the_interval_of_flips_is_that_of_drawing_people_again():
    """Half of the people flip all their pairs, half none: over pairs it would look sharp, over 30 people it is not."""
    vectors, names = people(noise=0.05)
    other = vectors.copy()
    other[:60] = np.random.default_rng(3).normal(size=(60, 16))
    drift = drift_of(pictures(names), embedded(vectors), embedded(other), far=1e-2)
    assert drift.flips_genuine == pytest.approx(0.5, abs=0.05)
    spread = np.sqrt(0.5 * 0.5 / 30) / 2  # of flips, which are half genuine flips
    assert drift.flips_interval.high - drift.flips_interval.low == pytest.approx(2 * 1.96 * spread, rel=0.35)


def test_different_networks_have_no_turn_but_decisions(data):
    other = embedded(people(seed=9)[0] @ np.random.default_rng(2).normal(size=(16, 24)))
    drift = drift_of(data, embedded(people()[0]), other, same_network=False)
    assert drift.turn is None
    assert drift.flips > 0


def test_too_few_impostors_for_any_far_are_refused():
    vectors, names = people(identities=3)
    with pytest.raises(InvalidData, match="48 impostor pairs support no FAR to compare decisions at"):
        drift_of(pictures(names), embedded(vectors), embedded(vectors))


def test_files_that_embedded_different_pictures_cannot_be_compared():
    vectors, names = people()
    first, other = embedded(vectors, failed=range(60)), embedded(vectors, failed=range(60, 120))
    with pytest.raises(InvalidData, match="no picture that both files embedded"):
        drift_of(pictures(names), first, other)


def test_pairs_without_names_are_units_themselves():
    images = pictures(people()[1])
    listed = all_listed(images)
    nobody = PairSet(pictures([None] * 120), listed.pairs, listed.same, listed.folds)
    first, other = embedded(people()[0]), embedded(people(noise=0.8)[0] + 0.2)
    named, unnamed = (drift_of(d, first, other) for d in (listed, nobody))
    assert (named.flips, named.genuine.mean) == pytest.approx((unnamed.flips, unnamed.genuine.mean))
    assert judge(nobody, first, rounds=2).result.unit == "pair"
    assert any("intervals are over pairs" in note for note in judge(nobody, first, rounds=2).result.notes)
