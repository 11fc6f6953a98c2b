"""Several phones at once: each in a thread of its own, so that one that is lost holds up none of the others."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from ...errors import DeviceError
from .client import Adb, Listed
from .session import Job, Result, measure_phone

_POLL_S = 0.2


def choose_phones(listed: Sequence[Listed], serials: Sequence[str]) -> list[Listed]:
    """Those with these serials, or all; a listed phone that cannot be used stays in, for its line.

    Raises:
        DeviceError: there is none, or one that was named is not there.
    """
    if not listed:
        raise DeviceError("adb lists no phone: connect one, turn on USB debugging in its developer options, allow it")
    known = {phone.serial: phone for phone in listed}
    if missing := [serial for serial in serials if serial not in known]:
        raise DeviceError(f"no phone {missing[0]!r}, adb lists {', '.join(known)}")
    return [known[serial] for serial in dict.fromkeys(serials)] if serials else list(listed)


def measure_phones(program: str, phones: Sequence[Listed], job: Job, tell: Callable[[str, str], None]) -> list[Result]:
    """Do the job on all phones at once.

    Args:
        program: the adb client.
        phones: to measure; those that cannot be used fail with what to do about it.
        job: what each does.
        tell: called with a serial and what that phone does now, from several threads.

    Raises:
        KeyboardInterrupt: the user ended it; the phones were tidied up first.
    """
    stop = threading.Event()

    def measure(phone: Listed) -> Result:
        if not phone.usable:
            tell(phone.serial, "failed")
            return Result(phone.serial, failures=[f"{phone.state}: {phone.cure}"])
        return measure_phone(Adb(program, phone.serial, stop), job, lambda what: tell(phone.serial, what))

    with _stopping(stop), ThreadPoolExecutor(len(phones), "phone") as pool:
        futures: list[Future[Result]] = [pool.submit(measure, phone) for phone in phones]
        while wait(futures, timeout=_POLL_S).not_done:
            pass  # between two waits, a signal's handler runs
    if stop.is_set():
        raise KeyboardInterrupt
    return [future.result() for future in futures]


@contextlib.contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """The first interrupt stops the phones and lets them be tidied up; a second one does what it did before."""
    before: dict[int, Any] = {}

    def handle(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, before[number])

    with contextlib.suppress(ValueError):  # not in the main thread: whoever called us there handles signals
        for number in (int(signal.SIGINT), int(signal.SIGTERM)):
            before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
