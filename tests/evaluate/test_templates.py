"""Pooling against loops written out plainly, and IJB's lists, sound and broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pocketface.errors import InvalidData
from pocketface.evaluate.ijb import read_ijb
from pocketface.evaluate.templates import TemplateSet, compare_pooling, pool, random_templates

RNG = np.random.default_rng(0)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def sets(count=7, memberships=40, pictures=25, media=3, rng=RNG):
    """Random memberships in no order; pictures are shared between templates."""
    templates = np.concatenate([np.arange(count), rng.integers(0, count, memberships - count)])
    return TemplateSet(
        rng.integers(0, pictures, memberships),
        rng.permutation(templates),
        rng.integers(0, media, memberships),
        tuple(f"t{i}" for i in range(count)),
    )


def plain(vectors, of, weights, failed):
    """The protocol in loops: weigh, average within a medium, sum the media, normalise."""
    pooled = []
    for template in range(len(of)):
        by_media = {}
        for picture, owner, medium in zip(of.pictures, of.templates, of.media, strict=True):
            if owner == template and not failed[picture]:
                by_media.setdefault(medium, []).append(vectors[picture] * weights[picture])
        total = sum((np.mean(features, axis=0) for features in by_media.values()), np.zeros(vectors.shape[1]))
        pooled.append(total / (np.linalg.norm(total) or 1))
    return np.stack(pooled)


@pytest.mark.parametrize("weighted", [False, True])
def test_pooling_is_what_the_loops_give(weighted: bool) -> None:
    vectors, of = unit(RNG.normal(size=(25, 16))), sets()
    failed = RNG.random(25) < 0.2
    weights = RNG.random(25) if weighted else np.ones(25)
    found = pool(vectors, of, failed=failed, weights=weights if weighted else None)
    np.testing.assert_allclose(found.vectors, plain(vectors, of, weights, failed), atol=1e-6)


def test_frames_of_one_video_count_as_one() -> None:
    vectors = np.array([[1.0, 0], [1, 0], [1, 0], [0, 1]])
    video = TemplateSet(np.arange(4), np.zeros(4, int), np.array([5, 5, 5, 9]), ("a",))
    stills = TemplateSet(np.arange(4), np.zeros(4, int), np.arange(4), ("a",))
    np.testing.assert_allclose(pool(vectors, video).vectors[0], np.sqrt([0.5, 0.5]), atol=1e-6)
    np.testing.assert_allclose(pool(vectors, stills).vectors[0], np.sqrt([0.9, 0.1]), atol=1e-6)


def test_equal_weights_are_the_mean_and_a_weight_of_zero_leaves_out() -> None:
    vectors, of = unit(RNG.normal(size=(25, 8))), sets(media=40)
    mean = pool(vectors, of).vectors
    np.testing.assert_allclose(pool(vectors, of, weights=np.full(25, 7.5)).vectors, mean, atol=1e-6)
    weights = np.r_[1.0, np.zeros(1)]
    two = TemplateSet(np.arange(2), np.zeros(2, int), np.arange(2), ("a",))
    np.testing.assert_allclose(pool(vectors[:2], two, weights=weights).vectors[0], vectors[0], atol=1e-6)


def test_a_template_without_an_embedding_fails_and_the_others_stand() -> None:
    of = TemplateSet(np.array([0, 1, 1]), np.array([0, 1, 1]), np.zeros(3, int), ("a", "b"))
    found = pool(np.eye(2), of, failed=np.array([True, False]))
    assert found.failed.tolist() == [True, False]
    assert not found.vectors[0].any()
    none = pool(np.eye(2), of, failed=np.array([True, True]))
    assert none.failed.all()


def test_an_aggregator_gets_the_media_of_each_template() -> None:
    seen = []

    def first(media):
        seen.append(media)
        return media[0] * 3

    of = TemplateSet(np.arange(4), np.array([1, 0, 1, 1]), np.array([0, 0, 2, 2]), ("a", "b"))
    vectors = unit(RNG.normal(size=(4, 5)))
    found = pool(vectors, of, aggregate=first)
    assert [len(media) for media in seen] == [1, 2]
    np.testing.assert_allclose(seen[1][1], vectors[2:].mean(axis=0))
    np.testing.assert_allclose(found.vectors, vectors[[1, 0]], atol=1e-6)


@pytest.mark.parametrize("weights", [-np.ones(2), np.full(2, np.nan), np.ones(3)])
def test_impossible_weights_are_refused(weights: np.ndarray) -> None:
    of = TemplateSet(np.arange(2), np.arange(2), np.arange(2), ("a", "b"))
    with pytest.raises(ValueError, match="weights"):
        pool(np.eye(2), of, weights=weights)


def test_a_template_needs_a_picture() -> None:
    with pytest.raises(InvalidData, match="without a picture"):
        TemplateSet(np.arange(2), np.array([0, 2]), np.arange(2), ("a", "b", "c"))


def noisy_people(people=40, each=12, size=32, seed=1):
    """Embeddings whose length falls with their noise, as those of ArcFace-like losses do; and that length."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), each)
    quality = rng.uniform(0.05, 1, len(who))
    raw = quality[:, None] * unit(rng.normal(size=(people, size)))[who]
    raw += rng.normal(0, 0.22, (len(who), size)) * (1 - quality[:, None])
    return unit(raw).astype(np.float32), [f"p{i}" for i in who], quality


