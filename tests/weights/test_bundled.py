from __future__ import annotations

import msgspec
import pytest
import torch

from pocketface import weights
from pocketface.errors import InvalidModel
from pocketface.export import build_model
from pocketface.models import create_model, list_models, save_weights
from pocketface.weights import Bundled, find_bundled, list_bundled


@pytest.mark.parametrize("one", list_bundled(), ids=lambda one: one.file)
def test_what_is_bundled_loads_and_has_a_card(one):
    assert one.model in list_models()
    assert find_bundled(one.model) == one
    create_model(one.model, weights=one.path)
    card = one.card.read_text()
    assert one.license in card
    assert one.sha256 in card
    for section in ("## Data", "## Recipe", "## Measured", "## Limits"):
        assert section in card
    assert one.path.stat().st_size < 16e6


def test_a_network_has_one_file_at_most():
    models = [one.model for one in list_bundled()]
    assert len(models) == len(set(models))


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder of bundled weights with one small detector in it."""
    network = create_model("mos_xs", seed=7)
    save_weights(network, tmp_path / "mos_xs.safetensors")
    sha256 = weights.digest(tmp_path / "mos_xs.safetensors")[0]
    one = Bundled(model="mos_xs", file="mos_xs.safetensors", sha256=sha256, license="CC-BY-4.0", summary="a test")
    (tmp_path / "manifest.json").write_bytes(msgspec.json.encode([one]))
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    return network


def test_bundled_weights_are_the_default(mine):
    built = build_model("mos_xs")
    assert (built.weights, built.license, built.trained) == ("mos_xs.safetensors", "CC-BY-4.0", True)
    assert all(torch.equal(mine.state_dict()[key], value) for key, value in built.network.state_dict().items())
    assert build_model("mos_xs", license="MIT").license == "MIT"


def test_a_seed_asks_for_others(mine):
    built = build_model("mos_xs", seed=0)
    assert (built.weights, built.license, built.trained) == ("seeded:0", "Apache-2.0", False)


def test_altered_and_missing_weights_are_refused(mine, tmp_path):
    file = tmp_path / "mos_xs.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(InvalidModel, match="not the weights that were bundled"):
        build_model("mos_xs")
    file.unlink()
    with pytest.raises(InvalidModel, match="missing"):
        build_model("mos_xs")
