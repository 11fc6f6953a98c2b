"""A recogniser that judges: the same embedding, a quality that folds with it, and a cost that does not count."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pocketface.errors import InvalidModel
from pocketface.models import channels_last, create_model, macs, parameters, reparameterize, save_weights
from pocketface.models.recognizability import PerceptibilityAttention, Recognizable, load_trunk

NAME, TRUNK = "facelivtv2_xs_ri", "facelivtv2_xs"


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    blobs = torch.rand(6, 3, 9, 9, generator=torch.Generator().manual_seed(3)) * 2 - 1
    return nn.functional.interpolate(blobs, (112, 112), mode="bilinear")


def test_judging_changes_no_embedding_and_gives_a_quality_from_0_to_1(pictures: Tensor) -> None:
    model = create_model(NAME, seed=0)
    with torch.no_grad():
        embedding, quality = model.judged(pictures)
        assert torch.equal(embedding, model(pictures))
    assert quality.shape == (6, 1)
    assert 0 < quality.min() < quality.max() < 1
    assert quality.std() > 0.01  # seeded weights too tell pictures apart, or no parity check could fail


@pytest.mark.parametrize("form", [reparameterize, lambda model: channels_last(reparameterize(model))])
def test_quality_folds_with_the_network(pictures: Tensor, form: object) -> None:
    model = create_model(NAME, seed=1).double()
    with torch.no_grad():
        (_, expected), (_, quality) = model.judged(pictures.double()), form(model).judged(pictures.double())
    assert (quality - expected).abs().max() < 1e-12
    assert not any(isinstance(module, nn.BatchNorm1d) for module in reparameterize(model).modules())


def test_every_tensor_of_the_index_matters(pictures: Tensor) -> None:
    deployed = reparameterize(create_model(NAME, seed=1))
    expected = deployed.judged(pictures)[1]
    for key, tensor in deployed.quality.state_dict().items():
        original = tensor.clone()
        tensor.mul_(1.2)
        change = (deployed.judged(pictures)[1] - expected).abs().max()
        tensor.copy_(original)
        assert change > 1e-6, key


def test_it_costs_less_than_two_percent() -> None:
    model, trunk = create_model(NAME), create_model(TRUNK)
    more = macs(reparameterize(model), (112, 112)) - macs(reparameterize(trunk), (112, 112))
    assert 0 < more < 0.02 * macs(reparameterize(trunk), (112, 112))
    assert parameters(model) - parameters(trunk) < 0.02 * parameters(trunk)


def test_attention_is_a_mean_with_weights_per_group() -> None:
    torch.manual_seed(0)
    attention, x = PerceptibilityAttention(16).double(), torch.randn(3, 16, 4, 5, dtype=torch.float64)
    got = attention(x)
    scores = torch.einsum("gc,bchw->bghw", attention.score.weight[:, :, 0, 0], x)
    weights = scores.exp() / scores.exp().sum((2, 3), keepdim=True)
    for channel in range(16):
        group = channel // 2  # 8 groups of 2 channels
        expected = (x[:, channel] * weights[:, group]).sum((1, 2))
        torch.testing.assert_close(got[:, channel], expected, rtol=1e-12, atol=1e-12)


def test_a_checkpoint_of_the_plain_network_becomes_the_trunk(tmp_path: Path, pictures: Tensor) -> None:
    plain, file = create_model(TRUNK, seed=2), tmp_path / "plain.safetensors"
    save_weights(plain, file)
    model = create_model(NAME, seed=0)
    assert isinstance(model, Recognizable)
    load_trunk(model, file)
    with torch.no_grad():
        assert torch.equal(model(pictures), plain(pictures))
    whole = tmp_path / "whole.safetensors"
    save_weights(model, whole)
    again = create_model(NAME, weights=whole)
    with torch.no_grad():
        assert torch.equal(again.judged(pictures)[1], model.judged(pictures)[1])
    other = create_model(NAME, seed=5)
    load_trunk(other, whole)  # a file with an index serves as well; the index is not taken
    with torch.no_grad():
        assert torch.equal(other(pictures), plain(pictures))
        assert not torch.equal(other.judged(pictures)[1], model.judged(pictures)[1])
    save_weights(create_model("mobilefacenet"), file)
    with pytest.raises(InvalidModel, match="not a checkpoint"):
        load_trunk(model, file)
