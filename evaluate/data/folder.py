"""Pictures in a folder, in folders below it, or both."""

from __future__ import annotations

from pathlib import Path

from .shelf import Read, Span, is_picture, relative


class FolderShelf:
    """The pictures of a folder and of all folders below it."""

    problems: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        """Their paths from the folder on, sorted; hidden files and folders do not count."""
        found = (file.relative_to(self.path) for file in self.path.rglob("*") if is_picture(file.name))
        return sorted(f.as_posix() for f in found if not any(part.startswith(".") for part in f.parts))

    def find(self, name: str) -> Read | None:
        """How to read a file below the folder; None if there is none, or if the name leads out of the folder."""
        inside = relative(name)
        if inside is None or "\0" in inside:
            return None
        file = self.path / inside
        try:
            return Span(file, 0, file.stat().st_size) if file.is_file() else None
        except OSError:  # a name too long for the file system
            return None
