"""The crops whose identity is known, numbered for a classifier, and those of them that a step takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidData
from .crops import Deck


@dataclass(frozen=True, eq=False)
class Roster:
    """Some crops of a deck, with classes from 0 on without gaps.

    Attributes:
        deck: where the pixels are.
        numbers: (M,) int64 the crops, as the deck counts them.
        labels: (M,) int64 class of each.
        names: of the M crops.
        identities: of the M crops.
        group: crops of one identity that a step takes together; triplets want several, a margin 1.
    """

    deck: Deck
    numbers: NDArray[np.int64]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    identities: tuple[str, ...]
    group: int = 1

    @classmethod
    def of(cls, deck: Deck, *, kept: frozenset[str] | None = None, group: int = 1) -> Roster:
        """The crops of a deck that have an identity.

        Args:
            deck: of one or several stores.
            kept: if given, names of the only crops to take, see ``subcenter``.
            group: see above.

        Raises:
            InvalidData: fewer than two identities, or a batch that is no multiple of ``group``.
        """
        if group < 1 or deck.batch % group:
            raise InvalidData(f"a batch of {deck.batch} cannot be made of groups of {group}; choose a multiple")
        names = [name for store in deck.stores for name in store.names]
        every = deck.labels()
        numbers = np.array([i for i, n in enumerate(names) if every[i] >= 0 and (kept is None or n in kept)], np.int64)
        labels = np.unique(every[numbers], return_inverse=True)[1].astype(np.int64)
        if not len(labels) or not labels.any():
            raise InvalidData(f"{len(names)} crops, {len(numbers)} to learn from, with fewer than two identities")
        people = [store.identities[k] if k >= 0 else "" for store in deck.stores for k in store.labels]
        chosen, owners = tuple(names[i] for i in numbers), tuple(people[i] for i in numbers)
        return cls(deck, numbers, labels, chosen, owners, group)

    @property
    def classes(self) -> int:
        """How many identities."""
        return int(self.labels.max()) + 1

    def draw(self, step: int) -> NDArray[np.int64]:
        """``(batch,) int64`` of this rank and step, positions in ``numbers``; a function of the seed beside.

        Every crop comes once before any comes again; or with groups, every identity, with any of its crops, of which
        none comes twice in a group unless there are too few.
        """
        deck = self.deck
        if self.group == 1:
            return _shuffled(len(self.numbers), step * deck.ranks + deck.rank, deck.batch, deck.seed)
        people = _shuffled(self.classes, step * deck.ranks + deck.rank, deck.batch // self.group, deck.seed)
        rng = np.random.default_rng([deck.seed, deck.rank, step, 2])
        return np.concatenate([np.resize(rng.permutation(self._crops_of(who)), self.group) for who in people])

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All positions by class, and where each class ends in them."""
        return np.argsort(self.labels, kind="stable"), np.bincount(self.labels).cumsum()

    def _crops_of(self, who: int) -> NDArray[np.int64]:
        order, ends = self._sorted
        return order[ends[who - 1] if who else 0 : ends[who]]


def _shuffled(total: int, part: int, size: int, seed: int) -> NDArray[np.int64]:
    """The ``part``-th run of ``size`` in an endless row of permutations of 0..total-1."""
    places = np.arange(part * size, (part + 1) * size)
    rounds = range(int(places[0]) // total, int(places[-1]) // total + 1)
    chosen: NDArray[np.int64] = np.concatenate([_order(total, seed, r) for r in rounds])[places - rounds[0] * total]
    return chosen


@lru_cache(maxsize=2)  # a round has many steps
def _order(total: int, seed: int, number: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, number]).permutation(total)
