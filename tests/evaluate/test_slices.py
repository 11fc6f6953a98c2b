"""Slices against sums by hand, loops over pairs, and planted unfairness."""

from __future__ import annotations

import numpy as np
import pytest

from pocketface.errors import InvalidData
from pocketface.evaluate.data import ImageSet, PairSet, Sample
from pocketface.evaluate.embeddings import Embedded
from pocketface.evaluate.slice_gaps import changes, fairness_discrepancy, gaps, ranks, slice_turns
from pocketface.evaluate.slice_rates import slice_rates
from pocketface.evaluate.slice_run import measure_slices
from pocketface.evaluate.slice_table import slice_sections
from pocketface.evaluate.slices import UNKNOWN, cut


def unread():
    raise AssertionError("no picture is read")


def image_set(columns, identities=None):
    identities = identities or [None] * len(columns)
    samples = [
        Sample(f"{i}.png", unread, True, who, c) for i, (c, who) in enumerate(zip(columns, identities, strict=True))
    ]
    return ImageSet("made", tuple(samples), "0" * 64)


def embedded(vectors, failed=None):
    vectors = np.asarray(vectors, np.float32)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    failed = np.zeros(len(vectors), bool) if failed is None else np.asarray(failed)
    vectors[failed] = 0
    return Embedded(vectors, failed, np.ones(len(vectors), np.float32), (), 0.0, 0)


@pytest.fixture(scope="module")
def crowd():
    """Two groups of 20 people with 3 pictures; group b is noisier and its people are more alike."""
    rng = np.random.default_rng(0)
    common, columns, identities, vectors = rng.normal(size=16), [], [], []
    for group, noise, alike in (("a", 0.5, 0.0), ("b", 0.9, 0.8)):
        for who in range(20):
            centre = rng.normal(size=16) + alike * common
            for _ in range(3):
                columns.append({"group": group, "age": str(rng.integers(10, 70))})
                identities.append(f"{group}{who}")
                vectors.append(centre + noise * rng.normal(size=16))
    return image_set(columns, identities), embedded(vectors, np.arange(120) == 7)


def test_words_few_numbers_many_numbers_and_edges():
    images = image_set([{"g": "m", "n": "2", "age": str(i)} for i in range(11)] + [{"g": "f", "n": "10"}])
    words, few = cut(images, "g"), cut(images, "n")
    assert (words.names, words.of.tolist()) == (("f", "m"), [1] * 11 + [0])
    assert few.names == ("2", "10")  # as numbers, not as text
    many = cut(images, "age", bins=2)
    assert many.names == ("below 5", "5 and more", UNKNOWN)
    assert many.of.tolist() == [0] * 5 + [1] * 6 + [2]
    given = cut(images, "age", edges=[3, 8, 99])
    assert given.names == ("below 3", "3 to below 8", "8 to below 99", "99 and more", UNKNOWN)
    assert given.of.tolist() == [0] * 3 + [1] * 5 + [2] * 3 + [4]


@pytest.mark.parametrize(
    ("column", "edges", "said"),
    [
        ("pose", None, "no picture has a column 'pose'; there are: g"),
        ("g", [1.0], "edges are for numbers, and column 'g' has m"),
        ("g", [2.0, 1.0], "expected edges that rise, got 2, 1"),
    ],
)
def test_what_cannot_be_cut_is_named(column, edges, said):
    with pytest.raises(InvalidData, match=said):
        cut(image_set([{"g": "m"}]), column, edges=edges)


def by_hand(images, found, slices, threshold):
    """Counts of genuine, rejected, impostors, accepted by a loop over pairs."""
    counts = np.zeros((len(slices.names), 4), int)
    for i, a in enumerate(images.samples):
        for j in range(i):
            if slices.of[i] == slices.of[j]:
                same = a.identity == images.samples[j].identity
                usable = not (found.failed[i] or found.failed[j])
                passed = usable and found.vectors[i] @ found.vectors[j] >= threshold
                counts[slices.of[i]] += [same, same and not passed, not same, not same and passed]
    return counts.tolist()


