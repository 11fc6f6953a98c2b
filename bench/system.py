"""What a process that measures may ask of its system: cores of its own, and how much memory it held."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

#: How libraries of linear algebra are told their threads: before they are loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def usable_cores() -> tuple[int, ...]:
    """Numbers of the cores that this process may use; empty where the system keeps that to itself."""
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()


def default_cores(threads: int, usable: Sequence[int]) -> tuple[int, ...]:
    """One core per thread: not the first, which most systems serve their interrupts on, unless every core is needed.

    From the front, because processors with fast and slow cores tend to number the fast ones first.

    >>> default_cores(1, (0, 1, 2, 3))
    (1,)
    """
    return tuple(usable[1 if len(usable) > threads else 0 :][:threads])


def pin(cores: Sequence[int]) -> bool:
    """Keep this process, and the threads that it will start, on these cores; False where that cannot be done."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        return False
    try:
        os.sched_setaffinity(0, cores)
    except OSError:
        return False
    return True


def peak_memory_bytes() -> int | None:
    """Most memory that this process held at once; None where the system does not tell.

    Linux also counts for ``getrusage`` what the parent held when it started the process, so its own count is read.
    """
    if platform.system() == "Linux":
        for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def load_average() -> str:
    """Mean number of processes that ran or waited, over the last minute; empty where the system does not tell."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""


def scaling_governor() -> str:
    """Linux's policy for the clock of the first core, such as ``performance``; empty where there is none."""
    try:
        return Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").read_text("ascii").strip()
    except (OSError, UnicodeError):
        return ""
