from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pocketface.contract import ARCFACE_TEMPLATE
from pocketface.train import start
from pocketface.train.crops import open_crops
from pocketface.train.identity_recipes import Identities
from pocketface.train.settings import Settings

ASIDE = np.array([30, 17])  # where the crop lies in each photo


def detect(image: np.ndarray) -> list[SimpleNamespace]:
    """A face at ``ASIDE`` in every photo but black ones."""
    points = np.array(ARCFACE_TEMPLATE) + ASIDE
    return [SimpleNamespace(box=np.array([40, 40, 120, 120]), landmarks=points)] if image.any() else []


def test_with_a_detector_training_takes_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    photos = {f"{who}/{i}.png": rng.integers(0, 256, (150, 170, 3), np.uint8) for who in "ab" for i in range(2)}
    photos["b/black.png"] = np.zeros((150, 170, 3), np.uint8)
    for name, pixels in photos.items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "photos" / name)
    artifact, contract = SimpleNamespace(sha256="ef" * 32), SimpleNamespace(to_json=lambda: "{}")
    found = SimpleNamespace(detect=detect, artifact=artifact, contract=contract, backend="fake", size=(160, 160))
    monkeypatch.setattr(start, "Detector", lambda file, threads: found)
    recipe = Identities(network="mobilefacenet", settings=Settings(steps=1, learning_rate=0.01), batch=4)
    start.train(recipe, [tmp_path / "photos"], tmp_path / "run", detector=tmp_path / "finder.onnx")

    store = open_crops(tmp_path / "run" / "crops" / "photos")
    assert store.identities == ("a", "b")
    assert any("black.png" in problem for problem in store.problems)
    x, y = ASIDE
    for name, pixels in zip(store.names, store.pixels, strict=True):
        np.testing.assert_array_equal(pixels, photos[name][y : y + 112, x : x + 112])


def test_a_store_of_another_run_is_data_as_it_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a/0.png", "a/1.png", "b/0.png", "b/1.png"):
        (tmp_path / "crops" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (112, 112, 3), np.uint8)).save(tmp_path / "crops" / name)
    recipe = Identities(network="mobilefacenet", settings=Settings(steps=1, learning_rate=0.01), batch=4)
    one = start.train(recipe, [tmp_path / "crops"], tmp_path / "one")
    packed = tmp_path / "one" / "crops" / "crops"
    other = start.train(recipe, [packed], tmp_path / "other")
    assert not (tmp_path / "other" / "crops").exists()
    assert one.read_bytes() == other.read_bytes()