def test_rates_are_those_of_a_loop_over_pairs(crowd):
    images, found = crowd
    slices = cut(images, "group")
    rates = slice_rates(images, found, slices, threshold=0.5, far=0.05, rounds=50)
    counts = [[s.genuine, s.rejected, s.impostors, s.accepted] for s in rates.slices]
    assert counts == by_hand(images, found, slices, 0.5)
    assert rates.across == (0, 60 * 60)
    for s in rates.slices:
        assert s.fnmr == s.rejected / s.genuine
        assert s.fmr == s.accepted / s.impostors
        assert s.fmr_interval.low <= s.fmr <= s.fmr_interval.high
        assert s.fnmr_interval.low <= s.fnmr <= s.fnmr_interval.high


def test_a_list_of_all_pairs_gives_what_all_pairs_give_also_in_the_bootstrap(crowd):
    images, found = crowd
    owners = np.array([sample.identity for sample in images.samples])
    pairs = np.argwhere(np.triu(np.ones((120, 120), bool), 1))
    same = owners[pairs[:, 0]] == owners[pairs[:, 1]]
    # units are numbered by first use in a list, and by name over all pictures: here the same but for the order
    listed = PairSet(images, pairs, same, np.zeros(len(pairs), np.int64))
    options = {"threshold": 0.5, "far": 0.05, "rounds": 400}
    a = slice_rates(images, found, cut(images, "group"), **options)
    b = slice_rates(listed, found, cut(listed, "group"), **options)
    for x, y in zip(a.slices, b.slices, strict=True):
        assert (x.genuine, x.rejected, x.impostors, x.accepted) == (y.genuine, y.rejected, y.impostors, y.accepted)
        np.testing.assert_allclose(x.fmr_interval, y.fmr_interval, rtol=0.2)


def test_pairs_may_carry_the_column_themselves(crowd):
    images, found = crowd
    listed = PairSet(
        images,
        np.array([[0, 1], [0, 60], [3, 4], [3, 63]]),
        np.array([True, False, True, False]),
        np.zeros(4, np.int64),
        columns={"kind": ("x", "x", "y", "y")},
    )
    rates = slice_rates(listed, found, cut(listed, "kind"), threshold=-1.0, far=0.01, rounds=10)
    assert [(s.name, s.pictures, s.genuine, s.impostors, s.accepted) for s in rates.slices] == [
        ("x", 0, 1, 1, 1),
        ("y", 0, 1, 1, 1),
    ]


def test_gap_discrepancy_and_a_best_slice_without_error(crowd):
    images, found = crowd
    rates = slice_rates(images, found, cut(images, "group"), threshold=0.5, far=0.05, rounds=200)
    a, b = rates.slices
    gap = next(g for g in gaps(rates) if g.rate == "fmr")
    assert (gap.worst, gap.best) == ("b", "a")
    if a.fmr:
        assert gap.ratio == pytest.approx(b.fmr / a.fmr)
        assert gap.ratio_interval.low <= gap.ratio <= gap.ratio_interval.high
    assert fairness_discrepancy(rates) == pytest.approx(1 - (b.fmr - a.fmr) / 2 - abs(b.fnmr - a.fnmr) / 2)
    strict = slice_rates(images, found, cut(images, "group"), threshold=0.75, far=0.05, rounds=20)
    assert strict.slices[0].accepted == 0 < strict.slices[1].accepted
    gap = gaps(strict)[0]
    assert gap.least
    assert gap.ratio_interval is None
    assert gap.ratio == pytest.approx(strict.slices[1].fmr / (3 / strict.slices[0].impostors))


