"""Does an answer hold? By the tolerance that a golden vector states, pictures to the byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from .pictures import Pictures
from .vectors import Case


def faults(case: Case[Any, Any], answer: Case[Any, Any], pictures: Pictures, drawn: Pictures) -> list[str]:
    """Where an answer departs from a golden vector by more than that allows.

    Args:
        case: the golden vector.
        answer: the same question, answered anew.
        pictures: those that the golden vector names.
        drawn: those that the answer names.

    Returns:
        A line for each place; none where all is right.
    """
    if case.error != answer.error:
        return [f"{case.name}: error {answer.error}, expected {case.error}"]
    if case.error:
        return []
    wanted, got = msgspec.to_builtins(case.expected), msgspec.to_builtins(answer.expected)
    judge = _Judge(case.tolerance, pictures, drawn)
    return [f"{case.name}{line}" for line in judge.differ(wanted, got, "", 0)]


class _Judge:
    def __init__(self, tolerance: Mapping[str, float], pictures: Pictures, drawn: Pictures) -> None:
        self.tolerance, self.pictures, self.drawn = tolerance, pictures, drawn

    def differ(self, wanted: Any, got: Any, at: str, allowed: float) -> Iterator[str]:
        if isinstance(wanted, dict) and isinstance(got, dict) and wanted.keys() == got.keys():
            for key, value in wanted.items():
                if key == "picture":
                    yield from self._pixels(value, got[key])
                else:
                    yield from self.differ(value, got[key], f"{at}.{key}", self.tolerance.get(key, allowed))
        elif isinstance(wanted, list | tuple) and isinstance(got, list | tuple) and len(wanted) == len(got):
            for i, value in enumerate(wanted):
                yield from self.differ(value, got[i], f"{at}[{i}]", allowed)
        elif not _close(wanted, got, allowed):
            yield f"{at}: {got}, expected {wanted}, within {allowed:g}"

    def _pixels(self, wanted: str, got: str) -> Iterator[str]:
        right, made = self.pictures[wanted], self.drawn[got]
        if right.shape != made.shape:
            yield f".picture: {made.shape}, expected {right.shape}"
        elif count := np.count_nonzero(right != made):
            most = np.abs(right.astype(int) - made).max()
            yield f".picture: {count} of {right.size} bytes differ, by up to {most}"


def _close(wanted: Any, got: Any, allowed: float) -> bool:
    if _is_number(wanted) and _is_number(got):
        return bool(abs(wanted - got) <= allowed)
    return type(wanted) is type(got) and bool(wanted == got)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
