"""Results of long runs, kept for the next run: found again by what they were made from, never by name or date."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray


def cache_folder() -> Path:
    """Where the platform wants caches; ``POCKETFACE_CACHE`` in the environment overrides it."""
    raise NotImplementedError


def cache_key(**made_from: object) -> str:
    """A hex SHA-256 over everything that a result depends on: hashes, names, settings, all JSON-able."""
    raise NotImplementedError


class Cache:
    """Arrays by key, in files of one folder."""

    def __init__(self, folder: Path | None = None, limit_bytes: int = 2 << 30) -> None:
        self.folder, self.limit_bytes, self.notes = folder or cache_folder(), limit_bytes, list[str]()

    def get(self, key: str) -> dict[str, NDArray[Any]] | None:
        """What was put under a key; None where nothing was, or what was is damaged (then ``notes`` says so)."""
        raise NotImplementedError

    def put(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep arrays (numbers or text, no objects) under a key."""
        raise NotImplementedError

    def clear(self) -> int:
        """Remove every entry; returns how many bytes that freed."""
        raise NotImplementedError
