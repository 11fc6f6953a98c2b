"""Every registered network, folded: the same function, nothing left that could fold, the network itself untouched."""

from __future__ import annotations

import copy
import operator
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from pocketface.errors import ExportError
from pocketface.models import channels_last, create_model, list_models, model_spec, reparameterize

#: LayerNorms over channels and grid, GroupNorm's deployed form: they depend on the picture and cannot fold.
NORMS_THAT_STAY = {"facelivt_s": 8, "facelivt_m": 8}
NORMALISATIONS = ("batch_norm", "group_norm", "layer_norm", "instance_norm")


def _pictures(name: str, count: int = 2) -> Tensor:
    blobs = torch.rand(count, 3, 9, 9, generator=torch.Generator().manual_seed(99)) * 2 - 1
    return F.interpolate(blobs, model_spec(name).input_size, mode="bilinear")


def _answer(model: nn.Module, pictures: Tensor) -> Tensor:
    with torch.no_grad():
        answer = model(pictures)
    return answer if isinstance(answer, Tensor) else torch.cat([part.flatten(1) for part in answer], 1)


@pytest.mark.parametrize("name", list_models())
def test_folding_and_layout_leave_the_function_as_it_is(name: str) -> None:
    model, pictures = create_model(name, seed=1).double(), _pictures(name).double()
    expected = _answer(model, pictures)
    deployed = reparameterize(model)
    for form in (deployed, channels_last(deployed)):
        assert (_answer(form, pictures) - expected).abs().max() < 1e-10 * expected.abs().max()


@pytest.mark.parametrize("name", ["facelivtv2_xs", "facelivt_s"])
def test_the_parity_test_can_fail(name: str) -> None:
    """A wrong value anywhere in a fold would show: each deployed tensor matters to the answer."""
    deployed, pictures = reparameterize(create_model(name, seed=1)), _pictures(name, 1)
    expected = _answer(deployed, pictures)
    for key, tensor in deployed.state_dict().items():
        original = tensor.clone()
        tensor.mul_(1.05)
        change = (_answer(deployed, pictures) - expected).abs().max() / expected.abs().max()
        tensor.copy_(original)
        assert change > 1e-5, f"{key} hardly matters: {change:.1e}"


def test_the_network_itself_is_left_as_it_was() -> None:
    model = create_model("facelivtv2_xs", seed=1)
    before = copy.deepcopy(model.state_dict())
    deployed = reparameterize(model)
    for parameter in deployed.parameters():
        parameter.zero_()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("name", list_models())
def test_folding_twice_is_folding_once(name: str) -> None:
    once = reparameterize(create_model(name, seed=1))
    twice = reparameterize(once)
    assert list(twice.state_dict()) == list(once.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(twice.state_dict().values(), once.state_dict().values(), strict=True))


def test_training_mode_is_refused() -> None:
    with pytest.raises(ExportError, match=r"training mode.*\.eval\(\)"):
        reparameterize(create_model("facelivtv2_xs").train())


def test_a_single_module_in_training_mode_is_refused() -> None:
    model = create_model("facelivtv2_xs")
    next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d)).train()
    with pytest.raises(ExportError, match="training mode"):
        reparameterize(model)


@pytest.mark.parametrize("name", list_models())
def test_nothing_is_left_that_could_fold(name: str) -> None:
    deployed = reparameterize(create_model(name, seed=1))
    graph = torch.export.export(deployed, (_pictures(name, 1),)).graph
    kinds = Counter(str(node.target) for node in graph.nodes if node.op == "call_function")
    norms = sum(count for kind, count in kinds.items() if any(norm in kind for norm in NORMALISATIONS))
    assert norms == NORMS_THAT_STAY.get(name, 0)
    assert not [node for node in graph.nodes if _could_fold(node)]


def _could_fold(node: fx.Node) -> bool:
    """A sum of convolutions of one tensor, or of a tensor and its own convolution."""
    if node.target not in (torch.ops.aten.add.Tensor, operator.add):
        return False
    terms = [term for term in node.args if isinstance(term, fx.Node)]
    sources = [term.args[0] if "conv2d" in str(term.target) else term for term in terms]
    return len(sources) == 2 and sources[0] is sources[1]


def test_the_unfolded_graph_has_what_the_test_looks_for() -> None:
    graph = torch.export.export(create_model("facelivtv2_xs", seed=1), (_pictures("facelivtv2_xs", 1),)).graph
    assert any("batch_norm" in str(node.target) for node in graph.nodes)
    assert sum(_could_fold(node) for node in graph.nodes) == 23  # one per RepConv
