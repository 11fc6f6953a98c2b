"""Types and constants as an ML Program writes them down in protobuf messages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...errors import InvalidModel, UnsupportedModel
from .elements import STRING, Array, Element, element


@dataclass(frozen=True)
class TensorType:
    """Element type and shape; a dimension of None may have any size."""

    element: Element
    shape: tuple[int | None, ...]

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape is one of this type."""
        return len(shape) == len(self.shape) and all(
            want in (None, have) for want, have in zip(self.shape, shape, strict=True)
        )

    def __str__(self) -> str:
        return f"{self.element.name}({', '.join('?' if n is None else str(n) for n in self.shape)})"


class Blobs(Protocol):
    """Where constants lie that are not in the program itself."""

    def blob(self, file: str, offset: int, element: Element, count: int) -> Array:
        """``(count,)`` elements of one blob."""
        ...


def read_type(message: Any) -> TensorType:
    """The tensor type in a ``ValueType`` message.

    Raises:
        UnsupportedModel: not a tensor (a list, tuple, dictionary or state), or one of variable rank.
        InvalidModel: a rank that contradicts the dimensions.
    """
    kind = message.WhichOneof("type")
    if kind != "tensorType":
        raise UnsupportedModel(f"the program uses a value of kind {kind}; this interpreter knows tensors only")
    tensor = message.tensorType
    if tensor.rank != len(tensor.dimensions):
        raise InvalidModel(f"a tensor type says rank {tensor.rank} and lists {len(tensor.dimensions)} dimensions")
    return TensorType(element(tensor.dataType), tuple(_dimension(d) for d in tensor.dimensions))


def _dimension(message: Any) -> int | None:
    kind = message.WhichOneof("dimension")
    if kind == "constant":
        return int(message.constant.size)
    if kind == "unknown" and not message.unknown.variadic:
        return None
    raise UnsupportedModel("the program uses a tensor of variable rank")


def read_constant(message: Any, blobs: Blobs) -> tuple[TensorType, Array]:
    """The constant in a ``Value`` message, and its type; strings come as arrays of ``str``.

    Raises:
        InvalidModel: more or fewer elements than the type says, or a damaged blob.
        UnsupportedModel: not a tensor.
    """
    kind = read_type(message.type)
    if None in kind.shape:
        raise InvalidModel(f"a constant of type {kind} must have a known shape")
    shape = tuple(n for n in kind.shape if n is not None)
    count = math.prod(shape)
    if message.WhichOneof("value") == "blobFileValue":
        where = message.blobFileValue
        flat = blobs.blob(where.fileName, where.offset, kind.element, count)
    else:
        flat = _immediate(message.immediateValue, kind.element, count)
    if flat.size != count:
        raise InvalidModel(f"a constant of type {kind} has {flat.size} elements")
    return kind, flat.reshape(shape)


#: Field of a ``TensorValue`` -> the kinds of numpy type that may be written in it.
_FIELDS = {"floats": "f", "ints": "iu", "bools": "b"}


def _immediate(message: Any, element: Element, count: int) -> Array:
    if message.WhichOneof("value") != "tensor":
        raise UnsupportedModel(f"the program has a constant of kind {message.WhichOneof('value')}, not a tensor")
    field = message.tensor.WhichOneof("value")
    if field is None:
        return np.zeros(0, element.numpy)
    values = getattr(message.tensor, field).values
    if field == "strings" and element is STRING:
        return np.array(list(values), dtype=np.str_)
    if field == "bytes" and element is not STRING:
        if len(values) != element.size_bytes(count):
            raise InvalidModel(f"a constant of {count} x {element.name} is written in {len(values)} bytes")
        return element.unpack(values, count)
    if np.dtype(element.numpy).kind not in _FIELDS.get(field, ""):
        raise InvalidModel(f"a constant of type {element.name} is written in the field {field!r}")
    return _exact(np.array(list(values)), element)


def _exact(wide: Array, element: Element) -> Array:
    narrow = wide.astype(element.numpy)
    if wide.dtype.kind in "iu" and not np.array_equal(wide, narrow):
        raise InvalidModel(f"a constant of type {element.name} holds {int(wide.max())}, which does not fit")
    return narrow
