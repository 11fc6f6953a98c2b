"""Crops, mirrors and mosaics of a drawn face: boxes and landmarks land where its pixels land."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pocketface.evaluate.headpose import rotation_of
from pocketface.runtime.pose import euler_angles
from pocketface.train.detect.crop import cut, mirror, mosaic, random_crop
from pocketface.train.detect.scenes import Scene, scene
from pocketface.train.detect.tilt import turn

#: Centres of the five discs, each of a colour of its own, and the face's box.
FIVE = np.array([[60.0, 70], [84, 68], [73, 84], [63, 97], [83, 96]])
BOX = (48.0, 52.0, 97.0, 110.0)
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]])
ANGLES = (20.0, -5.0, 10.0)


@pytest.fixture
def drawn() -> Scene:
    """A grey box with five discs on black."""
    y, x = np.mgrid[:180, :240]
    image = np.zeros((180, 240, 3), np.uint8)
    image[52:111, 48:98] = 128
    for (cx, cy), colour in zip(FIVE, COLOURS, strict=True):
        image[(x - cx) ** 2 + (y - cy) ** 2 <= 16] = colour
    return scene("a.jpg", "drawn", image, [BOX], None, FIVE[None], rotation_of(np.array(ANGLES))[None])


def discs(image: np.ndarray, order: list[int] | None = None) -> np.ndarray:
    """(5, 2) middles of the discs by their colours, to a fraction of a pixel."""
    found = []
    for colour in COLOURS[order or range(5)]:
        nearness = np.clip(1 - np.abs(image.astype(float) - colour).sum(axis=2) / 250, 0, 1)
        y, x = np.indices(nearness.shape)
        found.append([(x * nearness).sum() / nearness.sum(), (y * nearness).sum() / nearness.sum()])
    return np.array(found)


@pytest.mark.parametrize(
    ("left", "top", "side", "size"), [(30, 30, 100, 100), (20.3, 40.7, 90.5, 128), (-40, -30, 300, 160)]
)
def test_a_cut_takes_landmarks_and_boxes_along(drawn: Scene, left: float, top: float, side: float, size: int) -> None:
    crop = cut(drawn, left, top, side, size)
    assert crop.image.shape == (size, size, 3)
    assert_allclose(crop.landmarks[0], discs(crop.image), atol=0.25)
    lit = crop.image.max(axis=2) > 64
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    assert_allclose(crop.boxes[0], [columns[0], rows[0], columns[-1], rows[-1]], atol=1.5)
    assert not crop.ignore[0]


def test_mirrored_left_stays_left(drawn: Scene) -> None:
    flipped = mirror(drawn)
    assert_allclose(flipped.landmarks[0], discs(flipped.image, [1, 0, 2, 4, 3]), atol=0.1)
    assert flipped.landmarks[0, 0, 0] < flipped.landmarks[0, 1, 0]
    assert flipped.boxes[0].tolist() == [239 - 97, 52, 239 - 48, 110]
    assert_allclose(euler_angles(flipped.rotations[0]), [-20, -5, -10], atol=1e-4)


def test_mirrored_twice_is_the_same(drawn: Scene) -> None:
    twice = mirror(mirror(drawn))
    for part in ("image", "boxes", "landmarks", "rotations"):
        assert_allclose(getattr(twice, part), getattr(drawn, part), atol=1e-4)


def test_random_crops_hold_a_face(drawn: Scene) -> None:
    rng = np.random.default_rng(0)
    sides = []
    for _ in range(60):
        crop = random_crop(drawn, 128, rng)
        assert crop.image.shape == (128, 128, 3)
        assert len(crop.boxes) == 1
        inside = (crop.landmarks > 6).all() and (crop.landmarks < 122).all()  # whole discs
        if inside and (crop.boxes[0, 2:] - crop.boxes[0, :2]).min() > 40:
            assert_allclose(crop.landmarks[0], discs(crop.image), atol=1.0)
        sides.append(float((crop.boxes[0, 2:] - crop.boxes[0, :2]).max()))
    assert min(sides) < 45
    assert max(sides) > 90


def test_mosaics_hold_four_pictures_at_their_places(drawn: Scene) -> None:
    crop = mosaic([drawn] * 4, 256, np.random.default_rng(1))
    assert crop.image.shape == (256, 256, 3)
    middles = (crop.boxes[:, :2] + crop.boxes[:, 2:]) / 2
    assert {(int(x // 128), int(y // 128)) for x, y in middles} == {(0, 0), (1, 0), (0, 1), (1, 1)}
    checked = 0
    for i, (x, y) in enumerate(middles):
        x0, y0 = int(x // 128) * 128, int(y // 128) * 128
        inside = (np.abs(crop.landmarks[i] - (x0 + 64, y0 + 64)) < 60).all()  # whole discs
        if inside and (crop.boxes[i, 2:] - crop.boxes[i, :2]).min() > 16:
            part = crop.image[y0 : y0 + 128, x0 : x0 + 128]
            assert_allclose(crop.landmarks[i] - (x0, y0), discs(part), atol=1.5)
            checked += 1
    assert checked


@pytest.mark.parametrize("angle", [-35.0, 12.0, 90.0])
def test_a_turned_picture_takes_everything_along(drawn: Scene, angle: float) -> None:
    square = cut(drawn, 10, 10, 120, 160)
    turned = turn(square, angle)
    assert_allclose(turned.landmarks[0], discs(turned.image), atol=0.6)
    eyes = turned.landmarks[0, 1] - turned.landmarks[0, 0]
    before = square.landmarks[0, 1] - square.landmarks[0, 0]
    assert_allclose(np.degrees(np.arctan2(*eyes[::-1]) - np.arctan2(*before[::-1])), angle, atol=1e-3)
    wide = turn(replace(square, image=square.image[:130]), angle)
    assert wide.image.shape == (130, 160, 3)
    if angle == 12:  # nothing of the face gets lost
        assert_allclose(wide.landmarks[0], discs(wide.image), atol=0.6)
    box, old = turned.boxes[0], square.boxes[0]
    if angle == 90:
        assert_allclose(box[2:] - box[:2], (old[2:] - old[:2])[::-1], atol=1e-3)


@pytest.mark.parametrize("angle", [-35.0, 12.0])
def test_an_upright_head_gets_the_roll_of_the_picture(drawn: Scene, angle: float) -> None:
    upright = replace(cut(drawn, 10, 10, 120, 160), rotations=np.eye(3, dtype=np.float32)[None])
    assert_allclose(euler_angles(turn(upright, angle).rotations[0]), [0, 0, angle], atol=1e-4)


def test_what_is_hardly_seen_is_ignored_and_what_is_out_is_gone(drawn: Scene) -> None:
    sliver = cut(drawn, 90, 40, 80, 80)
    assert sliver.ignore.tolist() == [True]
    assert np.isnan(sliver.landmarks).all()
    assert np.isnan(sliver.rotations).all()
    assert sliver.boxes[0, 0] >= -0.5
    assert len(cut(drawn, 150, 40, 80, 80).boxes) == 0
    assert cut(drawn, -600, -600, 1200, 100).ignore.tolist() == [True]  # four pixels wide
