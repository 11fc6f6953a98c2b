"""Conditions that another file's decisions must meet: ``flips<=0.005,tar_drop<=0.01,cosine>=0.985``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: What a condition may speak of, as :attr:`Drift.figures` names it.
FIGURES = (
    "cosine",
    "cosine_min",
    "cosine_p1",
    "flips",
    "flips_all",
    "flips_genuine",
    "flips_impostor",
    "shift_genuine",
    "shift_impostor",
    "tar_drop",
)
_CONDITION = re.compile(r"\s*(\w+)\s*(<=|>=)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")


@dataclass(frozen=True)
class Condition:
    """A figure and the most, or the least, that it may be."""

    figure: str
    relation: str
    limit: float

    def __str__(self) -> str:
        return f"{self.figure} {self.relation} {self.limit:g}"

    def holds(self, value: float) -> bool:
        """Whether a value meets it; NaN never does."""
        return value <= self.limit if self.relation == "<=" else value >= self.limit


def parse_gate(text: str, figures: Sequence[str] = FIGURES) -> tuple[Condition, ...]:
    """Read conditions with commas between them, each about one of the figures.

    Raises:
        ValueError: not such a text, or a figure that there is not.
    """
    conditions = []
    for part in text.split(","):
        found = _CONDITION.fullmatch(part)
        if not found:
            raise ValueError(f"expected conditions like flips<=0.005,cosine>=0.985, got {part.strip()!r}")
        figure, relation, limit = found.groups()
        if figure not in figures:
            raise ValueError(f"there is no figure {figure!r} to judge, only {', '.join(figures)}")
        conditions.append(Condition(figure, relation, float(limit)))
    return tuple(conditions)


def broken(conditions: Sequence[Condition], figures: Mapping[str, float]) -> list[str]:
    """The conditions that do not hold, in words; one whose figure was not measured does not hold."""
    said = []
    for condition in conditions:
        if condition.figure not in figures:
            said.append(f"{condition.figure} was not measured, {condition} is wanted")
        elif not condition.holds(value := figures[condition.figure]):
            said.append(f"{condition.figure} is {value:.5g}, {condition} is wanted")
    return said
