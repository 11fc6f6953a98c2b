"""A program, ready to run: what to call, on what, under which name to keep the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

import torch

from .kernels import Kernel
from .values import TensorType

Named = tuple[tuple[str, TensorType], ...]


@dataclass(frozen=True)
class Step:
    """One operation, ready to run.

    Attributes:
        op: its type.
        kernel: what computes it.
        fixed: arguments that are the same in every run.
        bound: parameter -> the name, or names, of the values that it takes.
        outputs: names and declared types of its results, at least one.
        dead: names of values that no later step needs.
    """

    op: str
    kernel: Kernel
    fixed: Mapping[str, Any]
    bound: Mapping[str, str | tuple[str, ...]]
    outputs: Named
    dead: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        """Of all values that it takes or gives."""
        taken = {n for b in self.bound.values() for n in (b if isinstance(b, tuple) else (b,))}
        return taken | {name for name, _ in self.outputs}


@dataclass(frozen=True)
class Plan:
    """A program, ready to run.

    Attributes:
        inputs: name -> type of what must be fed.
        outputs: name -> type of what comes out.
        constants: name -> tensor, of those that steps take by name.
        steps: in the order of the program.
    """

    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType]
    constants: Mapping[str, torch.Tensor]
    steps: Sequence[Step]


def with_dead(steps: Sequence[Step], kept: AbstractSet[str]) -> list[Step]:
    """The steps, each with the names that it is the last to use, unless they are to be kept."""
    seen, planned = set(kept), []
    for step in reversed(steps):
        planned.append(replace(step, dead=tuple(sorted(step.names - seen))))
        seen |= step.names
    return planned[::-1]
