"""Rounding in training is what a file in 8 bits does, and a run of it is a run like any other."""

from __future__ import annotations

import hashlib
import json

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from pocketface.errors import InvalidData, InvalidModel
from pocketface.evaluate.data.opening import open_images
from pocketface.evaluate.faces import bundled_portraits, inputs_for
from pocketface.export.prepare import build_model, prepare
from pocketface.models import create_model, reparameterize
from pocketface.models.checkpoint import load_weights, read_state, save_weights
from pocketface.train.augment import Augmentation
from pocketface.train.crops import Deck, pack_crops
from pocketface.train.fake_quantize import fake_quantize, ranges_of
from pocketface.train.learned_range import LearnedRange
from pocketface.train.recipes import PRESETS, change
from pocketface.train.record import Record, leave_record, open_record
from pocketface.train.rounding import images_of, rounding
from pocketface.train.start import train

NETWORK = "facelivtv2_xs"
SMALL = {"batch": "2", "settings.workers": "0", "settings.save_every": "2", "settings.log_every": "1"}


class Tiny(nn.Module):
    """Of each kind of operation one: convolution and ReLU, product, sum, linear layer, moves."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.line = nn.Conv2d(3, 4, 3), nn.Linear(16, 5)
        self.matrix = nn.Parameter(torch.randn(4, 4))

    def forward(self, x):
        y = torch.relu(self.conv(x)).flatten(2)
        return self.line((y + y @ self.matrix).flatten(1))


def usual(x):
    """What the mean picture reaches, 0 in between."""
    x = x.flatten(1)
    return float(x.amin(1).clamp(max=0).mean()), float(x.amax(1).clamp(min=0).mean())


def affine(x, low, high):
    """Eight bits with a zero point between two ends."""
    scale = (high - low) / 255
    zero = round(-128 - low / scale)
    return (torch.clamp(torch.round(x / scale) + zero, -128, 127) - zero) * scale


def symmetric(w, dims):
    scale = w.abs().amax(dims, keepdim=True) / 127
    return torch.clamp(torch.round(w / scale), -127, 127) * scale


@pytest.fixture
def tiny():
    torch.manual_seed(3)
    return Tiny().eval()


def by_formula(tiny, x, at):
    """What the tiny network says with weights in 8 bits, and ``at(name, value)`` for each activation."""
    conv, line = tiny.conv, tiny.line
    kernel = symmetric(conv.weight, (1, 2, 3))
    y = at("relu", torch.relu(nn.functional.conv2d(at("x", x), kernel, conv.bias))).flatten(2)
    y = at("add", y + at("matmul", y @ symmetric(tiny.matrix, (0, 1))))
    return at("linear", nn.functional.linear(y.flatten(1), symmetric(line.weight, 1), line.bias))


def test_it_rounds_as_the_formula_says(tiny):
    x, ranges = torch.rand(2, 3, 4, 4) * 2 - 1, {}
    with torch.no_grad():
        graph = fake_quantize(tiny, x)
        by_formula(tiny, x, lambda name, value: (ranges.update({name: usual(value)}), value)[1])
        ranges["x"] = float(x.min()), float(x.max())  # pixels keep all of their levels
        assert ranges_of(graph) == {name: pytest.approx(ends, rel=1e-5) for name, ends in ranges.items()}
        wanted = by_formula(tiny, x, lambda name, value: affine(value, *ranges[name]))
        learning, said = graph(x), (graph.eval(), graph)[1](x)
        assert torch.allclose(said, wanted, atol=2 * float(wanted.max() - wanted.min()) / 255)
        assert (said - wanted).abs().median() < 1e-5
        assert torch.allclose(learning, said, atol=1e-5)
        assert (said - tiny(x)).abs().max() > 1e-4  # and it is not what the float network says


def test_the_network_learns_what_its_graph_learns_and_ranges_beside_it(tiny):
    x = torch.rand(2, 3, 4, 4)
    before = {name: value.clone() for name, value in tiny.state_dict().items()}
    graph = fake_quantize(tiny, x)
    parameters = {name for name, _ in graph.named_parameters()}
    assert {name for name in parameters if not name.endswith(".ends")} == before.keys()
    assert len(parameters) == len(before) + 5
    ranges = ranges_of(graph)
    graph.train()
    optimizer = torch.optim.SGD(graph.parameters(), lr=0.1)
    graph(x).square().sum().backward()
    optimizer.step()
    assert all((tiny.state_dict()[name] != value).any() for name, value in before.items())
    assert {name for name, ends in ranges_of(graph).items() if ends == ranges[name]} == {"x"}


def test_ranges_of_weights_follow_them_and_those_of_activations_only_learn(tiny):
    x = torch.rand(2, 3, 4, 4)
    graph = fake_quantize(tiny, x)
    kinds = {
        name: getattr(module, "qscheme", None) for name, module in graph.named_modules() if hasattr(module, "scale")
    }
    weights = {name: graph.get_submodule(name) for name, kind in kinds.items() if kind == torch.per_channel_symmetric}
    scales, ranges = {name: module.scale.clone() for name, module in weights.items()}, ranges_of(graph)
    with torch.no_grad():
        for layer in (tiny.conv, tiny.line):
            layer.weight.mul_(3)
        graph(10 * x)
    assert len(scales) >= 2
    assert all(torch.allclose(weights[name].scale, 3 * old) for name, old in scales.items())
    assert ranges_of(graph) == ranges


@pytest.mark.parametrize("sign", [1, -1])
def test_a_range_learns_to_clip_as_a_search_would(sign):
    torch.manual_seed(0)
    x = sign * torch.randn(1, 4000).abs()
    x[0, 0] = sign * 40.0
    rounded = LearnedRange(1.0)
    rounded.measuring = True
    rounded(x)
    rounded.measuring = False
    optimizer = torch.optim.Adam(rounded.parameters(), lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        (rounded(x) - x).abs().sum().backward()  # of one outlier of 40, the square would be all
        optimizer.step()
    tried = [affine(x, *sorted((0.0, sign * far))) for far in np.linspace(1, 40, 200)]
    best = min(float((one - x).abs().sum()) for one in tried)
    assert float((rounded.eval()(x) - x).abs().sum()) < 1.05 * best
    low, high = rounded.range().tolist()
    assert (low == 0) == (sign == 1)
    assert max(-low, high) < 20


def test_what_is_zero_everywhere_stays_zero():
    rounded, x = LearnedRange(1.0), torch.zeros(2, 3)
    rounded.measuring = True
    rounded(x)
    rounded.measuring = False
    assert torch.equal(rounded(x), x)


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    from PIL import Image

    folder = tmp_path_factory.mktemp("crops") / "data"
    contract = prepare(build_model(NETWORK, seed=0)).contract
    for i, crop in enumerate(inputs_for(contract, bundled_portraits()[:8])):
        place = folder / f"person_{i % 2}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(crop).save(place / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    file = tmp_path_factory.mktemp("weights") / "seeded.safetensors"
    save_weights(create_model(NETWORK, seed=0), file)
    return file


def recipe(**changes):
    return change(
        PRESETS["qat_xs"],
        {"network": NETWORK} | SMALL | {name.replace("__", "."): value for name, value in changes.items()},
    )


def test_a_stopped_run_ends_as_one_that_was_not(crops, weights, tmp_path):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    file = train(recipe(settings__steps="4", settings__decay="0"), [crops], whole, weights=weights)
    for steps in ("2", "4"):  # the second goes on where the first one ended
        train(recipe(settings__steps=steps, settings__decay="0"), [crops], halves, weights=weights)
    one, other = read_state(file), read_state(halves / "weights.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert open_record(whole).ranges == open_record(halves).ranges
    deployed = reparameterize(create_model(NETWORK, seed=0))
    assert any(not torch.equal(value, one[name]) for name, value in deployed.state_dict().items())
    load_weights(deployed, file)
    losses = [json.loads(line)["loss"] for line in (whole / "log.jsonl").read_text().splitlines()]
    assert len(losses) == 4
    assert all(0 < loss < 0.5 for loss in losses)


def test_a_run_says_what_it_was_trained_on(crops, weights, tmp_path):
    train(recipe(settings__steps="1"), [crops], tmp_path, weights=weights)
    record = open_record(tmp_path)
    assert (record.network, record.steps) == (NETWORK, 1)
    assert record.began == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert record.people == ("person_0", "person_1")
    store = pack_crops(open_images(crops, aligned=True), tmp_path / "crops" / "data")
    every = {hashlib.sha256(f"{p.shape}".encode() + p.tobytes()).hexdigest() for p in np.array(store.pixels)}
    assert len(record.digests) == 2
    assert set(record.digests) < every
    assert record.data == (store.fingerprint,)
    assert len(record.ranges) > 100
    assert all(low <= 0 <= high for low, high in record.ranges.values())


def test_what_it_cannot_begin_from_is_told(crops, weights, tmp_path):
    deck = Deck([pack_crops(open_images(crops, aligned=True), tmp_path)], 2)
    with pytest.raises(InvalidData, match="--weights"):
        rounding(recipe(), create_model(NETWORK), None, deck)
    with pytest.raises(InvalidModel, match="no recogniser"):
        rounding(recipe(network="mos_xs"), create_model("mos_xs"), weights, deck)
    with pytest.raises(InvalidModel, match="not a checkpoint"):
        rounding(recipe(network="mobilefacenet"), create_model("mobilefacenet"), weights, deck)
    still = Augmentation(flip=0, rotate_deg=0, scale=0, shift=0, light=0, grey=0, spoil=0)
    assert torch.equal(images_of(deck, still, 3), images_of(deck, still, 3))


@pytest.mark.parametrize("text", ["", "{", '{"network": "x"}', "\xff", '{"began": 3}'])
def test_a_damaged_record_is_told(text, tmp_path):
    with pytest.raises(InvalidData, match="cannot be read"):
        open_record(tmp_path)
    (tmp_path / "trained.json").write_text(text, "latin-1")
    with pytest.raises(InvalidData, match="not the record"):
        open_record(tmp_path)


def test_a_run_that_went_on_with_other_data_was_trained_on_both(tmp_path):
    record = Record(network="x", began="0" * 64, steps=3, data=("1" * 64,), digests=("2" * 64,), people=("a",))
    leave_record(record, tmp_path)
    assert open_record(tmp_path) == record
    leave_record(msgspec.structs.replace(record, steps=5, data=("4" * 64,), digests=("2" * 64, "3" * 64)), tmp_path)
    both = open_record(tmp_path)
    assert (both.steps, both.data, both.digests) == (5, ("1" * 64, "4" * 64), ("2" * 64, "3" * 64))
