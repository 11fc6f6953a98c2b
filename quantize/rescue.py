"""Keep the fewest layers in float with which a file meets its gate."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..artifact import scratch_folder
from ..errors import ParityError
from ..evaluate.gate import Condition, broken
from .fidelity import Fidelity
from .job import Job
from .sensitivity import Cost, measure_costs

#: So many kept layers are each tried without, once the gate is met; with more it would take too long.
_TRIED = 12


@dataclass(frozen=True)
class Rescue:
    """What it takes to meet a gate.

    Attributes:
        kept: layers to keep in float beside those that the recipe keeps.
        before: fidelity without them.
        costs: what each layer costs, the dearest first; not measured where no layer needs to be kept.
    """

    kept: tuple[str, ...]
    before: Fidelity
    costs: Sequence[Cost] = ()


def rescue(job: Job, gate: Sequence[Condition]) -> Rescue:
    """Find the fewest layers that must stay in float.

    Layers are kept in the order of what they cost when they are quantized alone, as few as the gate allows; then each
    of them is tried without.

    Raises:
        ParityError: the gate is not met even if only the cheapest layer is quantized.
    """
    with scratch_folder() as folder:
        trials = _Trials(job, gate, folder)
        before = trials.fidelity(())
        if not broken(gate, before.figures):
            return Rescue((), before)
        costs = measure_costs(job, folder)
        order = [cost.layer for cost in costs]
        low, high = 0, len(order) - 1  # so many are too few; so many may do
        if faults := trials.faults(order[:high]):
            raise ParityError(
                f"{job.parent.path.name}: with {job.recipe.name} in {order[-1]!r} alone, {'; '.join(faults)}; "
                "the gate asks for more than this recipe can give"
            )
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if trials.faults(order[:middle]) else (low, middle)
        return Rescue(_without_idle(trials, order[:high]), before, costs)


def _without_idle(trials: _Trials, kept: list[str]) -> tuple[str, ...]:
    """Those of the kept layers without which the gate is not met."""
    for layer in reversed(kept[:]) if len(kept) <= _TRIED else ():
        fewer = [name for name in kept if name != layer]
        if not trials.faults(fewer):
            kept = fewer
    return tuple(kept)


class _Trials:
    """Builds a file with some layers kept and says what it lacks."""

    def __init__(self, job: Job, gate: Sequence[Condition], folder: Path) -> None:
        self.job, self.gate, self.folder, self.count = job, gate, folder, 0

    def faults(self, kept: Collection[str]) -> list[str]:
        """The conditions that do not hold."""
        self.job.progress(f"trying with {len(kept)} layers kept in float")
        return broken(self.gate, self.fidelity(kept).figures)

    def fidelity(self, kept: Collection[str]) -> Fidelity:
        """Of the file in which they are kept."""
        self.count += 1
        path = self.folder / f"trial{self.count}{self.job.parent.path.suffix}"
        return self.job.judge.compare(self.job.build(self.job.chosen(kept), path))
