"""InsightFace's records, written here byte by byte, sound and damaged."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pocketface.errors import InvalidData, InvalidImage
from pocketface.train.crops import open_crops, pack_crops
from pocketface.train.rec import holds_records, open_rec

MAGIC = bytes.fromhex("0a23d7ce")


def picture(seed: int, side: int = 8, format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(stream, format)
    return stream.getvalue()


def data(labels: list[float] | float, content: bytes, number: int = 0) -> bytes:
    """What a record holds: one label in the header, or several behind it."""
    if isinstance(labels, list):
        header = struct.pack("<IfQQ", len(labels), 0.0, number, 0)
        return header + struct.pack(f"<{len(labels)}f", *labels) + content
    return struct.pack("<IfQQ", 0, labels, number, 0) + content


def frame(content: bytes) -> bytes:
    """As dmlc writes it: cut at every magic number that lies at a multiple of 4."""
    cuts = [i for i in range(0, len(content) - 3, 4) if content[i : i + 4] == MAGIC]
    parts, start = [], 0
    for cut in [*cuts, len(content)]:
        parts.append(content[start:cut])
        start = cut + 4
    kinds = [0] if len(parts) == 1 else [1, *[2] * (len(parts) - 2), 3]
    framed = b""
    for kind, part in zip(kinds, parts, strict=True):
        framed += MAGIC + struct.pack("<I", kind << 29 | len(part)) + part + bytes(-len(part) % 4)
    return framed


def write(folder: Path, records: dict[int, bytes]) -> Path:
    """``train.rec`` and ``train.idx`` of framed records."""
    lines, content = "", b""
    for key, record in records.items():
        lines += f"{key}\t{len(content)}\n"
        content += record
    (folder / "train.idx").write_text(lines)
    (folder / "train.rec").write_bytes(content)
    return folder / "train.rec"


def records(people: tuple[int, ...] = (2, 3, 1)) -> dict[int, bytes]:
    """A set as InsightFace writes it: a header, pictures from key 1 on, then a record for each person."""
    made, ranges = {}, []
    for who, count in enumerate(people):
        ranges.append([float(len(made) + 1), float(len(made) + 1 + count)])
        for _ in range(count):
            made[len(made) + 1] = frame(data(float(who), picture(len(made) + 1), len(made) + 1))
    last = len(made) + 1
    head = {0: frame(data([float(last), float(last + len(people))], b""))}
    return {**head, **made, **{last + i: frame(data(r, b"")) for i, r in enumerate(ranges)}}


def test_a_set_is_read_with_its_people(tmp_path: Path) -> None:
    images = open_rec(write(tmp_path, records()))
    assert images.problems == ()
    assert [sample.identity for sample in images.samples] == ["0", "0", "1", "1", "1", "2"]
    assert [sample.name for sample in images.samples] == [f"{i:09d}" for i in range(1, 7)]
    assert all(sample.aligned for sample in images.samples)
    for i, sample in enumerate(images.samples, 1):
        assert np.array_equal(sample.read(), np.asarray(Image.open(io.BytesIO(picture(i)))))
    assert open_rec(tmp_path).fingerprint == images.fingerprint
    assert holds_records(tmp_path)
    assert holds_records(tmp_path / "train.rec")
    assert not holds_records(tmp_path / "train.idx")


def test_it_packs_into_crops_as_a_folder_does(tmp_path: Path) -> None:
    store = pack_crops(open_rec(write(tmp_path, records())), tmp_path / "crops")
    assert store.pixels.shape == (6, 8, 8, 3)
    assert store.labels.tolist() == [0, 0, 1, 1, 1, 2]
    assert np.array_equal(store.pixels[5], np.asarray(Image.open(io.BytesIO(picture(6)))))
    assert open_crops(tmp_path / "crops").identities == ("0", "1", "2")


def test_sets_without_a_header_and_with_several_labels_are_read(tmp_path: Path) -> None:
    plain = {5: frame(data(3.0, picture(1))), 9: frame(data([4.0, 0.5, 0.25], picture(2)))}
    images = open_rec(write(tmp_path, plain))
    assert [(s.name, s.identity) for s in images.samples] == [("000000005", "3"), ("000000009", "4")]
    assert images.problems == ()
    assert np.array_equal(images.samples[1].read(), np.asarray(Image.open(io.BytesIO(picture(2)))))


@pytest.mark.parametrize("places", [[0], [12], [0, 4, 40], [3]])
def test_a_picture_that_contains_the_magic_number_is_put_together(places: list[int], tmp_path: Path) -> None:
    content = bytearray(picture(0, 24, "BMP"))
    for place in places:
        content[56 + place : 60 + place] = MAGIC  # pixels, and 24 + 56 is a multiple of 4
    expected = np.asarray(Image.open(io.BytesIO(bytes(content))).convert("RGB"))
    framed = frame(data(0.0, bytes(content)))
    assert framed[7] >> 5 == (places != [3])  # cut, unless it lies between the multiples of 4
    images = open_rec(write(tmp_path, {1: framed, 2: frame(data(1.0, picture(1)))}))
    assert images.problems == ()
    assert np.array_equal(images.samples[0].read(), expected)


def spoiled(change: Callable[[bytes], bytes]) -> dict[int, bytes]:
    """A set whose picture 3 is damaged."""
    made = records()
    made[3] = change(made[3])
    return made


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: b"\0" + r[1:], "no record begins"),
        (lambda r: r[:4] + struct.pack("<I", 2 << 29 | 30) + r[8:], "no record begins"),  # begins with a middle
        (lambda r: r[:4] + struct.pack("<I", (1 << 29) - 1) + r[8:], "it would end at byte"),
        (lambda r: r[:4] + struct.pack("<I", 1 << 29 | 100) + r[8:], "no record begins"),  # a first without a last
        (lambda r: frame(b"short"), "too short for its header"),
        (lambda r: r[:8] + struct.pack("<I", 0xFFFFFFFF) + r[12:], "cannot hold its 4294967295 labels"),
        (lambda r: r[:8] + struct.pack("<I", 60) + r[12:], "its label is"),
        (lambda r: r[:12] + struct.pack("<f", float("nan")) + r[16:], "its label is nan"),
        (lambda r: r[:12] + struct.pack("<f", float("inf")) + r[16:], "its label is inf"),
        (lambda r: r[:12] + struct.pack("<f", -1) + r[16:], "its label is -1"),
        (lambda r: r[:12] + struct.pack("<f", 0.5) + r[16:], "its label is 0.5"),
        (lambda r: frame(data(1.0, b"")), "it has no picture"),
        (lambda r: frame(data([1.0], b"")), "it has no picture"),
    ],
)
def test_a_damaged_record_is_named_and_the_others_are_read(
    change: Callable[[bytes], bytes], reason: str, tmp_path: Path
) -> None:
    file = write(tmp_path, spoiled(change))
    images = open_rec(file)
    assert [sample.name[-1] for sample in images.samples] == list("12456")
    assert any("1 records are damaged" in p and "3 (" in p and reason in p for p in images.problems)
    assert "record 0 announces 6 pictures, 5 are sound" in images.problems
    with pytest.raises(InvalidData, match="damaged"):
        open_rec(file, strict=True)


def test_a_picture_that_does_not_decode_is_left_out_when_packed(tmp_path: Path) -> None:
    made = records()
    made[3] = frame(data(1.0, b"no picture at all"))
    store = pack_crops(open_rec(write(tmp_path, made)), tmp_path / "crops")
    assert len(store) == 5
    assert any("000000003" in problem for problem in store.problems)


def test_a_file_cut_anywhere_loses_only_what_is_missing(tmp_path: Path) -> None:
    file = write(tmp_path, records())
    whole = file.read_bytes()
    for length in range(400, len(whole), 97):
        file.write_bytes(whole[:length])
        images = open_rec(file)
        assert 1 <= len(images) <= 6
        assert any("records are damaged" in problem for problem in images.problems)
        for sample in images.samples:
            assert sample.read().shape == (8, 8, 3)


def test_a_picture_larger_than_any_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = write(tmp_path, records())
    with file.open("r+b") as stream:  # a sparse file, and a record of two parts that together are beyond the limit
        stream.seek(0, 2)
        start = stream.tell()
        stream.write(MAGIC + struct.pack("<I", 1 << 29 | (1 << 29) - 4) + data(0.0, b""))
        stream.seek(start + 8 + (1 << 29) - 4)
        stream.write(MAGIC + struct.pack("<I", 3 << 29 | 64) + bytes(64))
    with (tmp_path / "train.idx").open("a") as index:
        index.write(f"77\t{start}\n")
    images = open_rec(file)
    assert len(images) == 6
    assert any("77 (its picture has" in problem for problem in images.problems)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("x\ty\n", "1 lines are not two numbers"),
        ("1\n", "1 lines are not two numbers"),
        ("8\t99999999999\n", "8 (it would begin at byte 99999999999"),
        ("8\t" + "9" * 200 + "\n", "lines are not two numbers"),
        ("8\t-4\n", "1 lines are not two numbers"),
        ("8\t4\n", "8 (no record begins at byte 4)"),
        ("1\t0\n1\t44\n", "keys are there twice"),
    ],
)
def test_a_wrong_index_line_costs_that_line(lines: str, problem: str, tmp_path: Path) -> None:
    file = write(tmp_path, records())
    with (tmp_path / "train.idx").open("a") as index:
        index.write(lines)
    images = open_rec(file)
    assert any(problem in found for found in images.problems)
    assert len(images) >= 5


@pytest.mark.parametrize("label", [float("nan"), float("inf"), -5.0, 1e30])
def test_hostile_ranges_cost_a_sentence(label: float, tmp_path: Path) -> None:
    made = records()
    made[7] = frame(data([1.0, label], b""))
    made[8] = frame(data([label, label], b""))
    images = open_rec(write(tmp_path, made))
    assert len(images) == 6
    assert any("no range of keys" in problem for problem in images.problems)


def test_ranges_that_mix_people_are_told(tmp_path: Path) -> None:
    made = records()
    made[7], made[8] = frame(data([1.0, 4.0], b"")), frame(data([4.0, 6.0], b""))
    assert open_rec(write(tmp_path, made)).problems == ("1 identities' records are no range of keys or mix people: 7",)


def test_a_missing_or_empty_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"train\.rec and .*train\.idx: no such file"):
        open_rec(tmp_path)
    file = write(tmp_path, {})
    with pytest.raises(InvalidData, match=r"not an \.idx"):
        open_rec(file)
    (tmp_path / "train.idx").write_text("1\t0\n")
    with pytest.raises(InvalidData, match="no picture in it"):
        open_rec(file)


def test_a_span_that_vanishes_is_an_error_of_that_picture(tmp_path: Path) -> None:
    file = write(tmp_path, records())
    images = open_rec(file)
    file.write_bytes(b"")
    with pytest.raises(InvalidImage, match="shorter than when it was opened"):
        images.samples[0].read()
