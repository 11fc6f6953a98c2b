"""As much of protobuf's wire format as it takes to find an entry in a message and to replace it.

A message is a row of fields; each begins with a number that holds the field's number and the kind of what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

#: Kinds of fixed size -> bytes.
_FIXED = {1: 8, 5: 4}


def put(message: memoryview, way: Sequence[int], entry: bytes, is_old: Callable[[memoryview], bool]) -> bytes:
    """The message with an entry at the end of the way, in the place of an old one or after all others.

    Args:
        message: protobuf.
        way: numbers of the fields that lead to the entry, the last its own.
        entry: the new one.
        is_old: whether an entry is to be replaced. Of several, the first is, and the others go.
    """
    number, *rest = way
    out, done = bytearray(), False
    for field, whole, body in spans(message):
        if field != number or body is None or (not rest and not is_old(body)):
            out += whole
        elif not done:  # readers take the first, so there is to be no second
            out += encode_field(number, put(body, rest, entry, is_old) if rest else entry)
            done = True
        elif rest:
            out += whole
    if not done:
        out += encode_field(number, put(memoryview(b""), rest, entry, is_old) if rest else entry)
    return bytes(out)


def encode_field(number: int, body: bytes) -> bytes:
    """A length-delimited field."""
    return _number(number << 3 | 2) + _number(len(body)) + body


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of a protobuf message's length-delimited fields; the others are passed over."""
    for number, _, body in spans(message):
        if body is not None:
            yield number, body


def spans(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview | None]]:
    """Number, all bytes and, of a length-delimited field, content of each field of a protobuf message."""
    at = 0
    while at < len(message):
        start = at
        tag, at = _varint(message, at)
        kind, size = tag & 7, 0
        if kind == 0:
            _, at = _varint(message, at)
        elif kind == 2:
            size, at = _varint(message, at)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise ValueError(f"wire type {kind} is not protobuf")
        if at + size > len(message):
            raise ValueError(f"a field claims {size} bytes, {len(message) - at} are left")
        body = message[at : at + size] if kind == 2 else None
        at += size
        yield tag >> 3, message[start:at], body


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number has more than ten bytes")
