"""The index of recognizability: each formula against its own words in float64, and a head that learns it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from pocketface.contract import ARCFACE_TEMPLATE
from pocketface.errors import InvalidData, InvalidModel
from pocketface.evaluate.data.opening import open_images
from pocketface.evaluate.faces import bundled_portraits
from pocketface.models import create_model, save_weights
from pocketface.models.checkpoint import read_state
from pocketface.runtime.align import align_face
from pocketface.train import seen as showing
from pocketface.train.augment import Augmentation
from pocketface.train.crops import Deck, pack_crops
from pocketface.train.judging import judging
from pocketface.train.loop import run
from pocketface.train.ranks import Ranks
from pocketface.train.recipes import PRESETS, change
from pocketface.train.recognizability import (
    BETA,
    Judge,
    bounded,
    diversion_loss,
    mean_direction,
    prototypes_of,
    pushed,
    recognizability,
)
from pocketface.train.seen import ruin, see

NAME, TRUNK = "facelivtv2_xs_ri", "facelivtv2_xs"


def unit(*shape: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def deck(tmp_path_factory):
    """48 aligned portraits; two of them are said to show one person."""
    root = tmp_path_factory.mktemp("crops")
    for i, portrait in enumerate(bundled_portraits()):
        place = root / f"person_{i % 47:02d}"
        place.mkdir(exist_ok=True)
        Image.fromarray(align_face(portrait.image, portrait.landmarks, ARCFACE_TEMPLATE, (112, 112))).save(
            place / f"{i:02d}.png"
        )
    return Deck([pack_crops(open_images(root, aligned=True), tmp_path_factory.mktemp("store"))], 16, seed=4)


def test_prototypes_are_means_of_identities_and_strangers_are_their_own():
    targets = unit(6, 4)
    prototypes, own = prototypes_of(targets, np.array([3, -1, 0, 3, -1, 3]))
    assert prototypes.shape == (4, 4)
    assert len(set(own[[0, 3, 5]])) == 1
    mean = targets[[0, 3, 5]].astype(np.float64).mean(0)
    assert np.allclose(prototypes[own[0]], mean / math.sqrt(mean @ mean))
    for alone in (1, 2, 4):
        assert np.allclose(prototypes[own[alone]], targets[alone], atol=1e-6)


def test_the_index_is_its_formula(monkeypatch):
    monkeypatch.setattr("pocketface.train.recognizability._AT_ONCE", 3)  # several parts
    vectors, prototypes, nowhere = unit(8, 5), unit(4, 5, seed=1), unit(5, seed=2)
    own = np.array([0, 1, 2, 3, 0, 1, 2, 3])
    found = recognizability(vectors, own, prototypes, nowhere, 0.05)
    for v, mine, x in zip(vectors.astype(np.float64), own, found, strict=True):
        cosines = [float(v @ p) for p in prototypes]
        to_own = 1 - cosines.pop(mine)
        assert x == pytest.approx((1 - v @ nowhere) * (1 - max(cosines)) / (to_own + 0.05), rel=1e-4)


def test_the_index_rises_as_a_face_gets_easier():
    prototypes, nowhere = np.eye(4, dtype=np.float32)[:2], np.eye(4, dtype=np.float32)[2]

    def of(*v):
        x = np.array([v], np.float32)
        return float(recognizability(x / np.linalg.norm(x), np.array([0]), prototypes, nowhere, 0.05)[0])

    assert of(1, 0, 0, 0) == pytest.approx(1 / 0.05)
    assert of(1, 0, 0, 0) > of(1, 0.3, 0, 0.3) > of(1, 0.9, 0, 0.3)  # nearer to the wrong one
    assert of(1, 0, 0, 0.5) > of(1, 0, 0.5, 0) > of(0.3, 0, 1, 0)  # nearer to where nothing can be recognised
    assert of(0, 0, 1, 0) == pytest.approx(0, abs=1e-6)


def test_the_scale_keeps_the_order_and_ends_at_0_and_1():
    index = np.array([0, 1e-3, 0.5, 1, 2, 1e6], np.float32)
    scaled = bounded(index)
    assert (np.diff(scaled) > 0).all()
    assert scaled[[0, 3]].tolist() == [0, 0.5]
    assert scaled[-1] == pytest.approx(1, abs=1e-5)
    assert np.allclose(scaled[1:], 1 / (1 + np.exp(-np.log(index[1:]))))


def test_diversion_is_its_formula():
    index = torch.tensor([0.1, 0.3, 0.2, 0.9, 0.25], dtype=torch.float64)
    bad = torch.tensor([True, True, True, False, False])
    mean, deviation = np.mean([0.1, 0.3, 0.2]), np.std([0.1, 0.3, 0.2])
    wanted = np.mean([max(0, 2 - (x - mean) / deviation) for x in (0.9, 0.25)])
    assert diversion_loss(index, bad, 2).item() == pytest.approx(wanted)
    assert diversion_loss(index, ~bad & (index > 0.5), 2).item() == 0  # one alone has no deviation


def test_what_is_pushed_away_has_nothing_left_of_it():
    v, nowhere = torch.from_numpy(unit(5, 7)).double(), torch.from_numpy(unit(7, seed=3)).double()
    left = pushed(v, nowhere)
    assert torch.allclose(left @ nowhere, torch.zeros(5, dtype=torch.float64), atol=1e-7)
    assert torch.allclose(v - left, (v @ nowhere)[:, None] * nowhere)


def test_the_loss_is_the_sum_that_it_says():
    model = create_model(NAME, seed=0)
    judge = Judge(model, unit(512), diversion=0.3, attention=7.0, tau=2.0, dropout=0.5).eval()
    batch = {
        "map": torch.randn(6, 256, 4, 4, generator=torch.Generator().manual_seed(0)),
        "vector": torch.from_numpy(unit(6, 512)),
        "index": torch.rand(6, generator=torch.Generator().manual_seed(1)),
        "unrecognizable": torch.tensor([True, False, True, True, False, False]),
    }
    losses = {name: float(loss.detach()) for name, loss in judge(batch).items()}
    said = judge.quality(batch["map"])[:, 0].double()
    off = (said - batch["index"]).abs()
    smooth = torch.where(off < BETA, off**2 / (2 * BETA), off - BETA / 2).mean().item()
    assert losses["index"] == pytest.approx(smooth, rel=1e-5)
    assert losses["diversion"] == pytest.approx(diversion_loss(said, batch["unrecognizable"], 2.0).item(), rel=1e-4)
    embedded = judge.embedding(judge.quality.attention(batch["map"]))
    wanted = (embedded - pushed(batch["vector"], torch.from_numpy(unit(512)))).square().mean().item()
    assert losses["attention"] == pytest.approx(wanted, rel=1e-5)
    total = losses["index"] + 0.3 * losses["diversion"] + 7 * losses["attention"]
    assert losses["loss"] == pytest.approx(total, rel=1e-5)


def test_ruined_crops_are_alike_whoever_they_show(deck):
    """Ruin takes most of what tells crops apart: blocks of 28 pixels correlate far less with the original's."""

    def coarse(image):
        blocks = image.astype(float).reshape(4, 28, 4, 28, 3).mean((1, 3)).ravel()
        return (blocks - blocks.mean()) / (blocks.std() + 1e-9)

    alike = []
    for i in range(24):
        rng = np.random.default_rng(i)
        crop = deck.crop(i)
        spoiled = ruin(crop, rng)
        assert spoiled.shape == crop.shape
        fine = np.abs(np.diff(spoiled.astype(float), axis=0)).mean()
        alike.append((float(coarse(crop) @ coarse(spoiled)) / 48, fine))
    assert np.mean([a for a, _ in alike]) < 0.8


