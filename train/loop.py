"""The loop that trains everything here: any task, on a CPU, a GPU, or the processes that ``torchrun`` starts.

A run is its folder: ``checkpoint.pt`` to go on from, ``log.jsonl`` with the losses, ``weights.safetensors`` to ship.
Calling it again with the same folder goes on at the step where the checkpoint was written, and gives the same weights
as a run that was never stopped: a batch is a function of the seed, the rank and the step, and of nothing else.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from ..artifact import atomic
from ..errors import InvalidData, TrainingError
from ..models import save_weights
from .optimizers import Optimizer, optimizer_of
from .ranks import Ranks
from .settings import Settings

#: Told after each step: its number and its losses.
Progress = Callable[[int, Mapping[str, float]], None]


class Task(Protocol):
    """Something to learn.

    Attributes:
        network: all that learns, heads and weights of losses with it. Its forward takes a batch and gives scalars by
            name: ``loss`` is minimised, the others are written to the log.
    """

    network: nn.Module

    def batch(self, step: int) -> dict[str, Tensor]:
        """This rank's share of a step's batch, always the same one; it may be made in another process."""

    def weights(self) -> nn.Module:
        """The part of ``network`` that ships: a network of ``models/`` without anything of its training."""

    def observe(self, step: int, losses: Mapping[str, float]) -> None:
        """Told the losses of each step before the next batch is asked for, if ``Settings.workers`` is 0."""


def run(task: Task, settings: Settings, out: Path, *, progress: Progress = lambda step, losses: None) -> Path:
    """Train a task to its last step, from its checkpoint if there is one.

    Args:
        task: what to learn.
        settings: how.
        out: the run's folder; is made.
        progress: told after each step.

    Returns:
        The file with the weights that ship.

    Raises:
        InvalidData: a checkpoint of a run with other settings, or a damaged one.
        TrainingError: a loss that is not finite.
        OutputError: the folder cannot be written to.
    """
    with Ranks.from_environment() as ranks:
        _train(task, settings, out, ranks, progress)  # its locals must be gone before the ranks part
    return out / "weights.safetensors"


def _train(task: Task, settings: Settings, out: Path, ranks: Ranks, progress: Progress) -> None:
    state = _State.start(task, settings, ranks)
    state.resume(out)
    log = _Log(out / "log.jsonl", state.step) if ranks.first else None
    for batch in _batches(task, settings, state.step):
        losses = state.advance(batch)
        task.observe(state.step, losses)
        if log and (state.step % settings.log_every == 0 or state.step == settings.steps):
            log.write(state.step, state.rate(), losses)
        if state.step % settings.save_every == 0 or state.step == settings.steps:
            state.save(out)
        progress(state.step, losses)


@dataclass
class _State:
    """Everything that a step changes."""

    task: Task
    settings: Settings
    ranks: Ranks
    model: nn.Module
    optimizer: Optimizer
    average: nn.Module | None
    step: int = 0
    _since: float = field(default_factory=time.perf_counter)

    @classmethod
    def start(cls, task: Task, settings: Settings, ranks: Ranks) -> _State:
        torch.manual_seed(settings.seed)
        memory = torch.channels_last if settings.channels_last else torch.contiguous_format
        network = task.network.to(device=ranks.device, memory_format=memory).train()  # type: ignore[call-overload]
        average = copy.deepcopy(task.weights()).requires_grad_(False) if settings.average else None
        model = DistributedDataParallel(network, broadcast_buffers=False) if ranks.count > 1 else network
        return cls(task, settings, ranks, model, optimizer_of(network, settings), average)

    def advance(self, batch: Mapping[str, Tensor]) -> dict[str, float]:
        """One step of the optimiser."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate_at(self.step)
        device = self.ranks.device
        batch = {name: part.to(device, non_blocking=True) for name, part in batch.items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            losses = self.model(batch)
        told = {name: float(loss.detach()) for name, loss in losses.items()}
        if not math.isfinite(told["loss"]):
            raise TrainingError(f"step {self.step + 1}: the loss is {told['loss']}; lower the learning rate")
        self.optimizer.zero_grad()
        losses["loss"].backward()
        if self.settings.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimizer.step()
        self.step += 1
        self._follow()
        return told

    @torch.no_grad()
    def _follow(self) -> None:
        """The average goes a little of the way towards the weights; early on more, for it began at random weights."""
        if self.average is None:
            return
        share = max(1 - self.settings.average, 1 / (self.step + 1))
        new, old = self.task.weights().state_dict(), self.average.state_dict()
        floating = [key for key, value in old.items() if value.is_floating_point()]
        torch._foreach_lerp_([old[key] for key in floating], [new[key] for key in floating], share)
        for key in old.keys() - set(floating):
            old[key].copy_(new[key])

    def rate(self) -> float:
        """Seconds per step since this was last asked."""
        now, before, self._since = time.perf_counter(), self._since, time.perf_counter()
        return (now - before) / self.settings.log_every

    def save(self, out: Path) -> None:
        """The checkpoint and the weights as they are now; the first rank writes them."""
        network = self.task.network.state_dict()  # on all ranks: they may have to put together classes they share out
        if not self.ranks.first:
            return
        state: dict[str, Any] = {
            "step": self.step,
            "settings": self.settings.to_json(),
            "network": network,
            "optimizer": self.optimizer.state_dict(),
        }
        if self.average is not None:
            state["average"] = self.average.state_dict()
        with atomic(out / "checkpoint.pt") as temporary:
            torch.save(state, temporary)
        save_weights(self.average or self.task.weights(), out / "weights.safetensors")

    def resume(self, out: Path) -> None:
        """Take up the checkpoint in a folder, if there is one."""
        file = out / "checkpoint.pt"
        if not file.is_file():
            return
        try:
            state = torch.load(file, map_location=self.ranks.device, weights_only=True)
            self.settings.require_same_run(Settings.from_json(state["settings"]))
            self.task.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
            self.step = state["step"]
        except (RuntimeError, ValueError, KeyError, EOFError, OSError) as e:
            reason = (str(e).strip().splitlines() or [type(e).__name__])[0]
            raise InvalidData(
                f"{file}: not a checkpoint of this run: {reason}; give another --out to begin anew"
            ) from e


class _Steps(Dataset[dict[str, Tensor]]):
    """A task's batches by step."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        return self.task.batch(step)


def _batches(task: Task, settings: Settings, first: int) -> Iterator[dict[str, Tensor]]:
    steps = range(first, settings.steps)
    loader = DataLoader(_Steps(task), batch_size=None, sampler=steps, num_workers=settings.workers)
    return iter(loader)


class _Log:
    """Losses by step, one JSON object a line; what a stopped run wrote after its checkpoint is removed."""

    def __init__(self, path: Path, step: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.is_file() else []
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        with atomic(path) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in kept))
        self.path = path

    def write(self, step: int, seconds: float, losses: Mapping[str, float]) -> None:
        """Append a line."""
        rounded = {name: float(f"{loss:.6g}") for name, loss in losses.items()}
        with self.path.open("a") as stream:
            stream.write(json.dumps({"step": step, "seconds_per_step": round(seconds, 4), **rounded}) + "\n")
