"""An engine without a model, for tests of programs that use a detector or an embedder."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .tensors import Array, Feeds


class FakeBackend:
    """A backend that answers as told, and remembers what it was fed.

    Args:
        answer: the outputs, or a function that makes them from the feeds.

    >>> import numpy as np
    >>> fake = FakeBackend({"embedding": np.ones((1, 4), np.float32)})
    >>> fake.run({"image": np.zeros((1, 3, 8, 8))})["embedding"].shape, len(fake.feeds)
    ((1, 4), 1)
    """

    name = "fake"

    def __init__(self, answer: Mapping[str, Array] | Callable[[Feeds], Mapping[str, Array]]) -> None:
        self.answer = answer
        self.feeds: list[Feeds] = []

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Remember the feeds and answer."""
        self.feeds.append(feeds)
        return dict(self.answer(feeds) if callable(self.answer) else self.answer)
