"""InsightFace's pickles are read without running them, and hostile ones are refused."""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pocketface.errors import InvalidData
from pocketface.evaluate.data import open_images, open_pairs

Png = Callable[..., bytes]


def python2(pictures: list[bytes], verdicts: list[bool]) -> bytes:
    """What Python 2's cPickle writes at protocol 2, as most of the published sets have it: byte strings, by hand."""
    strings = b""
    for i, p in enumerate(pictures):
        strings += b"T" + struct.pack("<I", len(p)) if len(p) > 255 else b"U" + struct.pack("B", len(p))
        strings += p + b"r" + struct.pack("<I", i + 7)
    bools = b"".join(b"\x88" if v else b"\x89" for v in verdicts)
    return b"\x80\x02]q\x01(" + strings + b"e]q\x02(" + bools + b"e\x86q\x03."


@pytest.fixture(scope="module")
def content(png: Png) -> tuple[list[bytes], list[bool]]:
    pictures = [png(i) for i in (0, 1, 2, 3, 0)] + [png(4, 2)]
    assert len(pictures[0]) > 255 > len(pictures[5])  # short byte strings have an instruction of their own
    return pictures, [True, False, True]


WRITERS: dict[str, Callable[[object], bytes]] = {
    **{f"protocol {n}": (lambda content, n=n: pickle.dumps(content, n)) for n in (3, 4, 5)},
    "Python 2": lambda content: python2(*content),  # type: ignore[misc]
    "a list of two": lambda content: pickle.dumps(list(content), 4),  # type: ignore[call-overload]
    "ones and zeros": lambda content: pickle.dumps((content[0], list(map(int, content[1]))), 4),  # type: ignore[index]
    "short bytes": lambda content: pickle.dumps(content, 3),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_every_way_to_write_it_is_read(writer: str, content: tuple[list[bytes], list[bool]], tmp_path: Path) -> None:
    file = tmp_path / "lfw.bin"
    file.write_bytes(WRITERS[writer](content))
    pairs = open_pairs(file)
    assert pairs.same.tolist() == content[1]
    for i, (a, b) in enumerate(pairs.pairs):
        for index, encoded in ((a, content[0][2 * i]), (b, content[0][2 * i + 1])):
            expected = np.asarray(Image.open(io.BytesIO(encoded)))
            assert np.array_equal(pairs.images.samples[index].read(), expected)


def test_a_picture_that_is_there_twice_is_taken_once(content: tuple[list[bytes], list[bool]], tmp_path: Path) -> None:
    (tmp_path / "set.bin").write_bytes(pickle.dumps(content))
    pairs = open_pairs(tmp_path / "set.bin")
    assert len(pairs.images) == 5
    assert pairs.pairs[0, 0] == pairs.pairs[2, 0]
    assert all(sample.aligned for sample in pairs.images.samples)
    assert open_images(tmp_path / "set.bin").fingerprint == pairs.images.fingerprint


class Harm:
    """Unpickling this writes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.write_text, (self.target, "harm"))


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(protocol: int, tmp_path: Path) -> None:
    target, file = tmp_path / "harm.txt", tmp_path / "set.bin"
    hostile = pickle.dumps(([b"\x00", Harm(target)], [True]), protocol)
    pickle.loads(hostile)
    assert target.exists()  # it is a weapon indeed
    target.unlink()
    file.write_bytes(hostile)
    with pytest.raises(InvalidData, match="refused: its pickle wants"):
        open_pairs(file)
    assert not target.exists()


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x80\x02r\xff\xff\xff\xff.",  # a memo of 32 GB
        b"\x80\x04\x8e" + b"\xff" * 8 + b".",  # bytes of 16 EB
        b"\x80\x04B\xff\xff\xff\xff.",  # bytes of 4 GB
        b"\x80\x02" + b"(" * 100_000 + b"l" * 100_000 + b".",  # lists in lists
        b"\x80\x02]q\x00h\x00a.",  # a list that holds itself
        b"\x80\x02]q\x00(" + b"h\x00" * 50_000 + b"e.",
        b"\x80\x02e.",
        b"\x80\x02h\x07.",
        b"\x80\x02(.",
        b"\x80\x02K\x01K\x01a.",
        b"I" + b"9" * 10_000 + b"\n.",
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x04]]",
        b"not a pickle at all",
        b"",
    ],
)
def test_a_hostile_pickle_costs_an_error_and_no_more(hostile: bytes, tmp_path: Path) -> None:
    (tmp_path / "set.bin").write_bytes(hostile)
    with pytest.raises(InvalidData):
        open_pairs(tmp_path / "set.bin")


def test_a_file_cut_anywhere_is_named_damaged(content: tuple[list[bytes], list[bool]], tmp_path: Path) -> None:
    whole, file = pickle.dumps(content, 4), tmp_path / "set.bin"
    for length in [*range(0, 40), *range(40, len(whole), 37), len(whole) - 1]:
        file.write_bytes(whole[:length])
        with pytest.raises(InvalidData, match=r"set\.bin"):
            open_pairs(file)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (([b"a", b"b", b"c"], [True]), "3 pictures for 1 pairs"),
        (([], []), "0 pictures for 0 pairs"),
        (([b"a", b"b"], [7]), "True or False"),
        (([b"a", b"b"], [b"1"]), "True or False"),
        (([True, True], [True]), "encoded pictures"),
        (([b"a", b"b"],), "tuple of two lists"),
        ([[b"a", b"b"], [True], [True]], "tuple of two lists"),
        (True, "tuple of two lists"),
    ],
)
def test_what_does_not_fit_together_is_said(content: object, reason: str, tmp_path: Path) -> None:
    (tmp_path / "set.bin").write_bytes(pickle.dumps(content, 4))
    with pytest.raises(InvalidData, match=reason):
        open_pairs(tmp_path / "set.bin")


def test_arrays_in_a_pickle_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "set.bin").write_bytes(pickle.dumps(([np.zeros(3, np.uint8)] * 2, [True]), 4))
    with pytest.raises(InvalidData, match="numpy"):
        open_pairs(tmp_path / "set.bin")