def test_what_is_seen_is_what_the_network_says(deck):
    model = create_model(NAME, seed=0)
    targets = unit(48, 512)
    told = []
    seen = see(
        model,
        deck,
        targets,
        Augmentation(),
        crops=40,
        copies=1,
        ruined=0.25,
        epsilon=0.05,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told[-1] == (90, 90)
    assert seen.maps.shape == (90, 256, 4, 4)
    assert seen.unrecognizable.tolist() == [False] * 80 + [True] * 10
    assert np.allclose(np.linalg.norm(seen.vectors, axis=1), 1, atol=1e-5)
    chosen = np.sort(np.random.default_rng([4, 2]).permutation(48)[:40])
    plain = torch.from_numpy(np.stack([deck.crop(int(i)) for i in chosen])).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        expected = torch.nn.functional.normalize(model(plain))
    assert np.allclose(seen.vectors[:40], expected, atol=1e-4)
    assert np.allclose(seen.maps[:40], model.trunk.last_map(plain).detach(), rtol=2e-3, atol=2e-3)
    prototypes, own = prototypes_of(targets[chosen], deck.labels()[chosen])
    nowhere = mean_direction(seen.vectors[80:])
    whose = np.concatenate([own, own, own[:10]])
    assert np.allclose(seen.index, bounded(recognizability(seen.vectors, whose, prototypes, nowhere, 0.05)))
    with pytest.raises(InvalidData, match="too few"):
        see(model, deck, targets, Augmentation(), crops=1, copies=0, ruined=1.0, epsilon=0.05)


def test_only_the_index_learns_and_it_learns(deck, tmp_path):
    """A crop's index is told from its map, the embedding stays to the bit, and nothing of the training ships."""
    recipe = change(
        PRESETS["recognizability_xs"],
        {"settings.steps": "150", "settings.warmup": "5", "batch": "64", "dropout": "0", "ruined": "0.5"},
    )
    file = tmp_path / "trunk.safetensors"
    trunk = create_model(TRUNK, seed=3)
    save_weights(trunk, file)
    plain = torch.from_numpy(np.stack([deck.crop(i) for i in range(48)])).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        targets = torch.nn.functional.normalize(trunk(plain)).numpy()  # a teacher that says of clean crops the same
    torch.manual_seed(0)
    task = judging(recipe, create_model(NAME), file, deck, targets, Ranks.from_environment(), lambda *told: None)
    told = []
    out = run(task, recipe.settings, tmp_path / "run", progress=lambda step, losses: told.append(losses["index"]))
    assert np.mean(told[-5:]) < np.mean(told[:5]) / 2
    shipped, before = read_state(out), read_state(file)
    assert shipped.keys() == create_model(NAME).state_dict().keys()
    assert all(torch.equal(shipped[f"trunk.{key}"], value) for key, value in before.items())
    model = create_model(NAME, weights=out)
    seen = task._seen
    with torch.no_grad():
        said = model.quality(torch.from_numpy(seen.maps).float())[:, 0].numpy()
    assert np.corrcoef(said, seen.index)[0, 1] > 0.5
    assert said[seen.unrecognizable].mean() < said[:48].mean() - 0.2  # the first are shown as they are


def test_what_cannot_judge_or_has_no_weights_is_refused(deck):
    recipe, ranks = PRESETS["recognizability_xs"], Ranks.from_environment()
    with pytest.raises(InvalidModel, match="no index"):
        judging(recipe, create_model(TRUNK), None, deck, unit(48, 512), ranks, lambda *told: None)
    with pytest.raises(InvalidData, match="--weights"):
        judging(recipe, create_model(NAME), None, deck, unit(48, 512), ranks, lambda *told: None)


def test_corruptions_that_ruin_exist():
    assert showing.RUIN.keys() <= showing.CORRUPTIONS.keys()
