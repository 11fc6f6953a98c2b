"""FaceLiVT v1 against its formulas written out, and against the names of its published checkpoints."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pocketface.models import create_model
from pocketface.models.blocks import RepConv, Residual
from pocketface.models.facelivt import MHLA, MHSA


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_mhla_is_an_mlp_over_cells_whose_heads_are_interleaved() -> None:
    mhla, x = MHLA(32, side=3).double(), torch.randn(2, 32, 3, 3, dtype=torch.float64)
    torch.nn.init.normal_(mhla.norm.weight)
    torch.nn.init.normal_(mhla.norm.bias)
    mean, std = x.mean((1, 2, 3), keepdim=True), x.var((1, 2, 3), keepdim=True, correction=0).add(1e-5).sqrt()
    normal = (x - mean) / std * mhla.norm.weight[:, None, None] + mhla.norm.bias[:, None, None]
    expected = torch.empty_like(x)
    for head in range(16):
        first, second = mhla.linear1[head], mhla.linear2[head]
        for inner in range(2):  # 32 channels, 16 heads
            cells = normal[:, 2 * head + inner].flatten(1)
            hidden = cells @ first.weight.T + first.bias
            hidden = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
            expected[:, 16 * inner + head] = (hidden @ second.weight.T + second.bias).reshape(2, 3, 3)
    torch.testing.assert_close(mhla(x), expected, rtol=1e-12, atol=1e-12)


def test_mhsa_is_attention_with_head_major_channels() -> None:
    mhsa, x = MHSA(16, side=3).eval().double(), torch.randn(2, 16, 3, 3, dtype=torch.float64)
    projected = mhsa.qkv_proj(x).flatten(2)  # (B, 6 * (32 + 32 + 8), N)
    answers: list[Tensor] = []
    for head in projected.chunk(6, 1):
        query, key, value = (part.transpose(1, 2) for part in (head[:, :32], head[:, 32:64], head[:, 64:]))
        answers.append(F.scaled_dot_product_attention(query, key, value).transpose(1, 2))
    expected = mhsa.out_proj(torch.cat(answers, 1).reshape(2, 48, 3, 3))
    torch.testing.assert_close(mhsa(x), expected, rtol=1e-12, atol=1e-12)


def test_the_identity_of_repmix_stands_behind_its_batchnorm() -> None:
    """The paper's figure draws it before; the published weights were trained with it behind."""
    repmix = RepConv(8, 8, 3, groups=8)
    torch.nn.init.zeros_(repmix.bn.weight)
    x = torch.randn(1, 8, 5, 5)
    assert torch.equal(Residual(repmix).eval()(x), x)


@pytest.mark.parametrize(("name", "entries"), [("facelivt_s", 856), ("facelivt_m", 856), ("facelivt_s_sa", 424)])
def test_names_are_those_of_the_checkpoints(name: str, entries: int) -> None:
    state = create_model(name).state_dict()
    assert len(state) == entries
    mixer = "stages.2.blocks.5.block.0.m"
    expected = {
        "patch_embedds.0.stem.0.0.repconv.bias",
        "patch_embedds.3.spatial.1.c.weight",
        "patch_embedds.3.channel.m.pw2.bn.running_var",
        "stages.1.blocks.3.block.0.m.conv.weight",
        "stages.3.blocks.1.block.1.m.pw1.c.weight",
        "head.classifier.bn.weight",
        "head.classifier.l.bias",
    }
    if name.endswith("_sa"):
        expected |= {f"{mixer}.qkv_proj.c.weight", f"{mixer}.out_proj.bn.bias"}
    else:
        expected |= {f"{mixer}.norm.weight", f"{mixer}.linear1.15.weight", f"{mixer}.linear2.0.bias"}
    assert expected <= state.keys()
