"""The element types of MIL: how they lie in a file, and what torch computes them in.

Numbers of the types are those of ``DataType`` in Apple's ``MIL.proto``; numbers of their blobs those of
``BlobDataType`` in its weight storage format, version 2. Types narrower than a byte are packed without gaps,
least significant bit first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...errors import InvalidModel, UnsupportedModel

Array = np.ndarray[Any, Any]


def unpack_bits(packed: Array, bits: int, count: int) -> Array:
    """``(count,) uint8`` from numbers of 1 to 8 bits in bytes without gaps, least significant bit first."""
    each = np.unpackbits(packed, count=count * bits, bitorder="little").reshape(count, bits)
    return np.packbits(each, axis=1, bitorder="little").reshape(count)


@dataclass(frozen=True)
class Element:
    """One element type.

    Attributes:
        name: as MIL calls it, in lower case.
        numpy: what it is unpacked to.
        bits: width in the file.
        blob: number of its blobs in a weight file, or None if it is never stored in one.
        compute: what torch holds it in. Half is held in float32 and rounded to half after every operation; integers
            are held in types wide enough for all of their values.
    """

    name: str
    numpy: Any
    bits: int
    blob: int | None
    compute: torch.dtype

    @property
    def is_float(self) -> bool:
        """Whether it has fractions."""
        return self.numpy in (np.float16, np.float32)

    def size_bytes(self, count: int) -> int:
        """Bytes that ``count`` packed elements take."""
        return (count * self.bits + 7) // 8

    def unpack(self, raw: bytes, count: int) -> Array:
        """``(count,)`` elements from their packed bytes, which must be ``size_bytes(count)`` long."""
        if self.bits >= 8:
            return np.frombuffer(raw, self.numpy)
        values = unpack_bits(np.frombuffer(raw, np.uint8), self.bits, count)
        if np.issubdtype(self.numpy, np.signedinteger):
            sign = 1 << (self.bits - 1)
            return (values.astype(np.int8) ^ sign) - np.int8(sign)
        return values

    def to_torch(self, array: Array) -> torch.Tensor:
        """A copy of an array of this type, in the type that torch computes with.

        Raises:
            InvalidModel: text.
        """
        if self.numpy is np.str_:
            raise InvalidModel("text where a tensor is needed")
        return torch.tensor(array.astype(np.int64 if array.dtype.kind == "u" else array.dtype)).to(self.compute)

    def round(self, tensor: torch.Tensor) -> torch.Tensor:
        """Bring the result of an operation to this type: half is rounded to nearest even and overflows to infinity."""
        if self.numpy is np.float16:
            return tensor.to(torch.float16).to(torch.float32)
        return tensor.to(self.compute)

    def to_numpy(self, tensor: torch.Tensor) -> Array:
        """A copy as an array of this type."""
        return np.array(tensor.detach().numpy(), dtype=self.numpy)


STRING = Element("string", np.str_, 8, None, torch.uint8)
FLOAT16 = Element("float16", np.float16, 16, 1, torch.float32)

_ELEMENTS = {
    1: Element("bool", np.bool_, 8, None, torch.bool),
    2: STRING,
    10: FLOAT16,
    11: Element("float32", np.float32, 32, 2, torch.float32),
    21: Element("int8", np.int8, 8, 4, torch.int32),
    22: Element("int16", np.int16, 16, 6, torch.int32),
    23: Element("int32", np.int32, 32, 14, torch.int32),
    25: Element("int4", np.int8, 4, 8, torch.int32),
    31: Element("uint8", np.uint8, 8, 3, torch.int32),
    32: Element("uint16", np.uint16, 16, 7, torch.int32),
    33: Element("uint32", np.uint32, 32, 15, torch.int64),
    35: Element("uint4", np.uint8, 4, 11, torch.int32),
    36: Element("uint2", np.uint8, 2, 10, torch.int32),
    37: Element("uint1", np.uint8, 1, 9, torch.int32),
    38: Element("uint6", np.uint8, 6, 13, torch.int32),
    39: Element("uint3", np.uint8, 3, 12, torch.int32),
}
_UNSUPPORTED = {
    12: "float64",
    13: "bfloat16",
    24: "int64",
    34: "uint64",
    40: "float8e4m3fn",
    41: "float8e5m2",
}


def element(number: int) -> Element:
    """The element type with this number in ``MIL.proto``.

    Raises:
        UnsupportedModel: a type that no Core ML program of ours computes with, such as float64.
        InvalidModel: no MIL type has this number.
    """
    if number in _ELEMENTS:
        return _ELEMENTS[number]
    if number in _UNSUPPORTED:
        raise UnsupportedModel(f"the program uses {_UNSUPPORTED[number]}, which this interpreter does not compute")
    raise InvalidModel(f"the program uses element type {number}, which MIL does not have")
