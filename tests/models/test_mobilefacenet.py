"""MobileFaceNet against the names of InsightFace's checkpoints, and its PReLU against torch's."""

from __future__ import annotations

import pytest
import torch

from pocketface.models import create_model
from pocketface.models.mobilefacenet import PReLU


@pytest.mark.parametrize("slope", [-0.5, 0.0, 0.25, 1.0, 3.0])
def test_the_affine_form_is_prelu_for_every_slope(slope: float) -> None:
    act, x = PReLU(4, init=slope).double(), torch.randn(2, 4, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(act.fold()(x), torch.nn.functional.prelu(x, act.weight), rtol=1e-15, atol=1e-15)


def test_slopes_go_with_their_channels() -> None:
    act = PReLU(4)
    torch.nn.init.uniform_(act.weight, -1, 1)
    x = torch.randn(2, 4, 3, 3)
    torch.testing.assert_close(act.fold()(x), act(x))


def test_names_are_those_of_insightface() -> None:
    state = create_model("mobilefacenet").state_dict()
    assert len(state) == 333
    shapes = {
        "layers.0.layers.0.weight": (128, 3, 3, 3),
        "layers.0.layers.2.weight": (128,),
        "layers.1.layers.0.weight": (128, 2, 3, 3),
        "layers.2.layers.0.layers.0.weight": (128, 128, 1, 1),
        "layers.3.layers.3.layers.1.layers.0.weight": (128, 1, 3, 3),
        "layers.4.layers.2.layers.1.running_mean": (256,),
        "layers.5.layers.5.layers.2.layers.1.bias": (256,),
        "layers.6.layers.1.layers.2.weight": (512,),
        "layers.7.layers.1.layers.2.layers.0.weight": (256, 256, 1, 1),
        "conv_sep.layers.0.weight": (512, 256, 1, 1),
        "features.layers.0.layers.0.weight": (512, 1, 7, 7),
        "features.layers.2.weight": (512, 512),
        "features.layers.3.running_var": (512,),
    }
    assert {key: tuple(state[key].shape) for key in shapes} == shapes
