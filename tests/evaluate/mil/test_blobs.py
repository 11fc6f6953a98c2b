"""The reader of weight files against coremltools' own, and on files that are damaged."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil.mil import types
from coremltools.libmilstoragepython import _BlobStorageReader, _BlobStorageWriter

from pocketface.errors import InvalidModel, UnsupportedModel
from pocketface.evaluate.mil.blobs import BlobFile
from pocketface.evaluate.mil.elements import element

#: Number of the type in MIL.proto -> its name in coremltools' reader and writer, smallest value, largest value.
KINDS = {
    10: ("fp16", None, None),
    11: ("float", None, None),
    21: ("int8", -128, 127),
    22: ("int16", -(2**15), 2**15 - 1),
    23: ("int32", -(2**31), 2**31 - 1),
    25: ("int4", -8, 7),
    31: ("uint8", 0, 255),
    32: ("uint16", 0, 2**16 - 1),
    33: ("uint32", 0, 2**32 - 1),
    35: ("uint4", 0, 15),
    36: ("uint2", 0, 3),
    37: ("uint1", 0, 1),
    38: ("uint6", 0, 63),
    39: ("uint3", 0, 7),
}


@pytest.fixture
def blob(tmp_path: Path) -> Any:
    """``blob(number, values)``: a weight file with this blob after another one, and its offset."""

    def write(number: int, values: np.ndarray) -> tuple[Path, int]:
        path, kind = tmp_path / "weight.bin", KINDS[number][0]
        writer = _BlobStorageWriter(str(path))
        writer.write_uint3_data(np.arange(7, dtype=np.uint8) % 8)
        if element(number).bits < 8:
            values = values.astype(types.nptype_from_builtin(types.string_to_builtin(kind)))
        offset = getattr(writer, f"write_{kind}_data")(values.view(np.uint16) if kind == "fp16" else values)
        del writer  # closes the file
        return path, int(offset)

    return write


@pytest.mark.parametrize("number", KINDS)
@pytest.mark.parametrize("count", [1, 5, 64, 1001])
def test_reads_what_coremltools_writes_and_as_its_reader_does(blob: Any, number: int, count: int) -> None:
    kind, low, high = KINDS[number]
    rng = np.random.default_rng(count)
    wanted = rng.normal(size=count) if low is None else rng.integers(low, high, count, endpoint=True)
    wanted = wanted.astype(element(number).numpy)
    path, offset = blob(number, wanted)
    ours = BlobFile(path).read(offset, element(number), count)
    np.testing.assert_array_equal(ours, wanted)
    theirs = np.array(getattr(_BlobStorageReader(str(path)), f"read_{kind}_data")(offset))
    np.testing.assert_array_equal(ours, theirs.view(np.float16) if kind == "fp16" else theirs.astype(ours.dtype))


def damaged(path: Path, at: int, content: bytes) -> BlobFile:
    data = bytearray(path.read_bytes())
    data[at : at + len(content)] = content
    path.write_bytes(data)
    return BlobFile(path)


def test_every_kind_of_damage_is_named(blob: Any) -> None:
    path, offset = blob(11, np.ones(100, np.float32))
    sound = path.read_bytes()
    float32, float16 = element(11), element(10)
    with pytest.raises(InvalidModel, match="99 x float32"):
        BlobFile(path).read(offset, float32, 99)
    with pytest.raises(InvalidModel, match=r"blob type 2, the program declares float16 \(1\)"):
        BlobFile(path).read(offset, float16, 200)
    with pytest.raises(InvalidModel, match="sentinel is 0x0 instead of 0xdeadbeef"):
        BlobFile(path).read(offset + 32, float32, 100)
    with pytest.raises(InvalidModel, match="the file ends at"):
        BlobFile(path).read(len(sound), float32, 100)
    with pytest.raises(InvalidModel, match="its data end at"):
        damaged(path, offset + 16, struct.pack("<Q", 2**62)).read(offset, float32, 100)
    path.write_bytes(sound[:-1])
    with pytest.raises(InvalidModel, match="truncated"):
        BlobFile(path).read(offset, float32, 100)
    path.write_bytes(sound[:40])
    with pytest.raises(InvalidModel, match="40 bytes"):
        BlobFile(path)
    path.write_bytes(sound)
    with pytest.raises(InvalidModel, match="version 3"):
        damaged(path, 4, b"\3")


def test_types_that_are_not_computed_are_named() -> None:
    with pytest.raises(UnsupportedModel, match="bfloat16"):
        element(13)
    with pytest.raises(InvalidModel, match="element type 99"):
        element(99)
