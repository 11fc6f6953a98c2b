from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from pocketface.contract import ARCFACE_TEMPLATE
from pocketface.errors import InvalidData
from pocketface.evaluate.data.opening import open_images
from pocketface.evaluate.faces import bundled_portraits
from pocketface.models import create_model
from pocketface.runtime.align import align_face
from pocketface.train.augment import SIDE, Augmentation, augment, warp
from pocketface.train.crops import Deck, open_crops, pack_crops
from pocketface.train.distill import Distillation, cosine_loss, relational_loss, similarity_loss
from pocketface.train.loop import run
from pocketface.train.settings import Settings
from pocketface.train.speed import quicken
from pocketface.train.teachers import combine

STILL = Augmentation(flip=0, rotate_deg=0, scale=0, shift=0, light=0, grey=0, spoil=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """24 aligned portraits of 128 pixels, in folders of two identities, and a file that is no picture."""
    root = tmp_path_factory.mktemp("crops")
    for i, portrait in enumerate(bundled_portraits()[:24]):
        place = root / f"person_{i % 2}"
        place.mkdir(exist_ok=True)
        crop = align_face(portrait.image, portrait.landmarks, np.array(ARCFACE_TEMPLATE) * (128 / 112), (128, 128))
        Image.fromarray(crop).save(place / f"{i:02d}.png")
    (root / "person_0" / "broken.png").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def store(folder, tmp_path_factory):
    return pack_crops(open_images(folder, aligned=True), tmp_path_factory.mktemp("store"))


def test_a_store_holds_the_pictures_as_they_are(folder, store):
    assert store.pixels.shape == (24, 128, 128, 3)
    assert store.identities == ("person_0", "person_1")
    for name, label, pixels in zip(store.names, store.labels, store.pixels, strict=True):
        assert np.array_equal(np.asarray(Image.open(folder / name)), pixels)
        assert name.startswith(store.identities[label])
    assert any("broken.png" in problem for problem in store.problems)


def test_a_store_is_taken_up_and_not_mixed_up(folder, store, tmp_path):
    images = open_images(folder, aligned=True)
    assert pack_crops(images, store.folder).names == store.names
    with pytest.raises(InvalidData, match="other pictures"):
        pack_crops(replace(images, fingerprint="0" * 64), store.folder)
    with pytest.raises(InvalidData, match="aligned"):
        pack_crops(open_images(folder), tmp_path)
    (tmp_path / "crops.json").write_text("{")
    with pytest.raises(InvalidData, match="damaged"):
        open_crops(tmp_path)


def test_a_round_takes_each_crop_once_on_all_ranks_together(store):
    seen = []
    for step in range(6):
        parts = [Deck([store, store], 4, seed=3, rank=rank, ranks=2).draw(step) for rank in range(2)]
        seen.extend(np.concatenate(parts).tolist())
    assert sorted(seen) == list(range(48))
    again = Deck([store, store], 8, seed=3)
    assert again.draw(0).tolist() == seen[:8]
    assert again.draw(6).tolist() != seen[:8]


def test_identities_of_two_stores_do_not_mix(store):
    labels = Deck([store, store], 4).labels()
    assert set(labels[:24]) == {0, 1}
    assert set(labels[24:]) == {2, 3}


def test_without_changes_a_crop_is_only_resampled(store):
    crop = store.pixels[0]
    plain = augment(crop, STILL, np.random.default_rng(0))
    aligned = align_face(crop, np.array(ARCFACE_TEMPLATE) * (128 / 112))
    # The template is scaled from the corner of a pixel by Pillow and from its centre by the template: 1/16 pixel apart.
    assert np.abs(plain.astype(int) - aligned).mean() < 2
    mirrored = augment(crop, Augmentation(**{**_fields(STILL), "flip": 1.0}), np.random.default_rng(0))
    assert np.abs(mirrored[:, ::-1].astype(int) - plain).mean() < 1


def _fields(how):
    return {name: getattr(how, name) for name in how.__struct_fields__}


def test_the_warp_is_the_similarity_that_its_settings_say(store):
    how = Augmentation(**{**_fields(STILL), "rotate_deg": 5.0, "scale": 0.1, "shift": 0.05})
    dot = np.zeros((128, 128, 3), np.uint8)
    dot[60:68, 60:68] = 255  # the middle goes to the middle but for the shift
    places = []
    for seed in range(200):
        pixels = np.asarray(warp(dot, how, np.random.default_rng(seed)))[..., 0].astype(float)
        places.append([(pixels.sum(axis) * np.arange(SIDE)).sum() / pixels.sum() for axis in (0, 1)])
    assert np.allclose(np.mean(places, 0), SIDE / 2 - 0.5, atol=1)
    assert np.allclose(np.std(places, 0), 0.05 * SIDE, rtol=0.2)


def test_augmentation_is_a_function_of_its_generator(store):
    one, other = (augment(store.pixels[0], Augmentation(), np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(one, other)
    assert one.shape == (112, 112, 3)
    assert one.dtype == np.uint8


def test_losses_are_their_formulas():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 7, 5))
    unit_a, unit_b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    s, t = torch.from_numpy(a), torch.from_numpy(unit_b)
    assert cosine_loss(s, t).item() == pytest.approx(np.mean([1 - x @ y for x, y in zip(unit_a, unit_b, strict=True)]))
    pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
    wanted = np.mean([(unit_a[i] @ unit_a[j] - unit_b[i] @ unit_b[j]) ** 2 for i, j in pairs])
    assert relational_loss(s, t).item() == pytest.approx(wanted)


def test_the_similarity_to_a_bank_is_a_divergence():
    rng = np.random.default_rng(2)
    a, b, bank = (F.normalize(torch.from_numpy(rng.normal(size=(n, 6)))).numpy() for n in (4, 4, 30))
    others = np.concatenate([b, bank])

    def likeness(x):
        weights = np.exp(9 * x @ others.T)
        return weights / weights.sum(1, keepdims=True)

    p, q = likeness(b), likeness(a)
    wanted = (p * np.log(p / q)).sum(1).mean() / 9
    said = similarity_loss(torch.from_numpy(a * 5), torch.from_numpy(b), torch.from_numpy(bank), scale=9)
    assert said.item() == pytest.approx(wanted)
    assert similarity_loss(torch.from_numpy(b), torch.from_numpy(b), torch.from_numpy(bank)).item() == pytest.approx(0)


def test_teachers_together_have_the_mean_of_their_cosines():
    rng = np.random.default_rng(1)
    said = [F.normalize(torch.from_numpy(rng.normal(size=(9, d)).astype(np.float32))).numpy() for d in (6, 4)]
    target = combine(said, 16)
    assert target.shape == (9, 16)
    assert np.allclose(target @ target.T, sum(x @ x.T for x in said) / 2, atol=1e-6)
    with pytest.raises(InvalidData, match="10 numbers"):
        combine(said, 9)


@pytest.mark.parametrize("training", [True, False])
def test_quick_forms_compute_the_same(training):
    slow = create_model("facelivtv2_xs", seed=0).double().train(training)
    quick = quicken(copy.deepcopy(slow))
    x = torch.rand(4, 3, 112, 112, dtype=torch.float64) * 2 - 1
    answers = []
    for network in (slow, quick):
        answer = network(x)
        answer.square().sum().backward()
        answers.append((answer, {name: p.grad for name, p in network.named_parameters()}))
    assert torch.allclose(*(answer for answer, _ in answers), rtol=1e-9)
    largest = max(gradient.abs().max() for gradient in answers[0][1].values())
    for name, gradient in answers[0][1].items():
        assert torch.allclose(gradient, answers[1][1][name], rtol=1e-6, atol=1e-12 * largest), name
    assert quick.state_dict().keys() == slow.state_dict().keys()


def test_a_student_learns_what_its_teacher_says(store, tmp_path):
    torch.manual_seed(0)
    targets = combine([F.normalize(torch.randn(24, 32)).numpy()], 512)
    task = Distillation(create_model("facelivtv2_xs"), Deck([store], 8), targets, STILL, similarity=1.0, bank=16)
    told = []
    run(task, Settings(steps=30, learning_rate=2e-3), tmp_path, progress=lambda step, losses: told.append(losses))
    assert told[0]["cosine"] > 0.9
    assert np.mean([losses["cosine"] for losses in told[-3:]]) < 0.6
    fresh = create_model("facelivtv2_xs", weights=tmp_path / "weights.safetensors")  # strictly: nothing of the training
    assert fresh.state_dict().keys() == task.weights().state_dict().keys()
