"""How long one forward pass takes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..runtime.backends import Backend


@dataclass(frozen=True)
class Latency:
    """Latency of one call in milliseconds: median, 90th and 99th percentile, over ``runs`` calls."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    runs: int


def measure_latency(
    backend: Backend,
    feeds: Mapping[str, npt.NDArray[np.generic]],
    *,
    runs: int = 50,
    warmup: int = 5,
    limit_s: float = 3.0,
) -> Latency:
    """Time ``backend.run(feeds)`` after a warm-up, up to ``runs`` times or until ``limit_s`` seconds have passed."""
    for _ in range(warmup):
        backend.run(feeds)
    times: list[float] = []
    end = time.perf_counter() + limit_s
    while len(times) < runs and (not times or time.perf_counter() < end):
        start = time.perf_counter()
        backend.run(feeds)
        times.append((time.perf_counter() - start) * 1e3)
    p50, p90, p99 = np.percentile(times, [50, 90, 99])
    return Latency(float(p50), float(p90), float(p99), len(times))
