"""Deployed token mixing in TFLite: few transposes, none that the algebra does not need."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import nn

from pocketface.models import channels_last, create_model, list_models, reparameterize
from pocketface.models.blocks import Residual
from pocketface.models.facelivt import MHLA, MHSA
from pocketface.models.facelivtv2 import LiteMHLA, MixingResidual
from pocketface.models.mobilefacenet import PReLU

#: Most transposes of a network that mixes tokens.
MOST = 17


def _operations(model: nn.Module, shape: tuple[int, ...], path: Path) -> Counter[str]:
    """Kinds of operations in the TFLite form of ``model`` for an NHWC input."""
    os.environ["LITERT_TORCH_SHOW_PROGRESS"] = "n"
    import litert_torch
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    ends = litert_torch.to_channel_last_io(model, args=[0], outputs=[0] if shape[1] > 3 else None).eval()
    batch, channels, height, width = shape
    litert_torch.convert(ends, (torch.zeros(batch, height, width, channels),)).export(str(path))
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # else the delegate's nodes hide them
    interpreter = Interpreter(str(path), experimental_op_resolver_type=plain)
    return Counter(operation["op_name"] for operation in interpreter._get_ops_details())


@pytest.mark.parametrize(
    ("block", "channels", "transposes"),
    [
        (MixingResidual(LiteMHLA(16, 4)), 16, 0),
        (Residual(MHLA(32, 4)), 32, 2),
        (Residual(MHSA(16, 4)), 16, 2),
        (PReLU(8), 8, 0),
    ],
    ids=["LiteMHLA", "MHLA", "MHSA", "PReLU"],
)
def test_transposes_of_one_block(block: nn.Module, channels: int, transposes: int, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, channels, 1), block)
    deployed = channels_last(reparameterize(network.eval()))
    assert _operations(deployed, (1, 8, 4, 4), tmp_path / "block.tflite")["TRANSPOSE"] == transposes


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models("recognition"))
def test_transposes_of_the_network(name: str, tmp_path: Path) -> None:
    deployed = channels_last(reparameterize(create_model(name, seed=0)))
    assert _operations(deployed, (1, 3, 112, 112), tmp_path / "network.tflite")["TRANSPOSE"] <= MOST
