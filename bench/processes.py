"""A process for each thing that is measured: no engine finds another one's threads or memory, and no crash spreads."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import TypeVar

import msgspec

from ..errors import UnsupportedModel
from .messages import Answers, Ask, Job, Opened, Refused, Reply, Request, Run, Times
from .system import THREAD_VARIABLES

COMMAND = (sys.executable, *(["-P"] if sys.flags.safe_path else []), "-m", "pocketface.bench.worker")

Expected = TypeVar("Expected", Opened, Times, Answers)


class Worker:
    """A process that has opened a job, to be used in a ``with`` statement.

    Args:
        name: what it measures, for errors.
        job: what to open.
        timeout_s: longest that it may take for one answer.
        command: that starts the process.

    Attributes:
        opened: what it said when it was ready.

    Raises:
        UnsupportedModel: it cannot open the job, crashes, or does not answer in time.
    """

    def __init__(self, name: str, job: Job, *, timeout_s: float = 300, command: Sequence[str] = COMMAND) -> None:
        self._name, self._timeout_s, self._late = name, timeout_s, False
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        threads = dict.fromkeys(THREAD_VARIABLES, str(job.threads))
        pipe, environment = subprocess.PIPE, {**os.environ, **threads}
        try:
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._errors, env=environment)
        except OSError as e:
            raise UnsupportedModel(f"{name}: no process can be started for it: {e.strerror or e}") from e
        try:
            self.opened = self._asked(job, Opened)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def run(self, count: int, warmup: int = 0) -> Times:
        """Run it so many times, after some that do not count.

        Raises:
            UnsupportedModel: it fails, crashes, or does not answer in time.
        """
        return self._asked(Run(count=count, warmup=warmup), Times)

    def answers(self) -> Answers:
        """What it says of the portraits.

        Raises:
            UnsupportedModel: it fails, crashes, or does not answer in time.
        """
        return self._asked(Ask(), Answers)

    def close(self) -> None:
        """End the process, by force if it does not end by itself."""
        for end in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                end.close()  # type: ignore[union-attr]
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _asked(self, request: Request, expected: type[Expected]) -> Expected:
        line = self._exchange(msgspec.json.encode(request) + b"\n")
        try:
            reply: Reply = msgspec.json.decode(line, type=Reply)
        except msgspec.DecodeError:
            raise UnsupportedModel(f"{self._name}: {self._end()}") from None
        if isinstance(reply, Refused):
            raise UnsupportedModel(reply.why)
        assert isinstance(reply, expected)
        return reply

    def _exchange(self, line: bytes) -> bytes:
        """Write a line and read one; an empty one if the process ended, or was ended because it took too long."""
        requests, replies = self._process.stdin, self._process.stdout
        assert requests is not None
        assert replies is not None
        alarm = threading.Timer(self._timeout_s, self._stop)
        alarm.start()
        try:
            requests.write(line)
            requests.flush()
            return replies.readline()
        except OSError:
            return b""
        finally:
            alarm.cancel()

    def _stop(self) -> None:
        self._late = True
        self._process.kill()

    def _end(self) -> str:
        """How the process ended, in words."""
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._stop()
            status = self._process.wait()
        if self._late:
            return f"no answer within {self._timeout_s:g} s, so it was stopped"
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        said = f": {lines[-1]}" if lines else ""
        return (
            f"the process crashed ({_signal(-status)}){said}" if status < 0 else f"it ended with status {status}{said}"
        )


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
