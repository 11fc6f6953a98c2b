"""The registry is complete, and each network costs what an independent recount says."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from pocketface.errors import InvalidModel
from pocketface.models import create_model, list_models, macs, model_spec, parameters, register_model, reparameterize

#: Millions of parameters in training, of parameters when deployed, of MACs: recounted from the published code.
COSTS = {
    "facelivt_s": (5.071, 5.056, 157),
    "facelivt_s_sa": (5.916, 5.891, 235),  # 234.485: the recount rounds up
    "facelivt_m": (9.770, 9.746, 380),
    "facelivt_m_sa": (14.344, 14.306, 565),
    "facelivtv2_xs": (2.994, 2.970, 88),
    "facelivtv2_xs_local": (2.994, 2.970, 88),
    "facelivtv2_xs_ri": (3.013, 2.988, 88),
    "facelivtv2_s": (4.654, 4.621, 176),
    "facelivtv2_m": (7.057, 7.018, 254),
    "facelivtv2_l": (8.869, 8.825, 329),
    "mobilefacenet": (2.060, 2.048, 438),
}


def test_every_recogniser_has_a_recount() -> None:
    assert sorted(COSTS) == list_models("recognition")


def test_tasks_split_the_list() -> None:
    assert sorted(list_models("recognition") + list_models("detection")) == list_models()


@pytest.mark.parametrize("name", list_models("recognition"))
def test_costs_are_those_of_the_recount(name: str) -> None:
    model, (trained, deployed, work) = create_model(name), COSTS[name]
    folded = reparameterize(model)
    assert parameters(model) / 1e6 == pytest.approx(trained, abs=5.01e-4)
    assert parameters(folded) / 1e6 == pytest.approx(deployed, abs=5.01e-4)
    assert macs(folded, model_spec(name).input_size) / 1e6 == pytest.approx(work, abs=0.55)


def test_macs_are_multiply_accumulates() -> None:
    conv = torch.nn.Conv2d(3, 8, 3, padding=1, bias=False)
    assert macs(conv, (5, 7)) == 3 * 8 * 9 * 5 * 7


@pytest.mark.parametrize("name", list_models("recognition"))
def test_embeddings_have_the_size_of_the_spec(name: str) -> None:
    spec = model_spec(name)
    with torch.no_grad():
        embedding = create_model(name)(torch.zeros(2, 3, *spec.input_size))
    assert spec.name == name
    assert embedding.shape == (2, spec.embedding_size)


@pytest.mark.parametrize("name", list_models())
def test_models_come_in_eval_mode(name: str) -> None:
    assert not any(module.training for module in create_model(name).modules())


def test_an_unknown_name_brings_the_nearest_ones() -> None:
    with pytest.raises(InvalidModel, match="facelivtv2_xs"):
        create_model("facelivtv2-xs")
    with pytest.raises(InvalidModel, match=r"the models are .*mobilefacenet"):
        model_spec("zzz")


def test_weights_and_seed_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="either"):
        create_model("facelivtv2_xs", weights="x.pt", seed=0)


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="facelivtv2_xs"):
        register_model(model_spec("facelivtv2_xs"))(torch.nn.Identity)


def test_specs_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        model_spec("facelivtv2_xs").embedding_size = 128  # type: ignore[misc]
