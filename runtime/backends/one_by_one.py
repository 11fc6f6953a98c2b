"""Batches for engines and files that take one picture at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .tensors import Array, Feeds

if TYPE_CHECKING:
    from . import Backend


class OneByOne:
    """Runs a backend once per picture and joins the answers, so that callers may always send a batch."""

    def __init__(self, backend: Backend) -> None:
        self.backend, self.name = backend, backend.name

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run every ``[i : i + 1]`` of the feeds, all of which have the same first dimension of 1 or more."""
        count = min(len(array) for array in feeds.values())
        if count == 1:
            return self.backend.run(feeds)
        answers = [self.backend.run({name: a[i : i + 1] for name, a in feeds.items()}) for i in range(count)]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}
