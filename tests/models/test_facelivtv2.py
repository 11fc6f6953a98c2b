"""FaceLiVTv2 against its formulas written out, and against the names of its published checkpoints."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pocketface.models import create_model, reparameterize
from pocketface.models.facelivtv2 import LiteMHLA, LocalLiteMHLA, MixingResidual, TokenMixing
from pocketface.models.reparam import rebuild

SIDE, CHANNELS = 3, 8


def _randomized(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in module.double().parameters():
        nn.init.normal_(parameter)
    return module.eval()


def _picture() -> Tensor:
    return torch.randn(2, CHANNELS, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_lite_mhla_is_one_matrix_per_head_between_two_scales() -> None:
    mixer, x = _randomized(LiteMHLA(CHANNELS, SIDE)), _picture()
    expected = torch.empty_like(x)
    for channel in range(CHANNELS):
        lin = mixer.lin[channel // 2]  # 8 channels, 4 heads
        cells = mixer.norm.alpha[0, channel] * x[:, channel].flatten(1) + mixer.norm.beta[0, channel]
        expected[:, channel] = mixer.ls[channel] * (cells @ lin.weight.T + lin.bias).reshape(2, SIDE, SIDE)
    torch.testing.assert_close(mixer(x), expected, rtol=1e-12, atol=1e-12)


def test_the_fold_is_one_scale_and_one_offset() -> None:
    """``x + s_c (W_h x_c) + B_cn`` with ``s = ls alpha`` and ``B = ls (beta sum_m W_h[n, m] + b_h[n])``."""
    mixer, x = _randomized(LiteMHLA(CHANNELS, SIDE)), _picture()
    folded = MixingResidual(mixer).fold()
    assert isinstance(folded, TokenMixing)
    expected = x.clone()
    for channel in range(CHANNELS):
        weight, bias = mixer.lin[channel // 2].weight, mixer.lin[channel // 2].bias
        ls, alpha, beta = mixer.ls[channel, 0, 0], mixer.norm.alpha[0, channel, 0], mixer.norm.beta[0, channel, 0]
        cells = ls * alpha * (x[:, channel].flatten(1) @ weight.T) + ls * (beta * weight.sum(1) + bias)
        expected[:, channel] += cells.reshape(2, SIDE, SIDE)
    torch.testing.assert_close(folded(x), expected, rtol=1e-12, atol=1e-12)
    assert len(folded.state_dict()) == 5


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_the_local_branch_is_a_convolution_that_a_heads_channels_share(kernel: int) -> None:
    mixer, x = _randomized(LocalLiteMHLA(CHANNELS, SIDE, kernel)), _picture()
    torch.nn.init.uniform_(mixer.local.bn.running_var, 0.5, 2)
    torch.nn.init.normal_(mixer.local.bn.running_mean)
    normal = mixer.norm(x.flatten(2)).reshape(x.shape)
    plain = LiteMHLA.mix(mixer, normal.reshape(2, 4, 2, -1)).reshape(x.shape)
    local = torch.cat([mixer.local(normal[:, inner::2]) for inner in range(2)], 1)  # one channel of each head at once
    local = local.reshape(2, 2, 4, SIDE, SIDE).transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(mixer(x), mixer.ls * (plain + local), rtol=1e-12, atol=1e-12)
    expected = x + mixer(x)
    torch.testing.assert_close(rebuild(MixingResidual(mixer), "fold")(x), expected, rtol=1e-12, atol=1e-12)


def test_the_local_branch_costs_nothing_when_deployed() -> None:
    local, plain = (create_model(name, seed=0) for name in ("facelivtv2_xs_local", "facelivtv2_xs"))
    assert len(local.state_dict()) > len(plain.state_dict())
    shapes = [{k: v.shape for k, v in reparameterize(m).state_dict().items()} for m in (local, plain)]
    assert shapes[0] == shapes[1]


def test_the_local_branch_learns() -> None:
    model = create_model("facelivtv2_xs_local", seed=0)
    model(torch.ones(1, 3, 112, 112)).sum().backward()
    kernels = [p.grad for name, p in model.named_parameters() if name.endswith("local.c.weight")]
    assert len(kernels) == 12
    assert all(grad is not None and grad.abs().max() > 0 for grad in kernels)


@pytest.mark.parametrize("size", ["xs", "s", "m", "l"])
def test_628_tensors_become_202(size: str) -> None:
    model = create_model(f"facelivtv2_{size}")
    assert len(model.state_dict()) == 628
    assert len(reparameterize(model).state_dict()) == 202


def test_names_are_those_of_the_checkpoints() -> None:
    state = create_model("facelivtv2_l").state_dict()
    mixer = "stages.2.blocks.8.block.1.m"
    shapes = {
        "patch_embedds.0.stem.1.0.conv.weight": (64, 32, 3, 3),
        "patch_embedds.0.stem.1.0.repconv.weight": (64, 32, 1, 1),
        "patch_embedds.1.spatial.0.bn.num_batches_tracked": (),
        "patch_embedds.3.spatial.1.c.weight": (512, 256, 1, 1),
        "patch_embedds.3.channel.m.pw1.c.weight": (1024, 512, 1, 1),
        "stages.0.blocks.2.block.1.m.pw2.bn.weight": (64,),
        f"{mixer}.norm.alpha": (1, 256, 1),
        f"{mixer}.norm.beta": (1, 256, 1),
        f"{mixer}.lin.3.weight": (49, 49),
        f"{mixer}.ls": (256, 1, 1),
        "stages.3.blocks.0.block.2.m.pw1.c.weight": (1024, 512, 1, 1),
        "pre_head.0.c.weight": (1284, 512, 1, 1),
        "pre_head.1.c.weight": (1284, 1, 4, 4),
        "head.classifier.l.weight": (512, 1284),
    }
    assert {key: tuple(state[key].shape) for key in shapes} == shapes


def test_a_new_network_starts_as_its_publication_says() -> None:
    state = create_model("facelivtv2_xs").state_dict()
    assert torch.all(state["stages.0.blocks.0.block.1.m.pw2.bn.weight"] == 0)
    assert torch.all(state["stages.2.blocks.0.block.1.m.ls"] == 1e-5)
    assert torch.all(state["head.classifier.l.bias"] == 0)
    assert state["pre_head.0.c.weight"].std() == pytest.approx(0.02, rel=0.15)
