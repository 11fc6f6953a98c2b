"""What is hidden is hidden, where it was said, and what is known of a face stays."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from pocketface.contract import ARCFACE_TEMPLATE
from pocketface.evaluate.corruptions import mask_outline
from pocketface.train.detect.hide import HIDDEN, hidden, worn
from pocketface.train.detect.scenes import Scene, scene

FIVE = np.array(ARCFACE_TEMPLATE, np.float32)


def crowd(count: int = 1, side: int = 256) -> Scene:
    """Faces in a row, each 60 pixels of a grey that no cloth has, with landmarks."""
    image = np.full((side, 80 * count, 3), 77, np.uint8)
    starts = np.array([[80 * i + 10, 100] for i in range(count)], np.float32)
    boxes = np.concatenate([starts, starts + 60], axis=1)
    return scene("a", "s", image, boxes, None, starts[:, None] + FIVE * np.float32(60 / 112))


def test_a_mask_is_moved_as_the_landmarks_are() -> None:
    """A turned, scaled and squeezed template: an affine map, by which the outline goes as well."""
    there = np.array([[0.9, 0.4], [-0.3, 0.5]])
    moved = FIVE @ there + (20, 30)
    np.testing.assert_allclose(worn(moved.astype(np.float32), 1.0), mask_outline(1.0) @ there + (20, 30), atol=1e-3)


def test_masks_hide_nose_mouth_and_nothing_outside_their_outline() -> None:
    before = crowd()
    after = hidden(before, 1.0, 0.0, np.random.default_rng(0))
    changed = (after.image != before.image).any(axis=2)
    for x, y in before.landmarks[0, 3:]:
        assert changed[round(float(y)), round(float(x))]
    highest = Image.new("L", before.image.shape[1::-1])  # holds all lower masks
    ImageDraw.Draw(highest).polygon([tuple(p) for p in worn(before.landmarks[0], 1.6).tolist()], fill=255)
    assert not (changed & (np.asarray(highest.filter(ImageFilter.MaxFilter(5))) == 0)).any()
    assert (before.image == 77).all()


@pytest.mark.parametrize("name", ["boxes", "ignore", "landmarks", "rotations"])
def test_what_is_known_of_a_face_stays(name: str) -> None:
    before = crowd(3)
    after = hidden(before, 0.7, 0.7, np.random.default_rng(1))
    np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def test_things_hide_a_share_of_the_box_and_stay_inside() -> None:
    before, rng = crowd(), np.random.default_rng(2)
    shares = []
    for _ in range(200):
        rows, columns = np.nonzero((hidden(before, 0.0, 1.0, rng).image != 77).any(axis=2))
        if rows.size == 0:
            continue  # a thing of the very grey
        x1, y1, x2, y2 = before.boxes[0]
        assert x1 - 1 <= columns.min() <= columns.max() <= x2
        assert y1 - 1 <= rows.min() <= rows.max() <= y2
        shares.append(rows.size / 3600)
    assert HIDDEN[0] * 0.8 < min(shares) < max(shares) < HIDDEN[1] * 1.2
    assert np.mean(shares) == pytest.approx(np.mean(HIDDEN), abs=0.03)


def test_as_many_as_asked_and_no_ignored_face() -> None:
    rng, count = np.random.default_rng(3), 0
    for _ in range(100):
        image = hidden(crowd(4), 0.25, 0.0, rng).image
        count += sum(bool((image[:, 80 * i : 80 * i + 80] != 77).any()) for i in range(4))
    assert 70 < count < 130  # 400 draws at a quarter: 100 with a deviation of 8.7
    everyone = crowd(2)
    ignored = Scene(**{**vars(everyone), "ignore": np.array([True, True])})
    assert (hidden(ignored, 1.0, 1.0, rng).image == 77).all()


def test_a_face_without_landmarks_wears_no_mask_and_one_at_the_border_does_no_harm() -> None:
    plain = crowd()
    unknown = Scene(**{**vars(plain), "landmarks": np.full((1, 5, 2), np.nan, np.float32)})
    assert (hidden(unknown, 1.0, 0.0, np.random.default_rng(4)).image == 77).all()
    for shift in (-40.0, -200.0, 30.0, 400.0):
        assert hidden(plain.moved(plain.image, 1.0, shift, shift), 1.0, 1.0, np.random.default_rng(5)).image.shape


def test_shares_of_zero_draw_nothing() -> None:
    rng, one = np.random.default_rng(6), crowd()
    assert hidden(one, 0.0, 0.0, rng) is one
    assert rng.random() == np.random.default_rng(6).random()
