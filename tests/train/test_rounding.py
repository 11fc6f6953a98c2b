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
from pocketface.train.fake_quantize import fake_quantize, freeze_ranges
from pocketface.train.recipes import PRESETS, change
from pocketface.train.record import Record, leave_record, open_record
from pocketface.train.rounding import images_of, rounding
from pocketface.train.start import train

NETWORK = "facelivtv2_xs"
SMALL = {"batch": "2", "settings.workers": "0", "settings.save_every": "2", "settings.log_every": "1", "follow": "0.5"}


class Tiny(nn.Module):
    """Of each kind of operation one: convolution and ReLU, product, sum, linear layer, moves."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.line = nn.Conv2d(3, 4, 3), nn.Linear(16, 5)
        self.matrix = nn.Parameter(torch.randn(4, 4))

    def forward(self, x):
        y = torch.relu(self.conv(x)).flatten(2)
        return self.line((y + y @ self.matrix).flatten(1))


def affine(x):
    """Eight bits with a zero point between the least and the greatest value, both of which reach to 0."""
    low, high = min(0.0, float(x.min())), max(0.0, float(x.max()))
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


def test_it_rounds_as_the_formula_says(tiny):
    x = torch.rand(2, 3, 4, 4) * 2 - 1
    with torch.no_grad():
        said = fake_quantize(tiny, x)(x)
        kernel = symmetric(tiny.conv.weight, (1, 2, 3))
        y = affine(torch.relu(nn.functional.conv2d(affine(x), kernel, tiny.conv.bias))).flatten(2)
        y = affine(y + affine(y @ symmetric(tiny.matrix, (0, 1))))
        wanted = affine(nn.functional.linear(y.flatten(1), symmetric(tiny.line.weight, 1), tiny.line.bias))
        assert torch.allclose(said, wanted, atol=2 * float(wanted.max() - wanted.min()) / 255)
        assert (said - wanted).abs().median() < 1e-5
        assert (said - tiny(x)).abs().max() > 1e-4  # and it is not what the float network says


def test_the_network_learns_what_its_graph_learns(tiny):
    x = torch.rand(2, 3, 4, 4)
    before = {name: value.clone() for name, value in tiny.state_dict().items()}
    graph = fake_quantize(tiny, x)
    assert {name for name, _ in graph.named_parameters()} == before.keys()
    graph.train()
    optimizer = torch.optim.SGD(graph.parameters(), lr=0.1)
    graph(x).square().sum().backward()
    optimizer.step()
    assert all((tiny.state_dict()[name] != value).any() for name, value in before.items())


def test_frozen_ranges_stay_and_those_of_weights_follow(tiny):
    x = torch.rand(2, 3, 4, 4)
    graph = fake_quantize(tiny, x)
    with torch.no_grad():
        graph(x)
        freeze_ranges(graph)
        for layer in (tiny.conv, tiny.line):
            layer.weight.mul_(3)
        scales = {
            name: module.scale.clone() for name, module in graph.named_modules() if hasattr(module, "disable_observer")
        }
        graph(10 * x)
    for name, old in scales.items():
        module = graph.get_submodule(name)
        follows = module.qscheme == torch.per_channel_symmetric
        assert torch.allclose(module.scale, 3 * old if follows else old)


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
    return change(PRESETS["qat_xs"], SMALL | {name.replace("__", "."): value for name, value in changes.items()})


def test_a_stopped_run_ends_as_one_that_was_not(crops, weights, tmp_path):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    file = train(recipe(settings__steps="4", settings__decay="0"), [crops], whole, weights=weights)
    for steps in ("2", "4"):  # the second goes on where the first one ended; half of four is the first one's last step
        parts = recipe(settings__steps=steps, settings__decay="0", follow="1" if steps == "2" else "0.5")
        train(parts, [crops], halves, weights=weights)
    one, other = read_state(file), read_state(halves / "weights.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)
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
