"""An emulated 64-bit ARM with Python and the engines: QEMU's user mode, Debian's interpreter, the engines' own wheels.

Nothing is installed and nothing needs root: packages are unpacked into the cache, and the emulator is told where they
lie. QEMU 10 is taken, as 7.2 shows the host's processor to the guest, where ONNX Runtime then crashes.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ...artifact import atomic
from ..cache import cache_folder, cache_key
from .debian import unpack
from .fetch import Unavailable, fetch

#: Suite of Debian with the guest's Python, and its packages.
_GUEST = "bookworm"
_PYTHON = "3.11"
_SYSTEM = (
    *("libc6", "libgcc-s1", "libstdc++6", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib"),
    *("zlib1g", "libexpat1", "libssl3", "libffi8", "libbz2-1.0", "liblzma5", "libuuid1"),
)
#: Suite with the emulator, which is linked statically.
_HOST = "trixie"
#: What the runtime and its engines need, in the versions that are installed here.
_WHEELS = (
    *("numpy", "onnxruntime", "ai-edge-litert", "flatbuffers", "protobuf", "packaging", "msgspec", "pillow"),
    *("typing_extensions", "backports.strenum", "tqdm"),
)
_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
#: Seconds that one file may take.
_PATIENCE = 1800


@dataclass(frozen=True)
class Machine:
    """Where the parts of an emulated machine lie.

    Attributes:
        folder: the emulator in ``qemu``, Debian in ``system``, wheels in ``site``.
        ours: a folder with a link to this package.
    """

    folder: Path
    ours: Path

    def command(self, cpu: str, arguments: Sequence[str]) -> list[str]:
        """The command that runs the guest's Python with these arguments on an emulated processor."""
        emulator, system = self.folder / "qemu/usr/bin/qemu-aarch64", self.folder / "system"
        return [str(emulator), "-L", str(system), "-cpu", cpu, str(system / f"usr/bin/python{_PYTHON}"), *arguments]

    def environment(self) -> dict[str, str]:
        """Its own packages and ours, and nothing of the host's Python."""
        paths = os.pathsep.join(map(str, (self.folder / "site", self.ours)))
        return {"PYTHONPATH": paths, "PYTHONPYCACHEPREFIX": str(self.folder / "bytecode"), "OMP_NUM_THREADS": "1"}

    def run(self, cpu: str, arguments: Sequence[str]) -> str:
        """Run the guest's Python; an empty string if all went well, else the last that it said."""
        try:
            done = subprocess.run(
                self.command(cpu, arguments),
                env=self.environment(),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PATIENCE,
            )
        except subprocess.TimeoutExpired:
            return f"took more than {_PATIENCE} s"
        if done.returncode == 0:
            return ""
        lines = done.stderr.strip().splitlines()
        return lines[-1] if lines else f"ended with status {done.returncode}"


def prepare(progress: Callable[[str], None] = lambda step: None) -> Machine:
    """The emulated machine, from the cache or fetched anew.

    Raises:
        Unavailable: this is no Linux with apt and pip, or they cannot get what it takes.
        OutputError: the cache cannot be written to.
    """
    wheels = pinned()
    folder = cache_folder() / "arm64" / cache_key(wheels=wheels, system=_SYSTEM, suites=(_GUEST, _HOST))[:16]
    if not folder.is_dir():
        if platform.system() != "Linux":
            raise Unavailable(f"QEMU's user mode is Linux's; this is {platform.system()}")
        with atomic(folder) as temporary, tempfile.TemporaryDirectory(prefix="pocketface-") as state:
            progress("fetching the emulator")
            unpack(_HOST, _architecture(), ["qemu-user"], temporary / "qemu", Path(state) / "host")
            progress("fetching Python for arm64")
            unpack(_GUEST, "arm64", _SYSTEM, temporary / "system", Path(state) / "guest")
            progress("fetching the engines for arm64")
            _unzip(wheels, temporary / "site", Path(state) / "wheels")
    return Machine(folder, _linked(folder))


def _linked(folder: Path) -> Path:
    """A folder in the machine's with a link to this package: another checkout that shares the cache has its own."""
    package = Path(__file__).resolve().parents[2]
    ours = folder / "ours" / cache_key(package=str(package))[:16]
    if not ours.is_dir():
        with atomic(ours) as temporary:
            temporary.mkdir()
            (temporary / "pocketface").symlink_to(package)
    return ours


def pinned() -> list[str]:
    """The wheels with the versions that are installed here: other versions may well give other bytes.

    Raises:
        Unavailable: an engine is not installed here.
    """
    try:
        return [f"{name}=={version(name)}" for name in _WHEELS]
    except PackageNotFoundError as e:
        raise Unavailable(f"{e.name} is not installed here, so there is nothing to compare with") from e


def _unzip(wheels: Sequence[str], site: Path, state: Path) -> None:
    state.mkdir()
    platforms = [word for name in _PLATFORMS for word in ("--platform", name)]
    only = ["--no-deps", "--only-binary=:all:", "--python-version", _PYTHON, "--implementation", "cp", *platforms]
    fetch([sys.executable, "-m", "pip", "download", "-q", *only, "-d", str(state), *wheels], state)
    for file in sorted(state.glob("*.whl")):
        with zipfile.ZipFile(file) as wheel:
            wheel.extractall(site)


def _architecture() -> str:
    """The host's, as Debian calls it."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