def test_an_empty_slice_and_one_with_few_pairs_are_named(crowd):
    images, found = crowd
    slices = cut(images, "age", edges=[12, 69, 200])
    measured = measure_slices(images, [found], slices, far=0.01, rounds=20)
    table, apart = slice_sections(["float.onnx"], slices, measured)
    assert [row["slice"] for row in table.rows] == list(slices.names)
    assert (table.rows[3]["pictures"], table.rows[3]["fmr"], table.rows[3]["fnmr"]) == (0, None, None)
    said = " ".join(table.notes)
    assert "200 and more: no impostor pairs, so no FMR" in said
    assert "below 12: FAR 1e-2 cannot be measured on" in said
    assert "pairs have pictures in two slices" in said
    assert apart.rows[-1]["rank_disparity"] is not None


def test_the_change_from_float_to_int8_is_seen_on_the_slice_that_it_hurts(crowd):
    images, found = crowd
    noise = np.random.default_rng(1).normal(size=found.vectors.shape) * 0.4
    noise[:60] = 0  # group a is left as it was
    other = embedded(np.where(found.failed[:, None], 1, found.vectors + noise), found.failed)
    slices = cut(images, "group")
    first, second = (slice_rates(images, e, slices, threshold=0.5, far=0.05, rounds=100) for e in (found, other))
    a, b = changes(first, second)
    assert (a.fnmr, a.fmr, tuple(a.fnmr_interval)) == (0, 0, (0, 0))
    assert b.fnmr == second.slices[1].fnmr - first.slices[1].fnmr > 0.1
    assert b.fnmr_interval.low > 0
    turned = slice_turns(images, slices, found, other, rounds=50)
    assert turned[0].mean == pytest.approx(1, abs=1e-6)
    assert turned[0].pictures == 59
    assert turned[1].mean == pytest.approx(float((found.vectors * other.vectors)[60:].sum(axis=1).mean()), abs=1e-6)
    assert turned[1].mean_interval.low <= turned[1].mean <= turned[1].mean_interval.high


def test_ranks_are_those_of_a_loop(crowd):
    images, found = crowd
    identities = [sample.identity for sample in images.samples[:-2]]  # one person is left with one picture
    some = Embedded(found.vectors[:-2], found.failed[:-2], found.norms[:-2], (), 0.0, 0)
    expected, scores = [], some.vectors @ some.vectors.T
    for i, who in enumerate(identities):
        mates = [scores[i, j] for j, w in enumerate(identities) if w == who and j != i and not some.failed[j]]
        others = [scores[i, j] for j, w in enumerate(identities) if w != who]
        alone = identities.count(who) == 1
        rank = np.nan if alone else len(others) if some.failed[i] else sum(s > max(mates) for s in others)
        expected.append(rank)
    np.testing.assert_array_equal(ranks(some, identities), expected)


def test_without_identities_only_drift_is_sliced():
    images = image_set([{"age": str(20 + 30 * (i % 2))} for i in range(40)])
    rng = np.random.default_rng(2)
    base = rng.normal(size=(40, 8))
    first, other = embedded(base), embedded(base + 0.3 * (np.arange(40) % 2)[:, None] * rng.normal(size=(40, 8)))
    slices = cut(images, "age")
    with pytest.raises(InvalidData, match="only drift between files can be sliced"):
        measure_slices(images, [first], slices, far=0.01)
    found = measure_slices(images, [first, other], slices, far=0.01, rounds=50)
    (section,) = slice_sections(["float.onnx", "int8.onnx"], slices, found)
    assert [row["slice"] for row in section.rows] == ["20", "50"]
    assert section.rows[0]["cosine"] == pytest.approx(1, abs=1e-6)
    assert section.rows[1]["cosine"] < 0.99


def test_too_few_pairs_for_a_common_threshold(crowd):
    images, found = crowd
    with pytest.raises(InvalidData, match="no common threshold: FAR 1e-4 cannot be measured"):
        measure_slices(images, [found], cut(images, "group"), far=1e-4)
