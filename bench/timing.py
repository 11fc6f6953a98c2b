"""Time things against each other: in turn, round after round, so that a busy moment of the machine strikes all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np

Task = Callable[[], object]


def median_ms(tasks: Mapping[str, Task], *, rounds: int = 25, warmup: int = 3) -> dict[str, float]:
    """Median time of each task in milliseconds, over ``rounds`` rounds after some that do not count."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(warmup + rounds):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if turn >= warmup:
                times[name].append((time.perf_counter() - start) * 1e3)
    return {name: float(np.median(values)) for name, values in times.items()}
