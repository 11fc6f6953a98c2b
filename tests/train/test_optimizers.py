from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from pocketface.errors import InvalidData
from pocketface.models.checkpoint import read_state
from pocketface.train.loop import run
from pocketface.train.optimizers import optimizer_of
from pocketface.train.settings import Settings


def settings(**changes):
    return Settings(
        **{"steps": 20, "learning_rate": 0.01, "save_every": 10, "weight_decay": 0.0, "optimizer": "muon", **changes}
    )


MATRICES = {"dense.weight", "point.weight", "linear.weight"}


class Small(nn.Module):
    """A dense kernel, a depthwise one, a 1 x 1, a product, and what is no matrix."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.dense, self.depthwise, self.point = (
            nn.Conv2d(16, 32, 3),
            nn.Conv2d(32, 32, 3, groups=32),
            nn.Conv2d(32, 24, 1),
        )
        self.norm, self.linear = nn.BatchNorm2d(24), nn.Linear(24, 16)

    def forward(self, batch):
        x = self.norm(self.point(self.depthwise(self.dense(batch["x"])))).relu()
        return {"loss": (self.linear(x.mean((2, 3))) - batch["y"]).square().mean()}


class Task:
    def __init__(self) -> None:
        self.network = Small()

    def batch(self, step):
        of = torch.Generator().manual_seed(step)
        return {"x": torch.randn(64, 16, 8, 8, generator=of), "y": torch.randn(64, 16, generator=of)}

    def weights(self):
        return self.network

    def observe(self, step, losses):
        pass


def one_step(network, how):
    """Each parameter's gradient and change in one step."""
    before = copy.deepcopy(network.state_dict())
    optimizer = optimizer_of(network, how)
    network(Task().batch(0))["loss"].backward()
    gradients = {name: p.grad.clone() for name, p in network.named_parameters()}
    optimizer.step()
    return gradients, {name: p.detach() - before[name] for name, p in network.named_parameters()}


def test_a_matrix_takes_an_orthogonal_step_along_its_gradient():
    gradients, changes = one_step(Small(), settings())
    for name in sorted(MATRICES):
        gradient, change = gradients[name].flatten(1).double(), changes[name].flatten(1).double()
        u, _, v = torch.linalg.svd(gradient, full_matrices=False)
        inner = -(u.T @ change @ v.T)  # diagonal: the change has the gradient's directions, all of about one length
        size = 0.01 * 0.2 * max(gradient.shape) ** 0.5
        lengths = inner.diagonal() / size
        assert lengths.median().item() == pytest.approx(1, abs=0.3), name
        assert (inner - inner.diagonal().diag()).abs().max() < 0.15 * size, name


def test_what_is_no_matrix_takes_the_step_of_adamw():
    _, muon = one_step(Small(), settings())
    _, adamw = one_step(Small(), settings(optimizer="adamw"))
    same = {name for name in muon if torch.equal(muon[name], adamw[name])}
    assert same == muon.keys() - MATRICES


def test_how_kernels_lie_in_memory_changes_nothing():
    _, plain = one_step(Small(), settings())
    _, last = one_step(Small().to(memory_format=torch.channels_last), settings())
    for name in sorted(MATRICES):  # Muon computes in bfloat16
        apart = (last[name] - plain[name]).norm() / plain[name].norm()
        assert apart < 0.03, name


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path):
    class Stop(Exception):
        pass

    def stop(step, losses):
        if step == 15:
            raise Stop

    whole = run(Task(), settings(), tmp_path / "whole")
    with pytest.raises(Stop):
        run(Task(), settings(), tmp_path / "parts", progress=stop)
    parts = run(Task(), settings(), tmp_path / "parts")
    one, other = read_state(whole), read_state(parts)
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_another_optimizer_is_another_run(tmp_path):
    run(Task(), settings(), tmp_path)
    with pytest.raises(InvalidData, match="optimizer muon, not adamw"):
        run(Task(), settings(optimizer="adamw"), tmp_path)
