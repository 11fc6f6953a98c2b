"""Read ``weight.bin``, the file beside an ML Program that holds its large constants.

Layout (version 2, little-endian): a header of 64 bytes (uint32 number of blobs, uint32 version), then for every blob a
record of 64 bytes (uint32 sentinel 0xDEADBEEF, uint32 type, uint64 size in bytes, uint64 offset of the data, uint64
unused bits at the end), and its data. A program names a blob by the offset of its record.
"""

from __future__ import annotations

import struct
from pathlib import Path

from ...errors import InvalidModel
from .elements import Array, Element

_HEADER, _RECORD = struct.Struct("<II56x"), struct.Struct("<IIQQQ32x")
_VERSION, _SENTINEL = 2, 0xDEADBEEF


class BlobFile:
    """A weight file, read whole.

    Raises:
        InvalidModel: not a weight file, or of another version.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._data = path, path.read_bytes()
        if len(self._data) < _HEADER.size:
            raise InvalidModel(f"{path}: a weight file of {len(self._data)} bytes, its header alone has {_HEADER.size}")
        _, version = _HEADER.unpack_from(self._data)
        if version != _VERSION:
            raise InvalidModel(f"{path}: weight file version {version}, expected {_VERSION}")

    def read(self, offset: int, element: Element, count: int) -> Array:
        """``(count,)`` elements of the blob whose record starts at ``offset``.

        Raises:
            InvalidModel: there is no record at the offset, its type or size is not what the program declares, or its
                data reach past the end of the file.
        """
        where = f"{self._path}: blob at {offset}"
        if offset + _RECORD.size > len(self._data):
            raise InvalidModel(f"{where}: the file ends at {len(self._data)}; it is truncated, or not of this program")
        sentinel, kind, size, start, _ = _RECORD.unpack_from(self._data, offset)
        if sentinel != _SENTINEL:
            raise InvalidModel(f"{where}: no blob there, its sentinel is {sentinel:#x} instead of {_SENTINEL:#x}")
        if kind != element.blob:
            raise InvalidModel(f"{where}: blob type {kind}, the program declares {element.name} ({element.blob})")
        if size != element.size_bytes(count):
            raise InvalidModel(f"{where}: {size} bytes, the program declares {count} x {element.name}")
        if start + size > len(self._data):
            raise InvalidModel(f"{where}: its data end at {start + size}, the file at {len(self._data)}; truncated?")
        return element.unpack(self._data[start : start + size], count)
