"""MAT files against scipy, which writes and reads them too; and files that mean harm."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from pocketface.errors import InvalidData
from pocketface.evaluate import matfile
from pocketface.evaluate.matfile import read_mat


def cells(values: list[object]) -> np.ndarray:
    out = np.empty((len(values), 1), object)
    out[:, 0] = values
    return out


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_numbers_are_scipys(tmp_path: Path, dtype: str, packed: bool) -> None:
    numbers = np.random.default_rng(0).integers(0, 100, (3, 4, 2)).astype(dtype)
    savemat(tmp_path / "a.mat", {"other": np.eye(2), "x": numbers, "one": numbers[:1, 0, 0]}, do_compression=packed)
    read = read_mat(tmp_path / "a.mat", {"x", "one"})
    assert read.keys() == {"x", "one"}
    assert read["x"].dtype == numbers.dtype
    np.testing.assert_array_equal(read["x"], loadmat(tmp_path / "a.mat")["x"])
    assert read["one"].shape == (1, 1)


@pytest.mark.parametrize("packed", [False, True])
def test_cells_in_cells_with_text_and_empty_matrices(tmp_path: Path, packed: bool) -> None:
    lists = cells([cells(["0_Parade", "gesichter-äß"]), cells([np.zeros((0, 4)), np.arange(8).reshape(2, 4)])])
    savemat(tmp_path / "a.mat", {"x": lists}, do_compression=packed)
    names, boxes = read_mat(tmp_path / "a.mat", ["x"])["x"]
    assert names == ["0_Parade", "gesichter-äß"]
    assert boxes[0].size == 0
    assert boxes[1].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_big_endian(tmp_path: Path) -> None:
    def element(kind: int, data: bytes) -> bytes:
        return struct.pack(">II", kind, len(data)) + data + b"\0" * (-len(data) % 8)

    parts = (
        element(6, struct.pack(">II", 6, 0)),
        element(5, struct.pack(">ii", 1, 2)),
        element(1, b"x"),
        element(9, struct.pack(">dd", 1.5, -2)),
    )
    data = b"MATLAB 5.0".ljust(124) + b"\x01\x00MI" + element(14, b"".join(parts))
    (tmp_path / "a.mat").write_bytes(data)
    assert read_mat(tmp_path / "a.mat", ["x"])["x"].tolist() == [[1.5, -2.0]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "level 5"),
        (b"just text", "level 5"),
        (b"\x89HDF\r\n".ljust(200), "7.3"),
        (b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 14, 1 << 31), "damaged"),
        (b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, 4) + b"junk", "damaged"),
        (b"MATLAB 5.0".ljust(124) + b"\x00\x01IM", "no variable x"),
    ],
)
def test_what_is_no_mat_file_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(InvalidData, match=words) as e:
        read_mat(tmp_path / "a.mat", ["x"])
    assert "a.mat" in str(e.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"none\.mat"):
        read_mat(tmp_path / "none.mat", ["x"])


@pytest.mark.parametrize("value", [np.array([1 + 2j]), {"a": 1.0}])
def test_what_is_not_read_is_refused_only_when_asked_for(tmp_path: Path, value: object) -> None:
    savemat(tmp_path / "a.mat", {"strange": value, "x": 1.0})
    assert read_mat(tmp_path / "a.mat", ["x"])["x"].item() == 1
    with pytest.raises(InvalidData, match="strange"):
        read_mat(tmp_path / "a.mat", ["strange"])


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matfile, "MAX_BYTES", 1 << 20)
    packed = zlib.compress(b"\0" * (1 << 22))
    header = b"MATLAB 5.0".ljust(124) + b"\x00\x01IM"
    (tmp_path / "a.mat").write_bytes(header + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(InvalidData, match="more than"):
        read_mat(tmp_path / "a.mat", ["x"])


def test_deep_nesting_ends_in_an_error(tmp_path: Path) -> None:
    value: object = np.eye(1)
    for _ in range(12):
        value = cells([value])
    savemat(tmp_path / "a.mat", {"x": value})
    with pytest.raises(InvalidData, match="deep"):
        read_mat(tmp_path / "a.mat", ["x"])


@pytest.mark.parametrize("packed", [False, True])
def test_damaged_bytes_cost_an_error_and_nothing_else(tmp_path: Path, packed: bool) -> None:
    lists = cells([cells(["a", "bc"]), cells([np.eye(4), np.arange(3)])])
    savemat(tmp_path / "a.mat", {"x": lists, "y": np.arange(5)}, do_compression=packed)
    sound, rng = (tmp_path / "a.mat").read_bytes(), np.random.default_rng(0)
    broken = tmp_path / "b.mat"
    for _ in range(400):
        data = bytearray(sound[: rng.integers(1, len(sound) + 1)])
        for place in rng.integers(0, len(data), 4):
            data[place] = rng.integers(256)
        broken.write_bytes(data)
        with suppress(InvalidData):
            read_mat(broken, ["x"])
