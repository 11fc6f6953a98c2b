"""A torch module behind the same two methods as any engine, so that the original can be compared like an export."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import nn


class TorchBackend:
    """Runs a module that takes one ``(B, 3, H, W)`` tensor and returns a dict of tensors."""

    name = "torch"

    def __init__(self, module: nn.Module) -> None:
        self.module = module.eval()

    @torch.no_grad()
    def run(self, feeds: Mapping[str, npt.NDArray[np.generic]]) -> dict[str, npt.NDArray[np.generic]]:
        """One forward pass; the feed's name does not matter."""
        (feed,) = feeds.values()
        outputs = self.module(torch.from_numpy(np.ascontiguousarray(feed)))
        return {name: tensor.numpy() for name, tensor in outputs.items()}
