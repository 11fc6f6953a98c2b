"""Entries in turn: who is opened when, who runs next, and what becomes of one that fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from ..errors import PocketfaceError
from .entries import Entry
from .messages import Answers, Opened, Times
from .perf import Stage
from .processes import COMMAND, Worker
from .timing import interleaved

#: What is being done, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]

Result = TypeVar("Result")


@dataclass(frozen=True)
class Settings:
    """How long to measure.

    Attributes:
        processes: fresh ones for each file.
        rounds: in each process.
        runs: of a file in a row, in each round.
        warmup: runs before the first round.
        timeout_s: longest for one answer of a process.
        command: that starts a process.
    """

    processes: int = 3
    rounds: int = 8
    runs: int = 10
    warmup: int = 10
    timeout_s: float = 300.0
    command: Sequence[str] = COMMAND


@dataclass
class Found:
    """What is known of an entry.

    Attributes:
        opened: by each process, when it was ready.
        times: of each round.
        answers: for the portraits.
        failure: why it could not be measured; None if it was.
    """

    opened: list[Opened] = field(default_factory=list)
    times: list[Times] = field(default_factory=list)
    answers: Answers = field(default_factory=Answers)
    failure: str | None = None

    def stage_ms(self, stage: Stage) -> tuple[float, ...]:
        """All times of a stage, in the order in which they ran."""
        return tuple(time_ms for times in self.times for time_ms in times.stages[stage])


def take_turns(entries: Sequence[Entry], settings: Settings, progress: Progress) -> list[Found]:
    """Measure every entry; one that fails is left alone from then on, and the others go on."""
    run = _Run(entries, settings, progress)
    for process in range(settings.processes):
        run.once(ask=process == 0)
    progress("done", 1, 1)
    return run.found


class _Run:
    def __init__(self, entries: Sequence[Entry], settings: Settings, progress: Progress) -> None:
        self._entries, self._settings, self._progress = entries, settings, progress
        self.found = [Found() for _ in entries]
        self._done, self._total = 0, len(entries) * settings.processes * (1 + settings.rounds)

    def once(self, ask: bool) -> None:
        """Open a process for each entry, let them take their turns, and end them."""
        with ExitStack() as stack:
            workers = {i: worker for i in range(len(self._entries)) if (worker := self._open(i, stack))}
            for i, worker in workers.items():
                self._try(i, partial(worker.run, self._settings.warmup))
                if ask and (answers := self._try(i, worker.answers)):
                    self.found[i].answers = answers
            turns = {str(i): partial(self._turn, i, worker) for i, worker in workers.items()}
            interleaved(turns, rounds=self._settings.rounds, warmup=0)

    def _open(self, i: int, stack: ExitStack) -> Worker | None:
        self._tell(i, "opening")
        entry, settings = self._entries[i], self._settings
        start = partial(Worker, entry.label, entry.job, timeout_s=settings.timeout_s, command=settings.command)
        if worker := self._try(i, start):
            stack.enter_context(worker)
            self.found[i].opened.append(worker.opened)
        return worker

    def _turn(self, i: int, worker: Worker) -> None:
        """Some runs in a row, after one that does not count, for it finds the caches full of what others left."""
        self._tell(i, "running")
        if times := self._try(i, partial(worker.run, self._settings.runs, warmup=1)):
            self.found[i].times.append(times)

    def _try(self, i: int, act: Callable[[], Result]) -> Result | None:
        if self.found[i].failure:
            return None
        try:
            return act()
        except PocketfaceError as e:
            self.found[i].failure = str(e)
            return None

    def _tell(self, i: int, what: str) -> None:
        self._progress(f"{what} {self._entries[i].label}", self._done, self._total)
        self._done += 1
