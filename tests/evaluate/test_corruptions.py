"""Corruptions: what each does, that it is seeded, and that five strengths are a rising order."""

from __future__ import annotations

import numpy as np
import pytest

from pocketface.contract import ARCFACE_TEMPLATE
from pocketface.errors import InvalidData, InvalidImage
from pocketface.evaluate.corruptions import CORRUPTIONS, corrupt, mask_outline
from pocketface.evaluate.faces import bundled_portraits
from pocketface.runtime.align import align_face


@pytest.fixture(scope="module")
def crop():
    portrait = bundled_portraits()[0]
    image = align_face(portrait.image, portrait.landmarks)
    image.flags.writeable = False  # a corruption may not change what it was given
    return image


def away(a, b):
    return float(np.sqrt(((a.astype(float) - b) ** 2).mean()))


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_strengths_rise_and_the_same_call_gives_the_same_bytes(crop, kind):
    spoiled = [corrupt(crop, kind, strength, name="a.png") for strength in range(1, 6)]
    assert all(image.shape == crop.shape and image.dtype == np.uint8 for image in spoiled)
    distances = [away(image, crop) for image in spoiled]
    if kind == "occlusion":  # another colour's box over other pixels: what counts is how many
        distances = [float((image != crop).any(axis=2).mean()) for image in spoiled]
    assert distances == sorted(distances)
    assert distances[0] > 0
    np.testing.assert_array_equal(corrupt(crop, kind, 3, name="a.png"), spoiled[2])


@pytest.mark.parametrize("kind", ["noise", "occlusion"])
def test_other_names_and_seeds_give_other_noise(crop, kind):
    first = corrupt(crop, kind, 3, name="a.png")
    assert away(first, corrupt(crop, kind, 3, name="b.png")) > 0
    assert away(first, corrupt(crop, kind, 3, name="a.png", seed=1)) > 0


def test_occlusion_hides_the_share_that_it_says():
    plain = np.full((112, 112, 3), 77, np.uint8)
    for strength, share in enumerate(CORRUPTIONS["occlusion"].values, 1):
        hidden = [(corrupt(plain, "occlusion", strength, name=str(i)) != 77).any(axis=2).mean() for i in range(20)]
        assert hidden == pytest.approx([share] * 20, abs=0.02)


def test_noise_has_the_spread_that_it_says():
    grey = np.full((112, 112, 3), 128, np.uint8)
    assert corrupt(grey, "noise", 2).astype(float).std() == pytest.approx(16, rel=0.02)


def test_light_is_halved_in_linear_light():
    def linear(value):
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    grey = np.full((8, 8, 3), 200, np.uint8)
    assert linear(corrupt(grey, "dark", 1)[0, 0, 0] / 255) == pytest.approx(linear(200 / 255) / 2, rel=0.01)
    assert corrupt(grey, "bright", 5).min() == 255


def test_low_resolution_keeps_nothing_finer_than_its_pixels():
    stripes = np.zeros((112, 112, 3), np.uint8)
    stripes[:, ::7] = 255
    assert np.ptp(corrupt(stripes, "resolution", 5)[:, 8:-8].astype(int)) == 0  # every pixel is a mean of 7


def test_a_mask_covers_mouth_and_never_eyes_and_grows_with_the_crop(crop):
    left_eye, right_eye, nose, left_mouth, right_mouth = np.array(ARCFACE_TEMPLATE).round().astype(int)
    for strength in range(1, 6):
        changed = (corrupt(crop, "mask", strength) != crop).any(axis=2)
        assert all(changed[y, x] for x, y in (left_mouth, right_mouth))
        assert not any(changed[y, x] for x, y in (left_eye, right_eye))
        assert changed[nose[1] + 2, nose[0]] == (strength >= 3)
    large = np.repeat(np.repeat(crop, 2, axis=0), 2, axis=1)
    twice = (corrupt(large, "mask", 4) != large).any(axis=2)
    assert twice.mean() == pytest.approx((corrupt(crop, "mask", 4) != crop).any(axis=2).mean(), abs=0.02)
    assert ((mask_outline(1.0) >= 0) & (mask_outline(1.0) < 112)).all()


def test_wrong_calls_are_named(crop):
    with pytest.raises(InvalidData, match="no corruption 'fog', only blur, jpeg"):
        corrupt(crop, "fog", 1)
    with pytest.raises(InvalidData, match="from 1 to 5, got 6"):
        corrupt(crop, "blur", 6)
    with pytest.raises(InvalidImage):
        corrupt(crop[..., 0], "blur", 1)
