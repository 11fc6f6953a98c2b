"""Ranks part whenever they like: after the last step, and where an error stops them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

WORKER = """
import os, sys
from pathlib import Path
import torch
from torch import nn
from pocketface.train.loop import run
from pocketface.train.settings import Settings

class Fit(nn.Module):
    def __init__(self):
        super().__init__()
        self.line = nn.Linear(8, 8)
    def forward(self, batch):
        return {"loss": self.line(batch["x"]).square().mean()}

class Task:
    def __init__(self):
        self.network = Fit()
    def batch(self, step):
        return {"x": torch.ones(4, 8)}
    def weights(self):
        return self.network.line
    def observe(self, step, losses):
        pass

SETTINGS = Settings(steps=2, learning_rate=0.1)

class Stop(Exception):
    pass

def stop(step, losses):
    raise Stop

def stop_at_once(number):
    try:
        run(Task(), SETTINGS, out / "stops", progress=stop)
    except Stop:
        pass

def end(number):
    run(Task(), SETTINGS, out / f"ends_{number}")

out = Path(sys.argv[1])
for number, port in enumerate(sys.argv[2:]):
    os.environ["MASTER_PORT"] = port
    (end if number % 2 else stop_at_once)(number)
"""


def test_no_thread_of_a_group_is_waited_for_by_who_holds_the_lock_it_wants(
    on_two_ranks: Callable[..., None], tmp_path: Path
) -> None:
    """Before, about one in twenty such partings never ended."""
    (tmp_path / "worker.py").write_text(WORKER)
    on_two_ranks(tmp_path / "worker.py", tmp_path, groups=40)
    assert len(list(tmp_path.glob("ends_*/weights.safetensors"))) == 20
