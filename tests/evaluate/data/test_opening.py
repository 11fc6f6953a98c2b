"""What is opened from a folder: order, fingerprint, identities, columns, and faults in words."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pocketface.errors import InvalidData, InvalidImage
from pocketface.evaluate.data import ImageSet, PairSet, open_data, open_images, open_pairs

Png = Callable[[int], bytes]


def test_a_folder_per_person(people: Path) -> None:
    images = open_images(people)
    assert [s.name for s in images.samples][:4] == [
        "Person_A/Person_A_0001.jpg",
        "Person_A/Person_A_0002.jpg",
        "Person_A/Person_A_0003.jpg",
        "Person_B/Person_B_0001.jpg",
    ]
    assert [s.identity for s in images.samples] == [f"Person_{c}" for c in "AAABBBCCC"]
    assert images.problems == ()


def test_a_flat_folder_with_identities(people: Path, tmp_path: Path) -> None:
    folder = tmp_path / "flat"
    folder.mkdir()
    for i, file in enumerate(sorted(people.rglob("*.jpg"))):
        shutil.copy(file, folder / f"{i}.jpg")
    assert {s.identity for s in open_images(folder).samples} == {None}
    (folder / "identities.json").write_text('{"x": ["0.jpg", "1.jpg"], "y": ["2.jpg", "3.jpg"]}')
    images = open_images(folder)
    assert [s.identity for s in images.samples] == ["x", "x", "y", "y", None, None, None, None, None]
    assert images.problems == ("5 pictures have no identity: 4.jpg, 5.jpg, 6.jpg, 7.jpg, 8.jpg",)


def test_the_fingerprint_changes_with_a_picture_and_with_nothing_else(people: Path, tmp_path: Path, png: Png) -> None:
    first = open_images(people)
    copy = shutil.copytree(people, tmp_path / "elsewhere")
    (copy / "notes.md").write_text("not a picture")
    (copy / ".hidden.jpg").write_bytes(png(0))
    (copy / ".Trash").mkdir()
    (copy / ".Trash" / "x.jpg").write_bytes(png(0))
    assert open_images(copy).fingerprint == first.fingerprint
    assert open_images(copy, aligned=True).fingerprint != first.fingerprint
    file = copy / "Person_B" / "Person_B_0002.jpg"
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)  # of the same size
    changed = open_images(copy).fingerprint
    file.rename(file.with_name("Person_B_0009.jpg"))
    assert len({first.fingerprint, changed, open_images(copy).fingerprint}) == 3


def test_a_link_to_nowhere_is_named_and_a_folder_is_no_picture(people: Path) -> None:
    (people / "Person_A" / "gone.jpg").symlink_to("nowhere.jpg")
    (people / "Person_D.jpg").mkdir()
    (people / "Person_A" / "back\\slash.jpg").write_bytes((people / "Person_A" / "Person_A_0001.jpg").read_bytes()[:-1])
    images = open_images(people)
    assert images.problems == ("1 names lead to no file: Person_A/gone.jpg",)
    assert "Person_A/back\\slash.jpg" in {sample.name for sample in images.samples}


def test_links_to_folders_are_followed_but_not_for_ever(people: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "Person_B").symlink_to(people / "Person_B", target_is_directory=True)
    (tmp_path / "linked" / "loop").symlink_to(tmp_path / "linked", target_is_directory=True)
    assert [s.identity for s in open_images(tmp_path / "linked").samples] == ["Person_B"] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text_are_escaped_and_read(people: Path) -> None:
    strange = os.fsencode(people) + b"/Per\xffson/a\x1b.jpg"
    Path(os.fsdecode(strange)).parent.mkdir()
    Path(os.fsdecode(strange)).write_bytes((people / "Person_A" / "Person_A_0001.jpg").read_bytes()[:-2])
    images = open_images(people)
    sample = next(sample for sample in images.samples if sample.identity not in {f"Person_{c}" for c in "ABC"})
    assert (sample.name, sample.identity) == ("Per\\udcffson/a\\x1b.jpg", "Per\\udcffson")
    assert len(images.labels_fingerprint) == 64


def test_one_person_in_two_spellings_and_two_with_the_same_pictures(people: Path) -> None:
    shutil.copytree(people / "Person_A", people / "person a")
    (people / "Person_C" / "again.jpg").write_bytes((people / "Person_C" / "Person_C_0001.jpg").read_bytes())
    images = open_images(people)
    assert images.problems == (
        "1 identities are there in several spellings: Person_A = person a",
        "3 pictures are there under several identities: Person_A and person a (3)",
        "1 pictures repeat another of the same identity byte for byte",
    )
    with pytest.raises(InvalidData, match="Person_A = person a"):
        open_images(people, strict=True)


def test_an_unreadable_picture_stays_and_fails(people: Path) -> None:
    (people / "Person_A" / "Person_A_0001.jpg").write_bytes(b"no picture")
    sample = open_images(people).samples[0]
    with pytest.raises(InvalidImage, match=r"^Person_A/Person_A_0001\.jpg: not a JPEG"):
        sample.read()


@pytest.mark.parametrize(
    ("scheme", "name", "columns"),
    [
        ("utkface", "26_1_2_20170104023102422.jpg", {"age": "26", "gender": "female", "group": "Asian"}),
        ("utkface", "100_0_0_20170112213500903.jpg", {"age": "100", "gender": "male", "group": "White"}),
        ("utkface", "39_1_20170116174525125.jpg", None),
        ("allage", "00023A02.jpg", {"age": "2"}),
        ("allage", "00023B02.jpg", None),
    ],
)
def test_names_that_say_something(
    scheme: str, name: str, columns: dict[str, str] | None, tmp_path: Path, png: Png
) -> None:
    (tmp_path / name).write_bytes(png(1))
    images = open_images(tmp_path, scheme=scheme)
    assert images.samples[0].columns == (columns or {})
    assert images.problems == (() if columns else (f"1 names do not follow the scheme {scheme}: {name}",))


def test_columns_are_joined_by_name_and_override_the_scheme(tmp_path: Path, png: Png) -> None:
    (tmp_path / "1A20.png").write_bytes(png(1))
    (tmp_path / "2A30.png").write_bytes(png(2))
    (tmp_path / "more.csv").write_text("pose,name,age\nleft,1A20.png,21\nright,9.png,1\n")
    images = open_images(tmp_path, scheme="allage", columns=tmp_path / "more.csv")
    assert [s.columns for s in images.samples] == [{"pose": "left", "age": "21"}, {"age": "30"}]
    assert images.problems == (
        "1 pictures have labels but are not there: 9.png",
        "1 pictures have no columns: 2A30.png",
    )


@pytest.mark.parametrize(
    ("identities", "reason"),
    [
        ("[1, 2]", "expected JSON as"),
        ('{"1.png": 1.5}', "expected JSON as"),
        ("{", "expected JSON as"),
        ("[" * 100_000, "expected JSON as"),
        ('{"a": ["1.png"], "b": ["1.png"]}', "1.png belongs to both a and b"),
    ],
)
def test_faulty_identities_are_refused(identities: str, reason: str, tmp_path: Path, png: Png) -> None:
    (tmp_path / "1.png").write_bytes(png(1))
    (tmp_path / "who.json").write_text(identities)
    with pytest.raises(InvalidData, match=reason):
        open_images(tmp_path, identities=tmp_path / "who.json")


def test_nothing_to_open_is_said(tmp_path: Path, people: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, reason in ((tmp_path / "none", "no such file"), (tmp_path / "empty", "no picture in it")):
        with pytest.raises(InvalidData, match=reason):
            open_images(path)
    with pytest.raises(InvalidData, match="no list of pairs"):
        open_pairs(people)
    with pytest.raises(InvalidData, match="no such file"):
        open_pairs(tmp_path / "none.bin")
    with pytest.raises(InvalidData, match="unknown naming scheme 'x'"):
        open_images(people, scheme="x")
    with pytest.raises(InvalidData, match="cannot be read"):
        open_images(people, columns=tmp_path / "none.csv")


def test_what_is_there_decides_what_is_opened(people: Path) -> None:
    assert isinstance(open_data(people), ImageSet)
    (people.parent / "pairs.txt").write_text("1\t1\nPerson_A\t1\t2\nPerson_A\t1\tPerson_B\t3\n")
    assert isinstance(open_data(people.parent), PairSet)
    assert len(open_images(people.parent)) == 3
