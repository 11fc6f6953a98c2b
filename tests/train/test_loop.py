from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from pocketface.errors import InvalidData, TrainingError
from pocketface.models.checkpoint import read_state
from pocketface.train.loop import run
from pocketface.train.plot import plot_losses
from pocketface.train.settings import Settings


class Fit(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.line, self.scale = nn.Linear(1, 1), scale

    def forward(self, batch):
        error = (self.line(batch["x"]) - batch["y"]).square().mean() * self.scale
        return {"loss": error, "twice": 2 * error}


class Toy:
    """Learns y = 3 x - 1 from noisy points."""

    def __init__(self, scale: float = 1.0) -> None:
        torch.manual_seed(5)
        self.network, self.seen = Fit(scale), []

    def batch(self, step):
        x = torch.randn(16, 1, generator=torch.Generator().manual_seed(step))
        return {"x": x, "y": 3 * x - 1}

    def weights(self):
        return self.network.line

    def observe(self, step, losses):
        self.seen.append((step, losses["loss"]))


def settings(**changes):
    return Settings(**{"steps": 60, "learning_rate": 0.2, "save_every": 20, "log_every": 10, **changes})


def test_a_run_learns_and_ships_what_weights_names(tmp_path):
    task = Toy()
    shipped = read_state(run(task, settings(), tmp_path))
    assert shipped.keys() == {"weight", "bias"}
    assert shipped["weight"].item() == pytest.approx(3, abs=0.1)
    assert [step for step, _ in task.seen] == list(range(1, 61))
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [10, 20, 30, 40, 50, 60]
    assert rows[-1]["loss"] < rows[0]["loss"] / 10
    assert rows[0]["twice"] == pytest.approx(2 * rows[0]["loss"], rel=1e-4)
    assert plot_losses(tmp_path).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("average", [0.0, 0.9])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path, average, workers):
    whole = settings(average=average)

    class Stop(Exception):
        pass

    def stop(step, losses):
        if step == 33:  # 13 steps after the last checkpoint
            raise Stop

    run(Toy(), whole, tmp_path / "whole")
    with pytest.raises(Stop):
        run(Toy(), settings(average=average, workers=workers), tmp_path / "parts", progress=stop)
    second = Toy()
    run(second, settings(average=average, workers=workers), tmp_path / "parts")
    assert second.seen[0][0] == 21
    one, other = (read_state(tmp_path / name / "weights.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(one[key], other[key]) for key in one)
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "parts")]
    losses = [[(json.loads(line)["step"], json.loads(line)["loss"]) for line in log] for log in logs]
    assert losses[0] == losses[1]


def test_the_average_lags_behind_and_starts_without_the_random_weights(tmp_path):
    constant = settings(steps=1, average=0.999)
    task = Toy()
    shipped = read_state(run(task, constant, tmp_path))
    moved = task.weights().weight.item()
    assert shipped["weight"].item() == pytest.approx((moved + Toy().weights().weight.item()) / 2, abs=0.15)


def test_another_seed_is_another_run(tmp_path):
    run(Toy(), settings(), tmp_path)
    with pytest.raises(InvalidData, match="seed 0, not 1"):
        run(Toy(), settings(seed=1), tmp_path)


def test_a_damaged_checkpoint_is_told(tmp_path):
    run(Toy(), settings(), tmp_path)
    file = tmp_path / "checkpoint.pt"
    file.write_bytes(file.read_bytes()[:400])
    with pytest.raises(InvalidData, match="not a checkpoint of this run"):
        run(Toy(), settings(), tmp_path)


def test_divergence_stops_the_run(tmp_path):
    with pytest.raises(TrainingError, match="step 1: the loss is inf"):
        run(Toy(scale=float("inf")), settings(), tmp_path)
    assert not (tmp_path / "weights.safetensors").exists()


def test_the_rate_rises_stays_and_falls():
    s = settings(steps=100, learning_rate=1.0, warmup=9, decay=0.5)
    rates = [s.rate_at(step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert rates[10:51] == pytest.approx([1.0] * 41)
    assert rates[50:] == pytest.approx([1 - k / 50 for k in range(50)])
