"""Results of long runs, kept for the next run: found again by what they were made from, never by name or date."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..artifact import atomic
from ..errors import OutputError

#: The environment variable that overrides where the cache is.
VARIABLE = "POCKETFACE_CACHE"

_KEY = "made_from"  # the key, inside an entry: a file under another entry's name is not believed


def cache_folder() -> Path:
    """Where the platform wants caches; ``POCKETFACE_CACHE`` in the environment overrides it.

    macOS: ``~/Library/Caches``; Windows: ``%LOCALAPPDATA%``; elsewhere ``$XDG_CACHE_HOME`` or ``~/.cache``.
    """
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "pocketface"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "pocketface" / "Cache"
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return (base if base.is_absolute() else Path.home() / ".cache") / "pocketface"  # the XDG rule for a relative path


def cache_key(**made_from: object) -> str:
    """A hex SHA-256 over everything that a result depends on: hashes, names, settings; whatever msgspec can encode."""
    return hashlib.sha256(msgspec.json.encode(made_from, order="deterministic")).hexdigest()


class Cache:
    """Arrays by key, each entry one ``.npz`` that was written whole or not at all.

    A cache is never a reason to stop: what cannot be read or written counts as not there, and ``notes`` says so.

    Args:
        folder: where the entries are; None for :func:`cache_folder`.
        limit_bytes: when more is kept, the entries that were not asked for the longest are removed.
    """

    def __init__(self, folder: Path | None = None, limit_bytes: int = 2 << 30) -> None:
        self.folder, self.limit_bytes = folder or cache_folder(), limit_bytes
        self.notes: list[str] = []

    def get(self, key: str) -> dict[str, NDArray[Any]] | None:
        """What was put under a key; None where nothing was, or where it is damaged (then ``notes`` says so)."""
        file = self._file(key)
        try:
            with np.load(file, allow_pickle=False) as entry:
                arrays = {name: entry[name] for name in entry.files}  # reads them whole and checks their CRC-32
            if str(arrays.pop(_KEY, "")) != key:
                raise ValueError("it is another entry's")
            os.utime(file)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error) as e:
            self.notes.append(f"{file} is ignored and made again, for it is damaged: {e}")
            return None
        except (NotImplementedError, RuntimeError, SyntaxError) as e:  # a zip that claims encryption, a header of .npy
            self.notes.append(f"{file} is ignored and made again, for it is damaged: {e}")
            return None
        return arrays

    def put(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep arrays (numbers or text, no objects) under a key."""
        file = self._file(key)
        try:
            with atomic(file) as temporary, temporary.open("wb") as stream:
                np.savez(stream, **{_KEY: np.array(key)}, **arrays)
        except OutputError as e:
            self.notes.append(f"not cached: {e}")
            return
        self._shrink(self.limit_bytes)

    def clear(self) -> int:
        """Remove every entry, and what killed runs left half-written; returns how many bytes the entries had."""
        for scratch in self.folder.glob("??/.*.npz.*"):
            shutil.rmtree(scratch, ignore_errors=True)
        return self._shrink(0)

    def _file(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npz"

    def _shrink(self, limit_bytes: int) -> int:
        """Remove the entries that were not used the longest until no more than so many bytes are left."""
        entries = []
        for file in self.folder.glob("??/*.npz"):
            try:
                entries.append((file.stat().st_mtime, file.stat().st_size, file))
            except OSError:  # another run removed it meanwhile
                continue
        freed, excess = 0, sum(size for _, size, _ in entries) - limit_bytes
        for _, size, file in sorted(entries):
            if freed >= excess:
                break
            file.unlink(missing_ok=True)
            freed += size
        return freed
