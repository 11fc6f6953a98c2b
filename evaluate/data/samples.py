"""The nouns of an evaluation: a picture, a set of pictures, and pairs of them to tell apart."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """One picture of one person; its pixels are read when they are asked for.

    Attributes:
        name: says in messages and CSV files which picture it is.
        read: decodes it into ``(H, W, 3) uint8`` RGB; raises InvalidImage where it cannot. Any thread may call it.
        aligned: whether it is a square crop with its five landmarks on the ArcFace template, scaled to its side.
        identity: who it is, where that is known.
        columns: what else is known: ``age``, ``pose``, ``group``, all as text.
    """

    name: str
    read: Callable[[], Image]
    aligned: bool
    identity: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageSet:
    """Pictures in a set order: the same files always give the same order.

    Attributes:
        name: of the file or folder.
        samples: the pictures.
        fingerprint: hex SHA-256 over the pictures' names, sizes, contents and whether they are aligned: of all that an
            embedding depends on, and of nothing else.
        problems: a sentence for each fault that was found in the data and got around.
    """

    name: str
    samples: tuple[Sample, ...]
    fingerprint: str
    problems: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def labels_fingerprint(self) -> str:
        """Hex SHA-256 over ``fingerprint`` and who is in which picture; results about identities depend on both."""
        labels = [(s.identity, sorted(s.columns.items())) for s in self.samples]
        return hashlib.sha256(self.fingerprint.encode() + msgspec.json.encode(labels)).hexdigest()

    def derive(self, how: str, samples: Iterable[Sample]) -> ImageSet:
        """A set made from this one: some of its pictures, or changed ones.

        Args:
            how: names the change with all its settings; with this set's fingerprint it gives the new one, so two
                changes of one name would be taken for each other by a cache.
            samples: the new pictures.
        """
        made = hashlib.sha256(f"{self.fingerprint}\0{how}".encode()).hexdigest()
        return replace(self, name=f"{self.name}, {how}", samples=tuple(samples), fingerprint=made)


@dataclass(frozen=True, eq=False)
class PairSet:
    """Pairs of pictures that show one person or two.

    Attributes:
        images: the pictures that the pairs need, each once.
        pairs: ``(P, 2) int64`` indices into ``images.samples``.
        same: ``(P,) bool`` whether a pair shows one person.
        folds: ``(P,) int64`` fold of each pair, from 0 on without gaps.
        left_out: pairs of the list that are not here because a picture is missing; ``images.problems`` names those.
        columns: what else the list says of each pair: name -> P values.
    """

    images: ImageSet
    pairs: NDArray[np.int64]
    same: NDArray[np.bool_]
    folds: NDArray[np.int64]
    left_out: int = 0
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 over the pictures and the pairs."""
        total = hashlib.sha256(self.images.fingerprint.encode())
        for part in (self.pairs, self.same, self.folds):
            total.update(np.ascontiguousarray(part).tobytes())
        return total.hexdigest()


def contiguous_folds(same: NDArray[np.bool_], count: int = 10) -> NDArray[np.int64]:
    """Folds for a list without any: its genuine pairs cut into ``count`` runs, and its impostor pairs likewise.

    Every fold then holds both, however the list is ordered. On the sets of the field, whose folds are equally long and
    hold as many genuine as impostor pairs, these are the official folds.

    Returns:
        ``(P,) int64``, 0..count - 1, in ascending order within each kind; fewer folds where a kind has fewer pairs.
    """
    kinds = [np.flatnonzero(same == kind) for kind in (True, False)]
    count = max(1, min(count, *(len(kind) or count for kind in kinds)))
    folds = np.zeros(len(same), np.int64)
    for kind in kinds:
        folds[kind] = np.arange(len(kind)) * count // max(len(kind), 1)
    return folds
