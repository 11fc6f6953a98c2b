"""Read the annotations of data sets that were made in MATLAB: MAT files of level 5, as strangers send them.

Only numbers, text and cells are read, which is what such lists are made of. Every length in the file is checked against
the bytes that are there, and nesting and unpacked size are limited, so that a hostile file ends in an error rather
than in a crash. Source of the layout: The MathWorks, "MAT-File Format" (R2023b), chapter 1.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidData

__all__ = ["MAX_BYTES", "MatValue", "read_mat"]

#: Most bytes of a file, and of what is packed in one of its variables. The lists of WIDER FACE take 5 MB.
MAX_BYTES = 256 << 20
#: Cells in cells in cells. The lists of WIDER FACE need three.
MAX_DEPTH = 8

#: A matrix, a text, or a cell's contents column by column.
MatValue = NDArray[Any] | str | list[Any]

_MATRIX, _COMPRESSED = 14, 15
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXT = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _CHAR = 1, 4
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_COMPLEX = 0x0800


def read_mat(path: Path, names: Collection[str]) -> dict[str, MatValue]:
    """Read the named variables of a MAT file; numbers keep their type and shape.

    Raises:
        InvalidData: no such file, not a MAT file of level 5, damaged, too large, without one of the variables, or one
            of them is neither numbers nor text nor cells of them.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidData(f"{path}: larger than {MAX_BYTES} bytes; expected a list of annotations")
        found = dict(_variables(path.read_bytes(), set(names)))
    except InvalidData as e:
        raise e if str(e).startswith(str(path)) else InvalidData(f"{path}: {e}") from e
    except OSError as e:
        raise InvalidData(f"{path}: cannot be read: {e.strerror or e}; check the path") from e
    except (ValueError, struct.error, zlib.error, OverflowError) as e:
        raise InvalidData(f"{path}: damaged MAT file: {e}; fetch it again") from e
    if missing := sorted(set(names) - found.keys()):
        raise InvalidData(f"{path}: has no variable {', '.join(missing)}; is it the right file?")
    return found


def _variables(data: bytes, names: set[str]) -> Iterator[tuple[str, MatValue]]:
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        hdf = data.startswith(b"\x89HDF") or b"MATLAB 7.3" in data[:128]
        raise InvalidData(
            "a MAT file of version 7.3; save it with -v7" if hdf else "not a MAT file of level 5 (versions 5 to 7)"
        )
    position = 128
    while position < len(data):
        kind, content, position = _element(memoryview(data), position, order, padded=False)
        if kind == _COMPRESSED:
            kind, content, _ = _element(memoryview(_unpack(content)), 0, order)
        if kind == _MATRIX and len(content):
            array = _Matrix(content, order)
            if array.name in names:
                yield array.name, array.value(0)


def _unpack(content: memoryview) -> bytes:
    packed = zlib.decompressobj()
    data = packed.decompress(content, MAX_BYTES)
    if packed.unconsumed_tail:
        raise ValueError(f"a variable unpacks to more than {MAX_BYTES} bytes")
    return data


def _element(data: memoryview, position: int, order: str, padded: bool = True) -> tuple[int, memoryview, int]:
    """One data element: its type, its content, and where the next begins."""
    kind, size = struct.unpack_from(f"{order}II", data, position)
    if kind >> 16:  # small: type and size share four bytes, and the content is the next four
        kind, size, start, end = kind & 0xFFFF, kind >> 16, position + 4, position + 8
        if size > 4:
            raise ValueError(f"a small element of {size} bytes")
    else:
        start = position + 8
        end = start + size + (-size % 8 if padded or kind != _COMPRESSED else 0)
    if start + size > len(data):
        raise ValueError(f"an element of {size} bytes where {len(data) - start} are left")
    return kind, data[start : start + size], end


class _Matrix:
    """The header of an array: class, shape, name; and the data behind it."""

    def __init__(self, content: memoryview, order: str) -> None:
        _, flags, position = _element(content, 0, order)
        _, shape, position = _element(content, position, order)
        _, name, self._start = _element(content, position, order)
        self._content, self._order = content, order
        self._flags = struct.unpack_from(f"{order}I", flags)[0]
        self.shape = tuple(int(n) for n in np.frombuffer(shape, f"{order}i4"))
        self.name = bytes(name).decode("latin-1")
        if len(self.shape) < 2 or min(self.shape) < 0:
            raise ValueError(f"{self.name or 'an array'} has the shape {self.shape}")

    def value(self, depth: int) -> MatValue:
        """The array's content."""
        kind = self._flags & 0xFF
        if kind == _CELL:
            return self._cells(depth + 1)
        if (kind != _CHAR and kind not in _CLASSES) or self._flags & _COMPLEX:
            raise ValueError(f"{self.name or 'an array'} is not real numbers, text or cells (class {kind})")
        stored, data, _ = _element(self._content, self._start, self._order)
        if kind == _CHAR:
            return self._text(stored, data)
        if stored not in _STORED:
            raise ValueError(f"{self.name or 'an array'} stores numbers as type {stored}")
        numbers = np.frombuffer(data, self._order + _STORED[stored])
        if len(numbers) != prod(self.shape):
            raise ValueError(f"{self.name or 'an array'} has {len(numbers)} numbers for the shape {self.shape}")
        return numbers.astype(_CLASSES[kind]).reshape(self.shape, order="F")

    def _cells(self, depth: int) -> list[MatValue]:
        if depth > MAX_DEPTH:
            raise ValueError(f"cells are nested more than {MAX_DEPTH} deep")
        count, position, cells = prod(self.shape), self._start, list[MatValue]()
        if count > len(self._content) // 8:  # each takes at least its tag
            raise ValueError(f"{count} cells in {len(self._content)} bytes")
        for _ in range(count):
            kind, content, position = _element(self._content, position, self._order)
            if kind != _MATRIX:
                raise ValueError(f"a cell of type {kind}")
            cells.append(_Matrix(content, self._order).value(depth) if len(content) else np.empty((0, 0)))
        return cells

    def _text(self, stored: int, data: memoryview) -> str:
        if stored not in _TEXT:
            raise ValueError(f"text of type {stored}")
        coding = _TEXT[stored] + ({"<": "-le", ">": "-be"}[self._order] if "16" in _TEXT[stored] else "")
        return bytes(data).decode(coding)
