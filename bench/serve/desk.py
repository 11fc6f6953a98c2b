"""Who may post, what, and how often: tickets that are good for one report, and the judge of what comes in."""

from __future__ import annotations

import hashlib
import hmac
import queue
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InvalidData
from ..perf import Perf
from .engines import SETTINGS, Setting
from .exam import Exam
from .judge import judge
from .posted import MOST_RUNS, Posted, parse_posted


@dataclass(frozen=True)
class Limits:
    """How long a page measures one model at one setting.

    Attributes:
        warm_up: runs that do not count.
        least, most: runs that count.
        seconds: after which no further run begins.
    """

    warm_up: int = 5
    least: int = 100
    most: int = 1000
    seconds: float = 10.0


class Refused(Exception):
    """A report that is not taken, which changed nothing.

    Args:
        status: of HTTP.
        reason: for whoever posted it.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Desk:
    """Gives out tickets and takes reports; may be used from several threads.

    Args:
        exams: the models.
        devices: how many reports are taken; after that the desk is closed.
        limits: for the page.
        settings: those that the page tries; none for all.
        command: for the results.
    """

    def __init__(
        self,
        exams: Sequence[Exam],
        *,
        devices: int = 1,
        limits: Limits | None = None,
        settings: Sequence[Setting] = (),
        command: str = "",
    ) -> None:
        self.exams, self.devices, self.limits = exams, devices, limits or Limits()
        self.settings, self.command = settings or SETTINGS, command
        #: Judged reports; whoever answered the device puts them in.
        self.results: queue.Queue[Perf] = queue.Queue()
        self._key, self._lock = secrets.token_bytes(32), threading.Lock()
        self._spent: set[str] = set()

    @property
    def largest_report(self) -> int:
        """Bytes of the largest report that an honest page can post."""
        runs = len(self.settings) * sum(4 * sum(exam.outputs.values()) * len(exam.portraits) for exam in self.exams)
        times = 24 * min(self.limits.most, MOST_RUNS) + 4096
        return runs * 4 // 3 + len(self.settings) * len(self.exams) * times + 8192

    def task(self) -> dict[str, Any]:
        """What a page must know to begin; each has a ticket of its own. Nothing is kept of it."""
        limits = self.limits
        return {
            "ticket": self._ticket(secrets.token_urlsafe(12)),
            "limits": {
                "warmUp": limits.warm_up,
                "least": limits.least,
                "most": min(limits.most, MOST_RUNS),
                "seconds": limits.seconds,
            },
            "settings": self.settings,
            "models": [_told(i, exam) for i, exam in enumerate(self.exams)],
        }

    def take(self, body: bytes) -> Perf:
        """Check, judge and accept a report. Only here does a ticket become spent.

        Raises:
            Refused: it is malformed, its ticket is not ours or spent, or the desk is closed.
        """
        try:
            posted = parse_posted(body)
        except InvalidData as e:
            raise Refused(400, str(e)) from e
        with self._lock:
            self._check(posted)
            try:
                perf = judge(self.exams, posted, self.command)
            except InvalidData as e:
                raise Refused(400, str(e)) from e
            self._spent.add(posted.ticket)
        return perf

    def _ticket(self, name: str) -> str:
        return f"{name}.{hmac.new(self._key, name.encode(), hashlib.sha256).hexdigest()}"

    def _check(self, posted: Posted) -> None:
        name = posted.ticket.partition(".")[0]
        if not hmac.compare_digest(self._ticket(name).encode(), posted.ticket.encode()):
            raise Refused(403, "this ticket is not ours; open the page again")
        if posted.ticket in self._spent:
            raise Refused(409, "this page has already reported; open it again to measure again")
        if len(self._spent) >= self.devices:
            raise Refused(410, "all reports that were wanted have come")


def _told(place: int, exam: Exam) -> dict[str, Any]:
    contract = exam.artifact.contract
    return {
        "name": exam.artifact.path.name,
        "bytes": exam.artifact.size_bytes,
        "url": f"models/{place}",
        "inputs": f"inputs/{place}",
        "pictures": len(exam.portraits),
        "input": {
            "name": contract.input.name,
            "shape": [1, *exam.feed.shape[1:]],
            "dtype": exam.feed.dtype.name,
            "sent": exam.sent.dtype.name,
        },
        "outputs": list(exam.outputs),
        "module": exam.installed.engine.module,
        "engine": f"{exam.installed.engine.package} {exam.installed.version}",
    }
