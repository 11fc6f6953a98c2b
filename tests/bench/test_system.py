"""Cores and memory of a process."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from pocketface.bench.system import default_cores, peak_memory_bytes, pin, usable_cores


@pytest.mark.parametrize(
    ("threads", "usable", "cores"),
    [(1, (0, 1, 2, 3), (1,)), (2, (0, 1, 2, 3), (1, 2)), (4, (0, 1, 2, 3), (0, 1, 2, 3)), (1, (5,), (5,)), (2, (), ())],
)
def test_the_first_core_is_left_to_the_system_where_others_do(
    threads: int, usable: tuple[int, ...], cores: tuple[int, ...]
) -> None:
    assert default_cores(threads, usable) == cores


@pytest.mark.skipif(not usable_cores(), reason="the system does not tell")
def test_a_process_is_pinned() -> None:
    core = usable_cores()[-1]
    code = f"import os; from pocketface.bench.system import pin; print(pin([{core}]), os.sched_getaffinity(0))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == f"True {{{core}}}"
    assert not pin([10_000])
    assert not pin([])
    assert core in os.sched_getaffinity(0)


def test_memory_once_held_counts_but_not_that_of_the_parent() -> None:
    held = np.ones(100 << 20, np.uint8)
    assert (peak_memory_bytes() or 0) > len(held)
    code = "from pocketface.bench.system import peak_memory_bytes; print(peak_memory_bytes())"
    child = int(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert 1 << 20 < child < len(held)
