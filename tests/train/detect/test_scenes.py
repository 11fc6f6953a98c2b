"""Scenes go to disk and come back, and a store that is damaged says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from pocketface.errors import InvalidData
from pocketface.train.detect.scenes import INDEX, PIXELS, Scene, SceneStore, limited, scene, write_scenes


@pytest.fixture
def scenes() -> list[Scene]:
    rng = np.random.default_rng(0)
    sizes = ((40, 60, 2), (33, 21, 0), (16, 16, 1))
    return [
        scene(f"{h}.jpg", "drawn", rng.integers(256, size=(h, w, 3), dtype=np.uint8), rng.uniform(size=(n, 4)))
        for h, w, n in sizes
    ]


def test_what_was_written_is_read(scenes: list[Scene], tmp_path: Path) -> None:
    assert write_scenes(tmp_path, scenes) == 3
    store = SceneStore(tmp_path)
    assert (len(store), store.names, store.sources) == (3, ["40.jpg", "33.jpg", "16.jpg"], ["drawn"] * 3)
    for one, other in zip(store, scenes, strict=True):
        assert (one.name, one.source) == (other.name, other.source)
        for part in ("image", "boxes", "ignore", "landmarks", "rotations"):
            assert_array_equal(getattr(one, part), getattr(other, part))


def test_an_interrupted_store_leaves_nothing(scenes: list[Scene], tmp_path: Path) -> None:
    def failing() -> object:
        yield scenes[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scenes(tmp_path, failing())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "missing", "garbled"])
def test_damaged_stores_are_refused(scenes: list[Scene], tmp_path: Path, damage: str) -> None:
    write_scenes(tmp_path, scenes)
    if damage == "missing":
        (tmp_path / PIXELS).unlink()
    else:
        file = tmp_path / (PIXELS if damage == "cut" else INDEX)
        file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InvalidData, match=str(tmp_path)):
        SceneStore(tmp_path)


def test_large_pictures_are_scaled_with_their_faces() -> None:
    image = np.zeros((400, 1280, 3), np.uint8)
    image[100:200, 800:900] = 255
    small = limited(scene("a", "a", image, [(800, 100, 899, 199)], None, np.full((1, 5, 2), 849.5)))
    assert small.image.shape == (200, 640, 3)
    lit = np.argwhere(small.image[..., 0] > 127)
    assert_allclose(small.boxes[0], [*lit.min(axis=0)[::-1], *lit.max(axis=0)[::-1]], atol=0.5)
    assert_allclose(small.landmarks[0], 424.5)
    assert limited(small) is small
