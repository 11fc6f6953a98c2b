"""Where encoded pictures stand: a folder or tar files. Names in, bytes out; nothing is ever written or unpacked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from ...errors import InvalidData, InvalidImage
from ...runtime.images import MAX_BYTES

#: Gives a picture's encoded bytes, or raises InvalidImage. Any thread may call it.
Read = Callable[[], bytes]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
_MOST_NAMES = 20


class Shelf(Protocol):
    """Pictures by name: relative paths with ``/``."""

    @property
    def path(self) -> Path:
        """Where they stand."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What was found wrong when it was opened, a sentence each."""

    def names(self) -> list[str]:
        """Names of all pictures, sorted."""

    def find(self, name: str) -> Read | None:
        """How to read what stands under a name; None if nothing does."""


@dataclass(frozen=True)
class Span:
    """Bytes inside a larger file, read when called for."""

    path: Path
    offset: int
    size: int

    def __call__(self) -> bytes:
        """The bytes.

        Raises:
            InvalidImage: there are too many of them, or the file cannot be read or is shorter than it was.
        """
        if self.size > MAX_BYTES:
            raise InvalidImage(f"{self.size} bytes, at most {MAX_BYTES} are read")
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self.offset)
                content = file.read(self.size)
        except OSError as e:
            raise InvalidImage(f"{self.path} cannot be read: {e.strerror or e}") from e
        if len(content or b"") != self.size:
            raise InvalidImage(f"{self.path} is shorter than when it was opened")
        return content


def is_picture(name: str) -> bool:
    """Whether a name has a picture's suffix and is not hidden, as the ``._x.jpg`` that macOS leaves in archives are."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES and not PurePosixPath(name).name.startswith(".")


def printable(text: str) -> str:
    """A text that cannot move a terminal's cursor: what is not printable is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def named(names: Iterable[object]) -> str:
    """The names in a sentence; of very many, the first ones and the count of the others."""
    every = [printable(str(name)) for name in names]
    rest = f" and {len(every) - _MOST_NAMES} more" if len(every) > _MOST_NAMES else ""
    return ", ".join(every[:_MOST_NAMES]) + rest


def read_text(path: Path) -> str:
    """A text file in UTF-8, with or without a byte-order mark.

    Raises:
        InvalidData: it cannot be read, or is not text.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as e:
        raise InvalidData(f"{path}: cannot be read: {e.strerror or e}") from e
    except UnicodeError as e:
        raise InvalidData(f"{path}: expected text in UTF-8: {e}") from e
