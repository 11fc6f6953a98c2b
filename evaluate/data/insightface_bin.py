"""InsightFace's ``.bin`` files: a pickle of (encoded pictures, whether each pair of them is one person).

A pickle is a program, and one from a stranger may run anything. So nothing is unpickled here: its instructions are
walked one by one, only those that make lists, tuples, bytes and booleans are known, and every other one is refused.
Source of the layout: InsightFace, ``recognition/_datasets_/lfw2pack.py``.
"""

from __future__ import annotations

import mmap
import pickletools
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, cast

from ...errors import InvalidData
from .pairs import Pair
from .shelf import Span

#: Instructions with bytes -> how far behind the instruction the bytes begin.
_BYTES = {"BINBYTES": 5, "SHORT_BINBYTES": 2, "BINBYTES8": 9, "BINSTRING": 5, "SHORT_BINSTRING": 2}
_BOOLS = {"NEWTRUE": True, "NEWFALSE": False}
_INTS = {"INT", "BININT", "BININT1", "BININT2"}  # protocols 0 and 1 write True as INT 01; some sets have 1 and 0
_NOTHING = {"PROTO", "FRAME", "STOP"}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS, _GETS = {"PUT", "BINPUT", "LONG_BINPUT"}, {"GET", "BINGET", "LONG_BINGET"}


def read_bin(path: Path) -> tuple[list[Span], list[Pair]]:
    """The pictures of a file, still encoded and on the disk, and its pairs; picture i is called ``str(i)``.

    Raises:
        InvalidData: it cannot be read, is truncated, does anything but hold such lists, or they do not fit together.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            content = _walk(path, pickletools.genops(cast(IO[bytes], data)))
    except OSError as e:
        raise InvalidData(f"{path}: cannot be read: {e.strerror or e}") from e
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError) as e:
        raise InvalidData(f"{path}: truncated or damaged ({e}), expected an InsightFace .bin; copy it again") from e
    spans, verdicts = _lists(path, content)
    pairs = [Pair(str(2 * i), str(2 * i + 1), bool(verdict)) for i, verdict in enumerate(verdicts)]
    return spans, pairs


def _lists(path: Path, content: object) -> tuple[list[Span], list[int]]:
    if not (isinstance(content, tuple | list) and len(content) == 2 and all(isinstance(c, list) for c in content)):
        raise InvalidData(f"{path}: expected a tuple of two lists, pictures and verdicts; not an InsightFace .bin")
    spans, verdicts = content
    if not all(isinstance(span, Span) for span in spans):
        raise InvalidData(f"{path}: expected encoded pictures (JPEG or PNG bytes) in its first list")
    if not all(isinstance(verdict, int) and verdict in (0, 1) for verdict in verdicts):
        raise InvalidData(f"{path}: expected True or False for each pair in its second list")
    if len(spans) != 2 * len(verdicts) or not verdicts:
        raise InvalidData(f"{path}: {len(spans)} pictures for {len(verdicts)} pairs, expected two for each")
    return spans, verdicts


def _walk(path: Path, instructions: Iterable[tuple[Any, Any, int | None]]) -> object:
    stack: list[Any] = []
    marks: list[int] = []  # heights of the stack
    memo: dict[int, Any] = {}
    for instruction, value, position in instructions:
        name = instruction.name
        if name in _BYTES:
            stack.append(Span(path, (position or 0) + _BYTES[name], len(value)))
        elif name in _BOOLS or name in _INTS:
            stack.append(_BOOLS.get(name, value))
        elif name in _PUTS or name == "MEMOIZE":
            memo[len(memo) if name == "MEMOIZE" else value] = stack[-1]
        elif name in _GETS:
            stack.append(memo[value])
        elif name not in _NOTHING and not _build(name, stack, marks):
            asked = f"{name} {value}".replace("\n", " ").strip() if value is not None else name
            raise InvalidData(
                f"{path}: refused: its pickle wants {asked[:80]!r} at byte {position}, and only lists, tuples, bytes "
                "and booleans are read, since anything else could run a program; save it again with those alone"
            )
    (content,) = stack
    return content


def _build(name: str, stack: list[Any], marks: list[int]) -> bool:
    """Lists and tuples; False for an instruction that is not known."""
    if name == "MARK":
        marks.append(len(stack))
    elif name == "EMPTY_LIST":
        stack.append([])
    elif name == "LIST":
        stack.append(_above(stack, marks.pop()))
    elif name == "TUPLE":
        stack.append(tuple(_above(stack, marks.pop())))
    elif name in _TUPLES:
        stack.append(tuple(_above(stack, len(stack) - _TUPLES[name])))
    elif name in ("APPEND", "APPENDS"):
        items = _above(stack, marks.pop() if name == "APPENDS" else len(stack) - 1)
        if not isinstance(stack[-1], list):
            raise ValueError(f"{name} to what is no list")
        stack[-1].extend(items)
    else:
        return False
    return True


def _above(stack: list[Any], height: int) -> list[Any]:
    """Take off everything above a height."""
    if not 0 <= height <= len(stack):
        raise ValueError("more is taken than was given")
    items = stack[height:]
    del stack[height:]
    return items
