"""Named tensors: what goes into an engine, and a check that it is what the model takes."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidContract

Array = NDArray[Any]
#: Input tensor name -> array.
Feeds = Mapping[str, Array]


class TensorSpec(NamedTuple):
    """An input as the model file declares it; None stands for a dimension that may have any length."""

    dtype: str
    shape: tuple[int | None, ...]

    def admits(self, array: Array) -> bool:
        """Whether the array has this type, and this shape wherever it is fixed."""
        fits = array.ndim == len(self.shape) and all(
            w in (None, n) for w, n in zip(self.shape, array.shape, strict=True)
        )
        return fits and _name(array.dtype) == self.dtype

    def __str__(self) -> str:
        return f"{self.dtype} ({', '.join('any' if n is None else str(n) for n in self.shape)})"


@functools.cache
def _name(dtype: np.dtype[Any]) -> str:
    return dtype.name  # numpy makes it anew each time, slowly


def check_feeds(model: str, feeds: Feeds, expected: Mapping[str, TensorSpec]) -> None:
    """Refuse feeds whose names, types or shapes are not those of the model's inputs.

    Engines say little about such a mistake, and some resize the model instead.

    Raises:
        InvalidContract: they differ; feeds are made by the contract, so it does not describe this file.
    """
    if feeds.keys() != expected.keys() or not all(expected[name].admits(array) for name, array in feeds.items()):
        came = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in feeds.items())
        wanted = ", ".join(f"{name} {spec}" for name, spec in expected.items())
        raise InvalidContract(
            f"{model}: fed with {came or 'nothing'}, but the file takes {wanted}; correct its contract"
        )
