"""The ``adb`` program: which phones there are, and what one of them is told to do.

Android's own client does the work, so whatever reaches a phone from a terminal reaches it from here: over a cable, over
the network, through a server elsewhere (``ANDROID_ADB_SERVER_ADDRESS``, ``ANDROID_ADB_SERVER_PORT``).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ...errors import DeviceError, MissingExtra

#: For what takes a moment on a phone that answers, and for a file.
MOMENT_S, COPY_S = 30.0, 600.0
#: Printed behind every shell command: without it, the command's end was not heard of.
_END = "pocketface-status:"
_POLL_S = 0.1

#: What a phone that is listed but cannot be used needs, by the state that adb gives it.
CURES = {
    "unauthorized": "unlock its screen and allow USB debugging for this computer",
    "authorizing": "unlock its screen and allow USB debugging for this computer",
    "offline": "plug its cable in again, or restart it",
    "connecting": "wait a moment and try again",
    "recovery": "start Android on it",
    "sideload": "start Android on it",
    "bootloader": "start Android on it",
    "no permissions": "give your user access to the USB device; Android's page on hardware devices has the udev rules",
}


@dataclass(frozen=True)
class Listed:
    """A phone that adb knows of.

    Attributes:
        serial: that names it.
        state: ``device`` if it can be used; otherwise a key of `CURES` or another word of adb's.
        model: as it calls itself, empty if it does not say.
    """

    serial: str
    state: str
    model: str = ""

    @property
    def usable(self) -> bool:
        """Whether commands reach it."""
        return self.state == "device"

    @property
    def cure(self) -> str:
        """What to do about a phone that cannot be used."""
        return CURES.get(self.state, "see `adb devices -l`")


class Stopped(DeviceError):
    """The user wants the work to end."""


def find_adb() -> str:
    """The program's path: on PATH, in Android's SDK, or the one that the package adbutils carries.

    Raises:
        MissingExtra: there is none.
    """
    sdks = [Path(os.environ[name]) for name in ("ANDROID_HOME", "ANDROID_SDK_ROOT") if os.environ.get(name)]
    for folder in (None, *(sdk / "platform-tools" for sdk in sdks)):
        if found := shutil.which("adb", path=folder and str(folder)):
            return found
    try:
        from adbutils import adb_path
    except ModuleNotFoundError as e:
        raise MissingExtra("adbutils", "adb", "reach a phone, as there is no adb on PATH") from e
    return str(adb_path())


def list_phones(program: str) -> list[Listed]:
    """All phones that adb knows of, usable or not; starts adb's server if none runs.

    Raises:
        DeviceError: adb cannot be run or does not answer.
    """
    done = Adb(program, "").run("devices", "-l", timeout_s=MOMENT_S)
    if done.status:
        raise DeviceError(f"adb devices: {_last(done.errors) or f'status {done.status}'}")
    lines = done.output.partition("List of devices attached")[2].splitlines()
    return [_listed(line) for line in lines if line.strip()]


def _listed(line: str) -> Listed:
    serial, _, rest = line.partition(" ")
    model = re.search(r"\bmodel:(\S+)", rest)
    state = "no permissions" if rest.strip().startswith("no permissions") else rest.split()[0] if rest.split() else ""
    return Listed(serial, state, model[1].replace("_", " ") if model else "")


@dataclass(frozen=True)
class Done:
    """A command that ended: its status, what it printed, and what it complained of."""

    status: int
    output: str
    errors: str = ""


class Adb:
    """One phone as the client reaches it.

    Args:
        program: the client.
        serial: the phone.
        stop: when set, what runs ends at once with `Stopped`, except for what must be cleaned up.
    """

    def __init__(self, program: str, serial: str, stop: threading.Event | None = None) -> None:
        self.program, self.serial, self.stop = program, serial, stop or threading.Event()

    def shell(self, script: str, *, timeout_s: float = MOMENT_S, even_stopped: bool = False) -> Done:
        """Run a script in the phone's shell; its status comes back, also from an Android that loses it.

        Raises:
            DeviceError: the phone is gone, or was before.
            TimeoutError: the script ran longer; on the phone it may run on.
            Stopped: `stop` was set.
        """
        sent = f"({script}\n); s=$?; echo; echo {_END}$s"
        done = self.run("shell", "-n", "-T", sent, timeout_s=timeout_s, even_stopped=even_stopped)
        output, found, status = done.output.rpartition(_END)
        if not found or not re.fullmatch(r"\d{1,3}", status.strip()):
            raise _unreachable(done.errors)
        return Done(int(status), output.strip(), done.errors.strip())

    def push(self, local: Path, remote: str) -> None:
        """Copy a file to the phone.

        Raises:
            DeviceError: the phone is full or gone, or the file cannot be read.
            Stopped: `stop` was set.
        """
        self._copy("push", str(local), remote, f"{local.name} cannot be copied to it")

    def pull(self, remote: str, local: Path) -> None:
        """Copy a file from the phone.

        Raises:
            DeviceError: the phone is gone, or has no such file.
            Stopped: `stop` was set.
        """
        self._copy("pull", remote, str(local), f"{remote} cannot be copied from it")

    def _copy(self, verb: str, source: str, target: str, failed: str) -> None:
        try:
            done = self.run(verb, source, target, timeout_s=COPY_S)
        except TimeoutError as e:
            raise DeviceError(f"{failed}: not done after {COPY_S:.0f} s") from e
        if not done.status:
            return
        told = done.output + done.errors  # older clients complain where they print
        if "No space left on device" in told:
            raise DeviceError(f"{failed}: its storage is full; free some of it and run again")
        if why := re.search(r"adb: error: (?:failed to copy .*: (?=remote )|(?=remote object|cannot stat))(.*)", told):
            raise DeviceError(f"{failed}: {why[1]}")
        raise _unreachable(told)

    def run(self, *arguments: str, timeout_s: float, even_stopped: bool = False) -> Done:
        """Run the client.

        Raises:
            DeviceError: the client cannot be run.
            TimeoutError: it took longer.
            Stopped: `stop` was set.
        """
        chosen = ("-s", self.serial) if self.serial else ()
        try:
            process = subprocess.Popen(
                [self.program, *chosen, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # an interrupt at the keyboard is ours to handle, there is a phone to tidy up
            )
        except OSError as e:
            raise DeviceError(f"{self.program} cannot be run: {e.strerror or e}") from e
        with process:
            try:
                return self._wait(process, time.monotonic() + timeout_s, even_stopped)
            finally:
                process.kill()

    def _wait(self, process: subprocess.Popen[bytes], deadline: float, even_stopped: bool) -> Done:
        while True:
            try:
                output, errors = process.communicate(timeout=_POLL_S)
            except subprocess.TimeoutExpired:
                if self.stop.is_set() and not even_stopped:
                    raise Stopped("stopped") from None
                if time.monotonic() > deadline:
                    raise TimeoutError from None
                continue
            return Done(process.returncode, output.decode(errors="replace"), errors.decode(errors="replace"))


def _unreachable(text: str) -> DeviceError:
    """What a client's complaint means; it also complains by saying nothing."""
    complaints = re.findall(r"^(?:adb|error): +(?:error: +)?(.*)$", text, re.M)
    told = complaints[-1].strip() if complaints else ""
    for state, cure in CURES.items():
        if state in told:
            return DeviceError(f"{state}: {cure}")
    if "not found" in told or not told:
        return DeviceError("lost: its cable or its connection is gone; connect it and run again")
    return DeviceError(f"lost: {told}; connect it and run again")


def _last(text: str) -> str:
    """The last line with something in it."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
