"""Cut a data set by what is known of its pictures: age, pose, quality, group; every picture lands in a named slice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidData
from .data import PairSet
from .data.shelf import named
from .verification import Data, images_of

#: The slice of what has no value in the column; it is shown like any other.
UNKNOWN = "not known"
#: A column of numbers with more different values than this is cut into ranges.
MOST_VALUES = 8
BINS = 4


@dataclass(frozen=True, eq=False)
class Slices:
    """Which slice each picture, or each pair, is in.

    Attributes:
        column: that was cut by.
        names: of the S slices; one of them may be empty.
        of: (N,) number of the slice, of every picture, or of every pair where the column is one of the list of pairs.
        by_pair: which of the two.
    """

    column: str
    names: tuple[str, ...]
    of: NDArray[np.int64]
    by_pair: bool = False


def cut(data: Data, column: str, *, edges: Sequence[float] | None = None, bins: int = BINS) -> Slices:
    """Cut by a column of the pictures, or of the list of pairs.

    Args:
        data: pairs or pictures.
        column: its name.
        edges: k rising numbers, for k + 1 ranges: below the first, from each (included) to the next, from the last on.
        bins: without edges, a column of numbers with many different values is cut into so many ranges that hold about
            as many pictures each.

    Raises:
        InvalidData: no picture has such a column, or edges that do not rise or are for a column without numbers.
    """
    values, by_pair = _values(data, column)
    known = [value for value in values if value]
    numbers = _numbers(known)
    if edges is not None:
        _check_edges(column, edges, known, numbers)
    elif numbers is not None and len(set(numbers)) > MOST_VALUES:
        edges = np.unique(np.quantile(numbers, np.arange(1, bins) / bins)).tolist()
    if edges is None:
        order = sorted(set(known), key=float if numbers is not None else None)
        names, place = list(order), {value: i for i, value in enumerate(order)}
        of = [place.get(value, len(names)) for value in values]
    else:
        names = _ranges(edges)
        of = [int(np.searchsorted(edges, float(v), side="right")) if v else len(names) for v in values]
    if len(names) in of:
        names.append(UNKNOWN)
    return Slices(column, tuple(names), np.array(of, np.int64), by_pair)


def _values(data: Data, column: str) -> tuple[list[str], bool]:
    if isinstance(data, PairSet) and column in data.columns:
        return list(data.columns[column]), True
    samples = images_of(data).samples
    values = [sample.columns.get(column, "") for sample in samples]
    if not any(values):
        there = {name for sample in samples for name in sample.columns}
        if isinstance(data, PairSet):
            there |= set(data.columns)
        raise InvalidData(
            f"{images_of(data).name}: no picture has a column {column!r}; there are: {named(sorted(there)) or 'none'}; "
            "name a CSV with --columns, or a naming scheme with --scheme"
        )
    return values, False


def _numbers(values: Sequence[str]) -> list[float] | None:
    """The values as numbers, if all of them are."""
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _check_edges(column: str, edges: Sequence[float], known: Sequence[str], numbers: list[float] | None) -> None:
    if not len(edges) or not all(map(math.isfinite, edges)) or not all(np.diff(edges) > 0):
        raise InvalidData(f"expected edges that rise, got {', '.join(f'{edge:g}' for edge in edges) or 'none'}")
    if numbers is None:
        other = dict.fromkeys(value for value in known if _numbers([value]) is None)
        raise InvalidData(f"edges are for numbers, and column {column!r} has {named(other)}")


def _ranges(edges: Sequence[float]) -> list[str]:
    between = [f"{a:g} to below {b:g}" for a, b in pairwise(edges)]
    return [f"below {edges[0]:g}", *between, f"{edges[-1]:g} and more"]
