"""Pictures in a folder, in folders below it, or both."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ...errors import InvalidData
from .shelf import Read, Span, is_picture


class FolderShelf:
    """The pictures of a folder and of all folders below it."""

    problems: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        """Their paths from the folder on, sorted; hidden files and folders do not count.

        Raises:
            InvalidData: a folder cannot be read.
        """
        return sorted(self._names())

    def _names(self) -> Iterator[str]:
        seen = set()  # links to folders are followed, but not round and round
        for place, folders, files in os.walk(self.path, onerror=_refuse, followlinks=True):
            here = Path(place)
            node = here.stat()
            if (node.st_dev, node.st_ino) in seen:
                folders.clear()
                continue
            seen.add((node.st_dev, node.st_ino))
            folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
            yield from ((here / file).relative_to(self.path).as_posix() for file in files if is_picture(file))

    def find(self, name: str) -> Read | None:
        """How to read a file below the folder; None if there is none, or if the name leads out of the folder."""
        for inside in dict.fromkeys((name, name.replace("\\", "/"))):  # as CSV files from Windows have it
            parts = PurePosixPath(inside)
            if "\0" in inside or parts.is_absolute() or ".." in parts.parts:
                continue
            file = self.path / parts
            try:
                if file.is_file():
                    return Span(file, 0, file.stat().st_size)
            except OSError:  # a name too long for the file system
                continue
        return None


def _refuse(error: OSError) -> None:
    raise InvalidData(f"{error.filename}: cannot be read: {error.strerror or error}") from error
