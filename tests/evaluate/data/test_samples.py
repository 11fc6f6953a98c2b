"""Fingerprints notice what they should, and folds are the field's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pocketface.evaluate.data import ImageSet, PairSet, Sample, contiguous_folds


def black() -> np.ndarray:
    return np.zeros((1, 1, 3), np.uint8)


IMAGES = ImageSet("set", (Sample("a", black, True, "x", {"age": "3"}), Sample("b", black, True, "y")), "ab" * 32)
PAIRS = PairSet(IMAGES, np.array([[0, 1], [1, 1]]), np.array([False, True]), np.array([0, 0]))


def test_folds_of_the_official_order_are_the_official_folds() -> None:
    same = np.tile(np.repeat([True, False], 300), 10)
    assert contiguous_folds(same).tolist() == np.repeat(np.arange(10), 600).tolist()


def test_a_list_with_all_genuine_pairs_first_still_has_both_kinds_in_every_fold() -> None:
    same = np.repeat([True, False], [37, 112])
    folds = contiguous_folds(same)
    for kind in (True, False):
        sizes = np.bincount(folds[same == kind], minlength=10)
        assert sizes.max() - sizes.min() <= 1
        assert (np.diff(folds[same == kind]) >= 0).all()


@pytest.mark.parametrize(("genuine", "impostor", "count"), [(3, 50, 3), (0, 20, 10), (1, 1, 1), (0, 0, 1)])
def test_few_pairs_make_few_folds(genuine: int, impostor: int, count: int) -> None:
    folds = contiguous_folds(np.repeat([True, False], [genuine, impostor]))
    assert len(np.unique(folds)) == (count if genuine + impostor else 0)


def test_labels_change_their_fingerprint_but_not_that_of_the_pictures() -> None:
    other = replace(IMAGES, samples=(IMAGES.samples[0], replace(IMAGES.samples[1], identity="x")))
    older = replace(IMAGES, samples=(replace(IMAGES.samples[0], columns={"age": "4"}), IMAGES.samples[1]))
    assert len({IMAGES.labels_fingerprint, other.labels_fingerprint, older.labels_fingerprint}) == 3
    assert replace(IMAGES, name="elsewhere").labels_fingerprint == IMAGES.labels_fingerprint


@pytest.mark.parametrize(
    "changed",
    [
        replace(PAIRS, pairs=PAIRS.pairs[:, ::-1]),
        replace(PAIRS, same=~PAIRS.same),
        replace(PAIRS, folds=PAIRS.folds + 1),
        replace(PAIRS, images=replace(IMAGES, fingerprint="cd" * 32)),
    ],
)
def test_every_part_of_a_pair_set_counts(changed: PairSet) -> None:
    assert changed.fingerprint != PAIRS.fingerprint
    assert replace(PAIRS, pairs=PAIRS.pairs.copy()).fingerprint == PAIRS.fingerprint


def test_a_derived_set_has_a_fingerprint_of_its_own() -> None:
    half = IMAGES.derive("the first", IMAGES.samples[:1])
    assert (half.name, len(half)) == ("set, the first", 1)
    prints = {IMAGES.fingerprint, half.fingerprint, IMAGES.derive("blur 3", IMAGES.samples).fingerprint}
    assert len(prints) == 3
    assert IMAGES.derive("blur 3", IMAGES.samples).fingerprint in prints
