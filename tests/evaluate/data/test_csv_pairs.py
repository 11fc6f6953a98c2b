"""Pairs in CSV files, with folds and columns, and names that lead nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketface.errors import InvalidData
from pocketface.evaluate.data import open_pairs

A1, A2, B1 = "Person_A/Person_A_0001.jpg", "Person_A/Person_A_0002.jpg", "Person_B/Person_B_0001.jpg"


def write(people: Path, text: str) -> Path:
    (people / "pairs.csv").write_text(text)
    return people / "pairs.csv"


def test_columns_folds_and_verdicts_are_read(people: Path) -> None:
    rows = f"﻿same , a, fold,b,light\n1,{A1},7,{A2},dim\nfalse,{A1},3,.\\Person_B\\Person_B_0001.jpg,bright\n"
    pairs = open_pairs(write(people, rows))
    assert pairs.same.tolist() == [True, False]
    assert pairs.folds.tolist() == [1, 0]
    assert pairs.columns == {"light": ("dim", "bright")}
    assert len(pairs.images) == 3


def test_columns_and_identities_come_to_pictures_by_their_names(people: Path) -> None:
    (people / "ages.csv").write_text(f"name,age\n{A1},30\n{B1},41\n")
    (people / "identities.json").write_text(f'{{"A": ["{A1}", "{A2}"], "B": ["{B1}"]}}')
    pairs = open_pairs(write(people, f"a,b,same\n{A1},{A2},1\n{A1},{B1},0\n"), columns=people / "ages.csv")
    assert [(s.identity, dict(s.columns)) for s in pairs.images.samples] == [
        ("A", {"age": "30"}),
        ("A", {}),
        ("B", {"age": "41"}),
    ]
    assert pairs.images.problems == (f"1 pictures have no columns: {A2}",)


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "x/../../secret.jpg", "a" * 5000, "\0", ""])
def test_a_name_that_leads_out_of_the_folder_is_missing(name: str, people: Path) -> None:
    (people.parent / "secret.jpg").write_bytes((people / A1).read_bytes())
    (people / "x").mkdir()
    pairs = open_pairs(write(people, f"a,b,same\n{A1},{A2},1\n{A1},{name},0\n"))
    assert (len(pairs), pairs.left_out) == (1, 1)
    assert pairs.images.problems[0].startswith("1 pictures are missing")


def test_contradictions_and_pictures_against_themselves_are_named(people: Path) -> None:
    pairs = open_pairs(write(people, f"a,b,same\n{A1},{A2},1\n{A2},{A1},0\n{B1},{B1},1\n"))
    assert pairs.images.problems == (
        f"1 pairs are listed as the same person and as two: {A1} and {A2}",
        f"1 pictures are compared with themselves: {B1}",
    )
    with pytest.raises(InvalidData, match="as the same person and as two"):
        open_pairs(people / "pairs.csv", strict=True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no column a, b, same"),
        ("a,b\n", "no column same"),
        ("a,b,same\n", "no pair in it"),
        (f"a,b,same\n{A1},{A2},maybe\n", "line 2: expected 1 or 0 for same, got 'maybe'"),
        (f"a,b,same\n{A1},{A2}\n", "line 2: 2 values for 3 columns"),
        (f"a,b,same,fold\n{A1},{A2},1,-1\n", "line 2: expected a whole number for fold"),
        (f"a,b,same,fold\n{A1},{A2},1,1\n{A1},{B1},0,\n", "1 of 2 pairs have a fold"),
        ("a,b,same\n\x1b[2J.jpg,x.jpg,1\n", r"\\x1b\[2J\.jpg"),
    ],
)
def test_a_faulty_file_is_refused_with_its_line(text: str, reason: str, people: Path) -> None:
    with pytest.raises(InvalidData, match=reason):
        open_pairs(write(people, text))


def test_what_is_no_text_is_said(people: Path) -> None:
    (people / "pairs.csv").write_bytes(b"a,b,same\n\xff\xfe")
    with pytest.raises(InvalidData, match="expected text in UTF-8"):
        open_pairs(people / "pairs.csv")
