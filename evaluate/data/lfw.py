"""LFW's lists of pairs: ``pairs.txt`` with its ten folds, ``pairsDevTrain.txt`` and ``pairsDevTest.txt`` without.

Source: the format's description on the page of Labeled Faces in the Wild, and the lists themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ...errors import InvalidData
from .pairs import Pair
from .shelf import Shelf, printable, read_text


def read_lfw(path: Path) -> list[Pair]:
    """The pairs of a list, pictures as ``Name_0001``.

    The first line has the number of folds, if there are folds, and of pairs of each kind in a fold. Then come, fold by
    fold, so many genuine pairs ``Name i j`` and so many impostor pairs ``Name i OtherName j``, apart by tabs.

    Raises:
        InvalidData: it cannot be read, or a line or their number is not as the first line says.
    """
    lines = [(i, line.split("\t" if "\t" in line else None)) for i, line in _lines(path)]
    try:
        *folds, each = map(int, lines[0][1])
        count = folds[0] if folds else 1
        if len(folds) > 1 or count < 1 or each < 1:
            raise ValueError
    except (ValueError, IndexError):
        raise InvalidData(f"{path}: expected its first line to be as `10 300`: folds, and pairs of a kind") from None
    if len(lines) - 1 != 2 * each * count:
        raise InvalidData(f"{path}: {len(lines) - 1} pairs, its first line promises {2 * each * count}; copy it again")
    pairs = []
    for position, (number, words) in enumerate(lines[1:]):
        fold, place = divmod(position, 2 * each)
        pairs.append(_pair(path, number, words, place < each, fold if folds else None))
    return pairs


def place_lfw(shelf: Shelf) -> dict[str, str]:
    """``Name_0001`` -> name on the shelf: folders per person, one flat folder, and either inside others all serve.

    Raises:
        InvalidData: two pictures of one name, as where LFW lies beside its funneled version.
    """
    places: dict[str, str] = {}
    for name in shelf.names():
        first = places.setdefault(PurePosixPath(name).stem, name)
        if first != name:
            both = f"{printable(first)} and {printable(name)}"
            raise InvalidData(f"{shelf.path}: two pictures for one name: {both}; name the folder of one version")
    return places


def identity_of_name(key: str) -> str:
    """``Name_0001`` -> ``Name``."""
    return key.rpartition("_")[0]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            yield number, line.strip()


def _pair(path: Path, number: int, words: list[str], same: bool, fold: int | None) -> Pair:
    try:
        if same:
            (name, i, j), other = words, words[0]
        else:
            name, i, other, j = words
        a, b = f"{name.strip()}_{int(i):04d}", f"{other.strip()}_{int(j):04d}"
    except ValueError:
        wanted = "`Name i j`" if same else "`Name i OtherName j`"
        came = printable(" ".join(words))
        raise InvalidData(f"{path}, line {number}: expected {wanted}, got `{came}`") from None
    if not same and name == other:
        raise InvalidData(f"{path}, line {number}: {printable(name)} twice in a pair of two people")
    return Pair(a, b, same, fold)
