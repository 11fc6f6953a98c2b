"""Pictures in a folder, in folders below it, or both."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from .shelf import Read, Span, is_picture


class FolderShelf:
    """The pictures of a folder and of all folders below it."""

    problems: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        """Their paths from the folder on, sorted; hidden files and folders do not count."""
        files = (file for file in self.path.rglob("*") if is_picture(file.name) and not file.is_dir())
        found = (file.relative_to(self.path) for file in files)
        return sorted(f.as_posix() for f in found if not any(part.startswith(".") for part in f.parts))

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
