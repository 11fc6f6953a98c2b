"""Where a result was measured: what a reader needs to judge a figure, and nothing that tells whose machine it was.

No host name, no user name, no path.
"""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from . import __version__

#: The packages whose version can change a figure, as pip knows them.
PACKAGES = (
    "numpy",
    "onnxruntime",
    "ai-edge-litert",
    "tflite-runtime",
    "coremltools",
    "torch",
    "onnx",
    "onnxscript",
    "litert-torch",
    "pillow",
)


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The machine and the software of a measurement.

    Attributes:
        system: the operating system: ``Linux``, ``Darwin``, ``Windows``.
        machine: the instruction set: ``x86_64``, ``arm64``.
        cpu: the processor's model, or ``unknown``.
        cores: how many logical cores this process may use.
        python: version of the interpreter.
        packages: package -> version, of those of ``PACKAGES`` that are installed, and of pocketface.
    """

    system: str
    machine: str
    cpu: str
    cores: int
    python: str
    packages: dict[str, str]


def current_environment() -> Environment:
    """Describe the machine that this runs on. Imports none of the packages that it looks for."""
    return Environment(
        system=platform.system(),
        machine=platform.machine(),
        cpu=_cpu() or "unknown",
        cores=_cores(),
        python=platform.python_version(),
        packages={"pocketface": __version__} | _installed(),
    )


def _installed() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux: a container may hold fewer cores than the machine has
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu() -> str:
    try:
        if platform.system() == "Darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except (OSError, subprocess.SubprocessError):
        pass
    return platform.processor()
