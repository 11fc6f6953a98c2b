"""Time things against each other: in turn, round after round, so that a busy moment of the machine strikes all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

import numpy as np

Task = Callable[[], object]
Measured = TypeVar("Measured")


def interleaved(
    measures: Mapping[str, Callable[[], Measured]], *, rounds: int, warmup: int
) -> dict[str, list[Measured]]:
    """Take every measure once per round and return what each gave, but for the first ``warmup`` rounds.

    Every second round goes backwards: what one leaves in the caches is then not always found by the same other one.
    """
    found: dict[str, list[Measured]] = {name: [] for name in measures}
    names = list(measures)
    for turn in range(warmup + rounds):
        for name in names if turn % 2 == 0 else reversed(names):
            measured = measures[name]()
            if turn >= warmup:
                found[name].append(measured)
    return found


def elapsed_ms(task: Task, clock: Callable[[], float] = time.perf_counter) -> float:
    """How long a task takes once.

    For tasks of one thread, ``clock`` may be ``time.process_time``, which stands still while others have the processor.
    """
    start = clock()
    task()
    return (clock() - start) * 1e3


def median_ms(tasks: Mapping[str, Task], *, rounds: int = 25, warmup: int = 3) -> dict[str, float]:
    """Median time of each task in milliseconds, over ``rounds`` rounds after some that do not count."""
    measures = {name: partial(elapsed_ms, task) for name, task in tasks.items()}
    times = interleaved(measures, rounds=rounds, warmup=warmup)
    return {name: float(np.median(values)) for name, values in times.items()}
