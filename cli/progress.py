"""Progress bars on standard error for work that takes minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


class TrainingBar:
    """One bar for the preparation and one for the steps, with the last losses beside it."""

    def __init__(self, progress: Progress, steps: int) -> None:
        self._progress, self._steps = progress, steps
        self._bars: dict[str, TaskID] = {}
        self.losses: dict[str, float] = {}

    def work(self, what: str, done: int, total: int) -> None:
        """So much of a part of the preparation is done."""
        self._update(what, done, total)

    def step(self, step: int, losses: Mapping[str, float]) -> None:
        """A step is done."""
        self.losses = dict(losses)
        self._update("training", step, self._steps, "  ".join(f"{name} {loss:.4f}" for name, loss in losses.items()))

    def _update(self, what: str, done: int, total: int, told: str = "") -> None:
        if what not in self._bars:
            self._bars[what] = self._progress.add_task(what, total=total, told="")
        self._progress.update(self._bars[what], completed=done, told=told)


@contextmanager
def training_bar(console: Console, steps: int) -> Iterator[TrainingBar]:
    """A bar that is shown as long as the context lasts."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[told]}"), console=console) as progress:
        yield TrainingBar(progress, steps)


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """One bar, shown as long as the context lasts; call what it gives with the step, how much is done, and of what."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("")
        yield lambda what, done, total: progress.update(bar, description=what, completed=done, total=total)
