"""Modules of torch, converted by coremltools as our exports are, against torch itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketface.evaluate.mil import open_package
from pocketface.evaluate.mil.quiet import coremltools

ct = coremltools()


class Lambda(nn.Module):
    def __init__(self, function: Callable[[Tensor], Any], *modules: nn.Module) -> None:
        super().__init__()
        self.function, self.inner = function, nn.Sequential(*modules)

    def forward(self, x: Tensor) -> Any:
        return self.function(self.inner(x))


def attention(x: Tensor) -> Tensor:
    q, k, v = x.flatten(2).transpose(1, 2).chunk(3, -1)
    return F.scaled_dot_product_attention(q, k, v)


def several(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    low, high = x.split([2, 4], 1)
    return low.sigmoid(), F.normalize(high.mean((2, 3)), dim=1), x[:, ::2, 1:-1].amax(3)


NETWORKS: dict[str, nn.Module] = {
    "convolutions": nn.Sequential(
        nn.Conv2d(6, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.PReLU(8),
        nn.Conv2d(8, 8, 5, padding="same", groups=8),
        nn.Hardswish(),
        nn.Conv2d(8, 4, 2, padding=(0, 1), dilation=(1, 2)),
    ),
    "transposed": nn.Sequential(
        nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1),
        nn.LeakyReLU(0.1),
        nn.Upsample(scale_factor=2),
    ),
    "activations": nn.Sequential(
        nn.GELU(),
        nn.SiLU(),
        nn.Hardsigmoid(),
        nn.ELU(),
        nn.ReLU6(),
        nn.Softplus(),
        nn.Tanh(),
    ),
    "pools": nn.Sequential(
        nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(3, 1, 1), nn.AvgPool2d(2, 1, 0), nn.AdaptiveAvgPool2d(1)
    ),
    "normalisations": nn.Sequential(nn.LayerNorm([9, 10]), nn.InstanceNorm2d(6, affine=True)),
    "group normalisation": nn.GroupNorm(2, 6, affine=False),
    "attention": Lambda(attention),
    "einsum": Lambda(lambda x: torch.einsum("bchw,bdhw->bcd", x, x).softmax(-1)),
    "shapes": Lambda(lambda x: F.pad(x, (1, 2, 0, 1)).reshape(1, 2, 3, 10, 13).permute(0, 2, 1, 4, 3).flatten(1, 2)),
    "shuffles": Lambda(lambda x: torch.stack([F.pixel_unshuffle(x[:, :, 1:], 2)] * 2, 2).flatten(1, 2)),
    "mean of squares": Lambda(lambda x: x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-6)),
    "several outputs": Lambda(several),
    "clamp": Lambda(lambda x: torch.where(x > 0, x.clamp(max=0.5), x.abs().log1p())),
}


@pytest.mark.parametrize("traced", [False, True], ids=["export", "trace"])
@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_float32_equals_torch(name: str, traced: bool, tmp_path: Path) -> None:
    torch.manual_seed(3)
    module = NETWORKS[name].eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = torch.randn(1, 6, 9, 10)
    if traced:
        program, target = torch.jit.trace(module, x, check_trace=False), ct.target.iOS16
    else:
        program, target = torch.export.export(module, (x,)).run_decompositions({}), ct.target.iOS17
    model = ct.convert(
        program,
        inputs=[ct.TensorType(name="x", shape=x.shape)],
        convert_to="mlprogram",
        minimum_deployment_target=target,
        compute_precision=ct.precision.FLOAT32,
        skip_model_load=True,
    )
    model.save(str(tmp_path / "m.mlpackage"))
    ours = open_package(tmp_path / "m.mlpackage").run({"x": x.numpy()})
    wanted = module(x)
    for array, tensor in zip(ours.values(), wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        np.testing.assert_allclose(array, tensor.numpy(), rtol=2e-6, atol=2e-6)
