"""The optimisers that the loop may use: AdamW, or Muon for matrices with AdamW for the rest."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from .settings import Settings

#: A matrix with fewer rows or columns has nothing to make orthogonal: depthwise kernels, scales of a channel.
_LEAST = 16


class Optimizer(Protocol):
    """What the loop wants of one."""

    param_groups: list[dict[str, Any]]

    def zero_grad(self) -> None:
        """Forget the gradients."""

    def step(self) -> Any:
        """Change the parameters along their gradients."""

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it up again."""


def optimizer_of(network: nn.Module, settings: Settings) -> Optimizer:
    """The optimiser that the settings name, over all that learns in a network."""
    learning = [p for p in network.parameters() if p.requires_grad]
    return MuonAdamW(learning, settings) if settings.optimizer == "muon" else _adamw(learning, settings)


class MuonAdamW:
    """Muon for what is a product of matrices, 1 x 1 and dense convolutions too; AdamW for everything else.

    Muon replaces a matrix's momentum by the nearest orthogonal matrix, so that all its directions are learnt as fast.
    Steps are scaled to the size that AdamW's have, so one learning rate serves both. Source: Muon is scalable for LLM
    training, arXiv 2502.16982.
    """

    def __init__(self, learning: list[nn.Parameter], settings: Settings) -> None:
        self._matrices = [(p, nn.Parameter(_as_matrix(p.data, p))) for p in learning if _is_matrix(p)]
        self._muon = torch.optim.Muon(
            [matrix for _, matrix in self._matrices],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        )
        self._adamw = _adamw([p for p in learning if not _is_matrix(p)], settings)
        self.param_groups = [*self._muon.param_groups, *self._adamw.param_groups]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter, matrix in self._matrices:
            parameter.grad = matrix.grad = None
        self._adamw.zero_grad()

    def step(self) -> None:
        """Change the parameters along their gradients."""
        for parameter, matrix in self._matrices:
            if parameter.grad is not None:
                matrix.grad = _as_matrix(parameter.grad, parameter)
        self._muon.step()
        self._adamw.step()

    def state_dict(self) -> dict[str, Any]:
        """Of both."""
        return {"muon": self._muon.state_dict(), "adamw": self._adamw.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Of both; they make new groups then."""
        self._muon.load_state_dict(state["muon"])
        self._adamw.load_state_dict(state["adamw"])
        self.param_groups = [*self._muon.param_groups, *self._adamw.param_groups]


def _adamw(learning: list[nn.Parameter], settings: Settings) -> torch.optim.AdamW:
    """Norms and biases do not decay."""
    groups = [
        {"params": [p for p in learning if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in learning if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def _is_matrix(parameter: Tensor) -> bool:
    return parameter.ndim in (2, 4) and min(len(parameter), parameter[0].numel()) >= _LEAST


def _as_matrix(values: Tensor, like: Tensor) -> Tensor:
    """A row per output, in the order in which ``like`` lies in memory; of itself this is a view."""
    if like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last):
        return values.permute(0, 2, 3, 1).flatten(1)
    return values.flatten(1)
