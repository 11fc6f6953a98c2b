"""Lay a deployed network out for engines that keep the channels last, as TFLite does.

Token mixing multiplies along the grid, and a product along any but the last axis costs a transpose. Which axis is last
depends on the engine: ONNX Runtime and Core ML keep (B, C, H, W), TFLite keeps (B, H, W, C). So a module that mixes
tokens exists in two layouts; both take and give (B, C, H, W) in torch and compute the same.
"""

from __future__ import annotations

import copy

from torch import nn

from .reparam import rebuild


def channels_last(model: nn.Module) -> nn.Module:
    """A copy of ``model`` for TFLite: the modules that have ``channels_last()`` are replaced by what it returns."""
    return rebuild(copy.deepcopy(model), "channels_last").eval()
