"""LFW's lists in the folders that people have, and what is wrong with them in words."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketface.errors import InvalidData
from pocketface.evaluate.data import PairSet, open_pairs

TWO_FOLDS = """2\t2
Person_A\t1\t2
Person_A\t2\t3
Person_A\t1\tPerson_B\t1
Person_A\t2\tPerson_B\t2
Person_B\t1\t3
Person_C\t1\t2
Person_C\t1\tPerson_B\t3
Person_C\t2\tPerson_A\t3
"""


def names_of(pairs: PairSet) -> list[tuple[str, str]]:
    samples = pairs.images.samples
    return [(samples[a].name, samples[b].name) for a, b in pairs.pairs]


def test_pairs_folds_and_people_are_those_of_the_list(people: Path) -> None:
    (people.parent / "pairs.txt").write_text(TWO_FOLDS)
    pairs = open_pairs(people.parent)
    assert names_of(pairs) == [
        ("Person_A_0001", "Person_A_0002"),
        ("Person_A_0002", "Person_A_0003"),
        ("Person_A_0001", "Person_B_0001"),
        ("Person_A_0002", "Person_B_0002"),
        ("Person_B_0001", "Person_B_0003"),
        ("Person_C_0001", "Person_C_0002"),
        ("Person_C_0001", "Person_B_0003"),
        ("Person_C_0002", "Person_A_0003"),
    ]
    assert pairs.same.tolist() == [True, True, False, False] * 2
    assert pairs.folds.tolist() == [0] * 4 + [1] * 4
    assert (pairs.left_out, pairs.images.problems) == (0, ())
    assert {s.name: s.identity for s in pairs.images.samples}["Person_C_0002"] == "Person_C"
    assert len(pairs.images) == len({s.name for s in pairs.images.samples}) == 8  # Person_C_0003 is in no pair


def test_each_picture_is_the_right_one(people: Path) -> None:
    (people.parent / "pairs.txt").write_text(TWO_FOLDS)
    from pocketface.runtime.images import load_image

    for sample in open_pairs(people.parent).images.samples:
        expected = load_image(people / str(sample.identity) / f"{sample.name}.jpg")
        assert np.array_equal(sample.read(), expected)


def flat(people: Path) -> None:
    for file in list(people.rglob("*.jpg")):
        file.rename(people / file.name)


def nested(people: Path) -> None:
    shutil.move(people, people.parent / "x")
    (people.parent / "lfw-deepfunneled").mkdir()
    shutil.move(people.parent / "x", people.parent / "lfw-deepfunneled" / "lfw-deepfunneled")


def as_png(people: Path) -> None:
    for file in list(people.rglob("*.jpg")):
        file.rename(file.with_suffix(".PNG"))


def as_tar(people: Path) -> None:
    shutil.make_archive(str(people), "tar", people.parent, "lfw")
    shutil.rmtree(people)


@pytest.mark.parametrize("layout", [flat, nested, as_png, as_tar])
def test_every_layout_gives_the_same_pairs_and_fingerprint(layout: Callable[[Path], None], people: Path) -> None:
    (people.parent / "pairs.txt").write_text(TWO_FOLDS)
    expected = open_pairs(people.parent)
    layout(people)
    pairs = open_pairs(people.parent / "pairs.txt")
    assert names_of(pairs) == names_of(expected)
    assert pairs.fingerprint == expected.fingerprint


def test_a_development_list_has_no_folds_and_gets_some(people: Path) -> None:
    lines = TWO_FOLDS.splitlines()
    genuine = [line for line in lines[1:] if len(line.split()) == 3]
    impostor = [line for line in lines[1:] if len(line.split()) == 4]
    (people.parent / "pairsDevTest.txt").write_text("\n".join(["4", *genuine, *impostor]))
    pairs = open_pairs(people.parent / "pairsDevTest.txt", images=people)
    assert pairs.same.tolist() == [True] * 4 + [False] * 4
    assert pairs.folds.tolist() == [0, 1, 2, 3] * 2


def test_missing_pictures_are_listed_and_counted_and_strict_stops(people: Path) -> None:
    (people.parent / "pairs.txt").write_text(TWO_FOLDS)
    (people / "Person_A" / "Person_A_0002.jpg").unlink()
    shutil.rmtree(people / "Person_C")
    pairs = open_pairs(people.parent)
    assert len(pairs) == 2
    assert pairs.left_out == 6
    missing, strangers = pairs.images.problems
    assert missing == (
        "3 pictures are missing, so 6 of 8 pairs are left out: Person_A_0002, Person_C_0001, Person_C_0002"
    )
    assert strangers == "1 people have no picture at all: Person_C"
    with pytest.raises(InvalidData, match="3 pictures are missing"):
        open_pairs(people.parent, strict=True)


def test_folds_that_lost_all_their_pairs_leave_no_gap(people: Path) -> None:
    (people.parent / "pairs.txt").write_text(
        "3\t1\n" + "".join(f"Person_{p}\t1\t2\nPerson_{p}\t1\tPerson_{q}\t3\n" for p, q in ("AB", "XY", "CA"))
    )
    assert open_pairs(people.parent).folds.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "first line"),
        ("ten 300\n", "first line"),
        ("1 2 3\n", "first line"),
        ("0 300\n", "first line"),
        ("1\t1\nPerson_A\t1\t2\n", "1 pairs, its first line promises 2"),
        ("1\t1\nPerson_A\t1\tx\nPerson_A\t1\tPerson_B\t1\n", "line 2: expected `Name i j`"),
        ("1\t1\nPerson_A\t1\t2\n\nPerson_A\t1\t2\n", "line 4: expected `Name i OtherName j`"),
        ("1\t1\nPerson_A\t1\t2\nPerson_A\t1\tPerson_A\t2\n", "Person_A twice in a pair of two people"),
        ("1\t1\nNobody\t1\t2\nNobody\t1\tNoone\t1\n", "none of its 2 pairs"),
    ],
)
def test_a_faulty_list_is_refused_with_its_line(text: str, reason: str, people: Path) -> None:
    (people.parent / "pairs.txt").write_text(text)
    with pytest.raises(InvalidData, match=reason):
        open_pairs(people.parent)


def test_two_versions_below_one_folder_are_refused(people: Path) -> None:
    (people.parent / "pairs.txt").write_text(TWO_FOLDS)
    shutil.copytree(people, people.parent / "lfw_funneled")
    with pytest.raises(InvalidData, match="two pictures for one name"):
        open_pairs(people.parent)
    assert len(open_pairs(people.parent, images=people.parent / "lfw_funneled")) == 8
