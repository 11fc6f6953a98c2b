"""The user's program on a phone: may the phone run it, and what became of a run?"""

from __future__ import annotations

import re
import signal
from pathlib import Path

from ...errors import DeviceError, InvalidData

#: `e_machine` of an ELF header -> Android's names of the instruction set (gABI; Android's page on ABIs).
_ABIS = {183: ("arm64-v8a",), 40: ("armeabi-v7a", "armeabi"), 62: ("x86_64",), 3: ("x86",), 243: ("riscv64",)}
#: A process that a signal ended leaves 128 and the signal's number.
_SIGNALS = {128 + number: number.name for number in signal.Signals}

_WHY = {"SIGKILL": ", as Android does when memory runs out", "SIGXFSZ": ", for it printed or wrote without end"}


def instruction_sets(binary: Path) -> tuple[str, ...]:
    """The instruction sets of a program by its header; empty for a script, which may run anywhere.

    Raises:
        InvalidData: it cannot be read, or is neither an ELF program nor a script.
    """
    try:
        with binary.open("rb") as stream:
            head = stream.read(20)
    except OSError as e:
        raise InvalidData(f"{binary}: cannot be read: {e.strerror or e}") from e
    if head[:2] == b"#!":
        return ()
    if head[:4] != b"\x7fELF" or len(head) < 20:
        raise InvalidData(f"{binary}: not a program for Android (no ELF header); build it with Android's NDK")
    machine = int.from_bytes(head[18:20], "big" if head[5] == 2 else "little")
    return _ABIS.get(machine, (f"ELF machine {machine}",))


def require_abi(binary: Path, abis: tuple[str, ...]) -> None:
    """See that a phone with these instruction sets can run a program.

    Raises:
        DeviceError: it cannot.
        InvalidData: it is no program.
    """
    built = instruction_sets(binary)
    if built and abis and not set(built) & set(abis):
        raise DeviceError(f"{binary.name} is built for {built[0]}, the phone runs {', '.join(abis)}; build it for that")


def explain(status: int, text: str, binary: str) -> str:
    """Why a program ended with a status other than 0, and what to do."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = f"its last line is {lines[-1][:200]!r}" if lines else "it printed nothing"
    if found := re.search(r'CANNOT LINK EXECUTABLE.*?library "([^"]+)" not found', text):
        return f"{binary} needs {found[1]}: give it with --library"
    if re.search(r"not executable:|Exec format error|not position independent|unexpected e_machine", text, re.I):
        return f"the phone cannot run {binary}: {lines[-1][:200]}; build it for the phone's instruction set"
    if status in _SIGNALS:
        name = _SIGNALS[status]
        return f"{binary} was ended by {name}{_WHY.get(name, '')}; {told}"
    return f"{binary} ended with status {status}; {told}"