def test_weights_that_tell_the_noise_beat_the_mean_and_every_way_is_listed() -> None:
    vectors, who, quality = noisy_people()
    of, pairs, owners = random_templates(who, 3)
    same = owners[pairs[:, 0]] == owners[pairs[:, 1]]
    rows = compare_pooling(vectors, of, pairs, same, weights={"quality": quality}, aggregate=lambda m: m[0])
    assert [row["pooling"] for row in rows] == ["mean", "quality", "learnt"]
    mean, weighed, first = (row["tar_at_0.001"] for row in rows)
    assert weighed > mean > first
    assert all(row["failed"] == 0 for row in rows)


def test_random_templates_hold_one_person_each_and_share_no_picture() -> None:
    who = ["a"] * 7 + ["b"] * 3 + ["c"]
    of, pairs, owners = random_templates(who, 3, seed=2)
    assert len(of) == 3
    assert sorted(owners) == ["a", "a", "b"]
    assert len(set(of.pictures.tolist())) == 9
    assert all({who[p] for p in of.pictures[of.templates == t]} == {owners[t]} for t in range(3))
    assert pairs.tolist() == [[0, 1], [0, 2], [1, 2]]
    with pytest.raises(InvalidData, match="no identity has 9"):
        random_templates(who, 9)


MEMBERS = "1.jpg 7 100\n2.jpg 7 100\n3.jpg 12 5\n1.jpg 12 6\n\n9.jpg 30 1\n"


def lists(folder: Path, members: str = MEMBERS, pairs: str = "7 12 1\n12 30 0\n") -> tuple[Path, Path]:
    (folder / "tid_mid.txt").write_text(members)
    (folder / "pairs.txt").write_text(pairs)
    return folder / "tid_mid.txt", folder / "pairs.txt"


def test_ijb_lists_are_read(tmp_path: Path) -> None:
    of, names, pairs, same = read_ijb(*lists(tmp_path))
    assert of.names == ("7", "12", "30")
    assert names == ("1.jpg", "2.jpg", "3.jpg", "9.jpg")
    assert of.pictures.tolist() == [0, 1, 2, 0, 3]
    assert of.templates.tolist() == [0, 0, 1, 1, 2]
    assert of.media.tolist() == [100, 100, 5, 6, 1]
    assert (pairs.tolist(), same.tolist()) == ([[0, 1], [1, 2]], [True, False])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"members": "1.jpg 7\n"}, "line 1"),
        ({"members": "1.jpg 7 1\n2.jpg x 1\n"}, "line 2"),
        ({"members": ""}, "picture template medium"),
        ({"pairs": "7 12\n"}, "template template label"),
        ({"pairs": "7 12 2\n"}, "1 or 0"),
        ({"pairs": "7 a 1\n"}, "numbers"),
        ({"pairs": "7 8 1\n7 31 0\n"}, "2 templates have no picture"),
        ({"pairs": ""}, "template template label"),
    ],
)
def test_broken_ijb_lists_are_named(tmp_path: Path, change: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidData, match=says):
        read_ijb(*lists(tmp_path, **change))
    with pytest.raises(InvalidData, match="cannot be read"):
        read_ijb(tmp_path / "nowhere.txt", tmp_path / "pairs.txt")
