"""The held-out pictures as files: the same faces count as in the training's own report, and none is calibrated on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pocketface.evaluate.detection import open_detection_set
from pocketface.runtime.images import load_image
from pocketface.train.detect.heldout import write_parts
from pocketface.train.detect.holdout import held_out
from pocketface.train.detect.judge import find_held_out, search_of
from pocketface.train.detect.scenes import Scene, scene


@pytest.fixture
def scenes() -> list[Scene]:
    """Forty pictures with a large, a tiny and an ignored face."""
    random = np.random.default_rng(0)
    boxes, ignore = [(40, 40, 100, 120), (5, 5, 9, 9), (100, 5, 150, 60)], [False, False, True]
    images = random.integers(0, 256, (40, 160, 160, 3), np.uint8)
    return [scene(f"{i}.jpg", "crowd", image, boxes, ignore) for i, image in enumerate(images)]


def test_what_is_held_out_counts_as_in_the_report_of_training(scenes: list[Scene], tmp_path: Path) -> None:
    told = write_parts(scenes, tmp_path)
    found = open_detection_set(tmp_path / "held_out" / "faces.json")
    expected = [search_of(*one) for one in find_held_out(lambda image, lowest: [], scenes)]
    assert told["held-out pictures"] == len(found.pictures) == len(expected) > 0
    assert told["faces to be found"] == found.faces == len(expected)
    for picture, search in zip(found.pictures, expected, strict=True):
        np.testing.assert_array_equal(picture.boxes, search.picture.boxes)
        np.testing.assert_array_equal(picture.ignore, search.picture.ignore)
        original = next(one.image for one in scenes if one.name == search.picture.name)
        np.testing.assert_array_equal(load_image(picture.path), original)


def test_what_is_to_be_calibrated_on_is_not_held_out(scenes: list[Scene], tmp_path: Path) -> None:
    write_parts(scenes, tmp_path, to_calibrate=30)
    files = list((tmp_path / "training").iterdir())
    assert len(files) == 10
    held = {one.image.tobytes() for one in scenes if held_out(one.name)}
    assert not any(load_image(file).tobytes() in held for file in files)
