"""Pairs in a CSV file: ``a,b,same``, and if one likes ``fold`` and more columns, to slice results by."""

from __future__ import annotations

from pathlib import Path

from ...errors import InvalidData
from .labels import read_rows
from .pairs import Pair
from .shelf import printable

_TRUTH = {"1": True, "true": True, "yes": True, "same": True, "0": False, "false": False, "no": False}
_TRUTH["different"] = False


def read_csv_pairs(path: Path) -> list[Pair]:
    """The pairs of a CSV file, pictures by their paths from the folder of the pictures on.

    Raises:
        InvalidData: it cannot be read, lacks a column, or has a value that is none of a column's.
    """
    pairs = []
    for line, row in read_rows(path, needed=("a", "b", "same")):
        a, b, same, fold = row.pop("a"), row.pop("b"), row.pop("same"), row.pop("fold", "")
        if same.lower() not in _TRUTH:
            raise InvalidData(f"{path}, line {line}: expected 1 or 0 for same, got {printable(same)!r}")
        if fold and not (fold.isascii() and fold.isdigit()):
            raise InvalidData(f"{path}, line {line}: expected a whole number for fold, got {printable(fold)!r}")
        pairs.append(Pair(a, b, _TRUTH[same.lower()], int(fold) if fold else None, row))
    return pairs
