"""From a list of pairs of names to a pair set: find the pictures, name what is missing, number the folds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidData
from .assemble import Entry, assemble, settle
from .labels import Labels
from .samples import PairSet, contiguous_folds
from .shelf import Read, named, printable


@dataclass(frozen=True)
class Pair:
    """A line of a list.

    Attributes:
        a, b: the pictures, as the list names them.
        same: whether both show one person.
        fold: as the list numbers it; None where it has no folds.
        columns: what else the line says.
    """

    a: str
    b: str
    same: bool
    fold: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


def join_pairs(
    name: str,
    pairs: Sequence[Pair],
    find: Callable[[str], Read | None],
    labels: Labels,
    *,
    problems: Sequence[str] = (),
    aligned: bool = False,
    strict: bool = False,
) -> PairSet:
    """Find every picture of the pairs; a pair is left out if one of its pictures is missing.

    Args:
        name: of the list.
        pairs: its lines.
        find: a picture as the list names it -> how to read it, None if it is missing.
        labels: of the pictures, by their names in the list.
        problems: what was found wrong before.
        aligned: see ``open_pairs``.
        strict: see ``open_pairs``.

    Raises:
        InvalidData: no pair, or none with both pictures; only some with a fold; with ``strict`` any fault.
    """
    if not pairs:
        raise InvalidData(f"{name}: no pair in it")
    reads = {key: find(key) for key in sorted({key for pair in pairs for key in (pair.a, pair.b)})}
    whole = [pair for pair in pairs if reads[pair.a] and reads[pair.b]]
    problems = [*problems, *_missing(pairs, reads, labels, len(pairs) - len(whole)), *_contradictions(whole)]
    if not whole:
        raise InvalidData(f"{name}: none of its {len(pairs)} pairs has both pictures; {'; '.join(problems)}")
    needed = sorted({key for pair in whole for key in (pair.a, pair.b)})
    problems += labels.faults(needed)
    settle(name, problems, strict)  # before pictures are hashed, which may take long
    entries = [Entry(key, read, labels.identity(key), labels.columns(key)) for key in needed if (read := reads[key])]
    images = assemble(name, entries, aligned=aligned, problems=problems, strict=strict)
    index = {key: i for i, key in enumerate(needed)}
    same = np.array([pair.same for pair in whole], bool)
    columns = {key: tuple(pair.columns[key] for pair in whole) for key in whole[0].columns}
    indices = np.array([(index[pair.a], index[pair.b]) for pair in whole], np.int64)
    return PairSet(images, indices, same, _folds(name, whole, same), len(pairs) - len(whole), columns)


def _folds(name: str, pairs: Sequence[Pair], same: NDArray[np.bool_]) -> NDArray[np.int64]:
    folds = [pair.fold for pair in pairs if pair.fold is not None]
    if not folds:
        return contiguous_folds(same)
    if len(folds) != len(pairs):
        raise InvalidData(f"{name}: {len(folds)} of {len(pairs)} pairs have a fold; expected all or none to have one")
    return np.unique(folds, return_inverse=True)[1].astype(np.int64)


def _missing(pairs: Sequence[Pair], reads: Mapping[str, Read | None], labels: Labels, lost: int) -> list[str]:
    missing = [key for key, read in reads.items() if read is None]
    if not missing:
        return []
    known = {labels.identity(key) for key, read in reads.items() if read is not None}
    unknown = sorted({who for key in missing if (who := labels.identity(key)) is not None} - known)
    said = [f"{len(missing)} pictures are missing, so {lost} of {len(pairs)} pairs are left out: {named(missing)}"]
    return said + ([f"{len(unknown)} people have no picture at all: {named(unknown)}"] if unknown else [])


def _contradictions(pairs: Sequence[Pair]) -> list[str]:
    verdicts: dict[frozenset[str], set[bool]] = {}
    for pair in pairs:
        verdicts.setdefault(frozenset((pair.a, pair.b)), set()).add(pair.same)
    both = [" and ".join(sorted(map(printable, pair))) for pair, said in verdicts.items() if len(said) > 1]
    alone = sorted(next(iter(pair)) for pair in verdicts if len(pair) == 1)
    return [
        f"{len(found)} {what}: {named(found)}"
        for found, what in (
            (both, "pairs are listed as the same person and as two"),
            (alone, "pictures are compared with themselves"),
        )
        if found
    ]
