"""Pictures in one tar file, or in the shards of a folder: read where they lie, never unpacked."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...errors import InvalidData
from .shelf import Read, Span, is_picture, named, printable

_BLOCK = 512


class TarShelf:
    """The pictures of uncompressed tar files.

    Members' names are keys and nothing else, so one that is absolute or climbs out of a folder does no harm. Links,
    devices and sparse files are no pictures. Of members with one name the last counts, as tar itself has it.

    Raises:
        InvalidData: no tar file, a compressed one, or one that is truncated or damaged.
    """

    def __init__(self, path: Path, shards: Sequence[Path]) -> None:
        self.path = path
        self._members: dict[str, Span] = {}
        twice, odd = [], []
        for shard in shards:
            for name, span in _members(shard):
                if span is None:
                    odd.append(name)
                    continue
                if name in self._members:
                    twice.append(name)
                self._members[name] = span
        self.problems = tuple(
            f"{path.name}: {len(names)} {what}: {named(names)}"
            for names, what in ((twice, "names twice, the last counts"), (odd, "members that are no plain files"))
            if names
        )

    def names(self) -> list[str]:
        """Names of the pictures, sorted."""
        return sorted(filter(is_picture, self._members))

    def find(self, name: str) -> Read | None:
        """How to read a member."""
        return self._members.get(name) or self._members.get(name.replace("\\", "/").removeprefix("./"))


def _members(shard: Path) -> Iterator[tuple[str, Span | None]]:
    """Name and place of every file in a shard, in its order; None for the place of what is not a plain file."""
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                if member.isdir():
                    continue
                name = printable(member.name).removeprefix("./")
                plain = member.isreg() and not member.issparse()
                yield name, Span(shard, member.offset_data, member.size) if plain else None
            end = archive.offset  # where iteration stopped: tarfile stops without a word at damage, too
    except OSError as e:
        raise InvalidData(f"{shard}: cannot be read: {e.strerror or e}") from e
    except (tarfile.TarError, EOFError, ValueError, OverflowError, MemoryError) as e:
        cure = "copy it again; a compressed one must be unpacked to a plain .tar first, for pictures are read in place"
        raise InvalidData(f"{shard}: not a tar file, or truncated or damaged ({e}): {cure}") from e
    with shard.open("rb") as file:
        file.seek(end)
        if file.read(_BLOCK) != bytes(_BLOCK):
            raise InvalidData(f"{shard}: truncated or damaged at byte {end}, where a member or the end should be")
