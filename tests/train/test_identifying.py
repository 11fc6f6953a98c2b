"""Recipes of identities are data, and the task that each asks for is the one that is built."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pocketface.errors import InvalidData, InvalidModel
from pocketface.models import create_model, list_models, save_weights
from pocketface.models.checkpoint import read_state
from pocketface.train.classify import Classification
from pocketface.train.crops import CropStore, Deck
from pocketface.train.identifying import identifying, leave_cleaning
from pocketface.train.identity_recipes import IDENTITY_PRESETS, Identities
from pocketface.train.margin import ARCFACE, COSFACE, MarginHead
from pocketface.train.partial_fc import PartialFC
from pocketface.train.settings import Settings
from pocketface.train.start import train
from pocketface.train.subcenter import read_kept
from pocketface.train.triplet import TripletHead


@pytest.fixture
def store() -> CropStore:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 112, 112, 3), np.uint8)
    names = tuple(f"{i}.png" for i in range(12))
    return CropStore(Path(), pixels, names, np.arange(12) // 4, ("a", "b", "c"), "", ())


def recipe(**changes: object) -> Identities:
    return Identities(**{"network": "mobilefacenet", "settings": Settings(steps=2, learning_rate=0.1), **changes})


def built(made: Identities, store: CropStore, rank: int = 0, ranks: int = 1, *, weights: list[Path]) -> Classification:
    return identifying(made, nn.Flatten(), Deck([store], 4, 0, rank, ranks), weights)


@pytest.mark.parametrize("name", IDENTITY_PRESETS)
def test_presets_are_data_for_networks_that_exist(name: str) -> None:
    preset = IDENTITY_PRESETS[name]
    assert msgspec.json.decode(msgspec.json.encode(preset), type=Identities) == preset
    assert preset.network in list_models("recognition")
    assert preset.summary
    assert preset.batch % preset.group == 0


def test_published_presets_are_the_published_recipes() -> None:
    one, two = IDENTITY_PRESETS["facelivt_s"], IDENTITY_PRESETS["facelivtv2_l"]
    for made in (one, two):
        assert (made.margin, made.share, made.settings.learning_rate, made.settings.clip) == (COSFACE, 1, 6e-3, 5)
        assert (made.settings.warmup, made.settings.decay) == (0, 1)
        assert (made.augmentation.flip, made.augmentation.spoil, made.augmentation.light) == (0.5, 0, 0)
    assert (one.settings.weight_decay, two.settings.weight_decay) == (1e-4, 1e-2)
    assert one.settings.steps * 2048 == pytest.approx(20 * 17_091_657, rel=1e-4)
    assert two.settings.steps * 1024 == pytest.approx(50 * 17_091_657, rel=1e-4)


def test_a_wrong_margin_in_a_file_is_told() -> None:
    text = msgspec.json.encode(recipe()).replace(b'"m3":0.4', b'"m3":-1')
    with pytest.raises(msgspec.ValidationError, match="m3 >= 0"):
        msgspec.json.decode(text, type=Identities)


def test_the_head_is_the_one_asked_for(store: CropStore) -> None:
    plain = built(recipe(margin=ARCFACE, centres=3), store, weights=[]).network.head
    assert isinstance(plain, MarginHead)
    assert (plain.margin, tuple(plain.centres.shape)) == (ARCFACE, (3, 3, 512))
    assert isinstance(built(recipe(loss="triplet", group=2), store, weights=[]).network.head, TripletHead)
    sampled = built(recipe(share=0.5), store, weights=[]).network.head
    assert isinstance(sampled, PartialFC)
    assert sampled.learning_rate(1) == 0.05
    second = built(recipe(), store, 1, 2, weights=[]).network.head
    assert isinstance(second, PartialFC)
    assert (second.first, len(second.centres), second.share) == (1, 2, 1)


def test_a_teacher_is_a_network_and_its_weights(store: CropStore, tmp_path: Path) -> None:
    save_weights(create_model("mobilefacenet", seed=0), tmp_path / "old.safetensors")
    made = recipe(teacher="mobilefacenet", teaching="harmony", teaching_weight=2.0)
    (term,) = built(made, store, weights=[tmp_path / "old.safetensors"]).network.terms
    assert (term.name, term.weight) == ("harmony", 2.0)
    with pytest.raises(InvalidData, match="0 teachers are given, the recipe wants the weights of one mobilefacenet"):
        built(made, store, weights=[])
    with pytest.raises(InvalidData, match="names no teacher"):
        built(recipe(), store, weights=[tmp_path / "old.safetensors"])
    with pytest.raises(InvalidModel):
        built(recipe(teacher="facelivt_s"), store, weights=[tmp_path / "old.safetensors"])


def test_what_a_cleaning_leaves_chooses_the_crops_of_the_next_run(store: CropStore, tmp_path: Path) -> None:
    backbone = nn.Sequential(nn.AvgPool2d(56), nn.Flatten(), nn.Linear(12, 512))
    task = identifying(recipe(centres=3), backbone, Deck([store], 4))
    with torch.no_grad():  # every embedding and every centre in one direction
        backbone[2].weight.zero_()
        backbone[2].bias.fill_(1.0)
        task.network.head.centres.fill_(1.0)
    leave_cleaning(task, tmp_path / "kept.csv")
    assert read_kept(tmp_path / "kept.csv") == set(store.names)
    rows = (tmp_path / "kept.csv").read_text().replace("5.png,b,0.00,1", "5.png,b,90.00,0")
    (tmp_path / "kept.csv").write_text(rows)
    again = identifying(recipe(kept=str(tmp_path / "kept.csv")), backbone, Deck([store], 4))
    assert set(again.roster.names) == set(store.names) - {"5.png"}


def test_a_detector_has_no_embedding(store: CropStore) -> None:
    with pytest.raises(InvalidData, match="no recogniser"):
        built(recipe(network="mos_xs"), store, weights=[])


def write_rec(file: Path, people: int, each: int) -> Path:
    """Noise with labels, as InsightFace keeps it."""
    content, lines = b"", ""
    for key in range(people * each):
        stream = io.BytesIO()
        pixels = np.random.default_rng(key).integers(0, 256, (112, 112, 3), np.uint8)
        Image.fromarray(pixels).save(stream, "JPEG")
        data = struct.pack("<IfQQ", 0, float(key // each), key, 0) + stream.getvalue()
        lines += f"{key}\t{len(content)}\n"
        content += bytes.fromhex("0a23d7ce") + struct.pack("<I", len(data)) + data + bytes(-len(data) % 4)
    file.write_bytes(content)
    file.with_suffix(".idx").write_text(lines)
    return file


def test_from_records_to_weights_and_a_list_of_what_to_keep(tmp_path: Path) -> None:
    data = write_rec(tmp_path / "noise.rec", 3, 3)
    made = recipe(batch=4, centres=3, settings=Settings(steps=2, learning_rate=0.01))
    file = train(made, [data], tmp_path / "run")
    assert read_state(file).keys() == create_model("mobilefacenet").state_dict().keys()
    rows = (tmp_path / "run" / "kept.csv").read_text().splitlines()
    assert sorted(row.split(",")[0] for row in rows[1:]) == [f"{key:09d}" for key in range(9)]
    train(recipe(batch=4, settings=Settings(steps=1, learning_rate=0.01)), [data], tmp_path / "plain")
    assert not (tmp_path / "plain" / "kept.csv").exists()
