from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from pocketface.evaluate.data import ImageSet, Sample
from pocketface.train.blends import VOLUME, blend, blends
from pocketface.train.crops import pack_crops


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Two stores of flat pictures, no two alike."""

    def flat(value):
        return Sample(str(value), lambda: np.full((112, 112, 3), value, np.uint8), aligned=True)

    sets = [ImageSet(f"set {i}", tuple(map(flat, range(i, 250, 10))), str(i)) for i in (1, 2)]
    return [pack_crops(images, tmp_path_factory.mktemp("store")) for images in sets]


def test_more_blends_begin_with_those_of_fewer(stores):
    few, many = (list(blends(stores, count)) for count in (VOLUME + 3, 2 * VOLUME))
    assert [len(images) for images in few] == [VOLUME, 3]
    assert [len(images) for images in many] == [VOLUME, VOLUME]
    assert few[0].fingerprint == many[0].fingerprint
    assert len({images.fingerprint for images in (*few, *many)}) == 3
    assert next(blends(stores[:1], VOLUME)).fingerprint != few[0].fingerprint
    for one, other in zip(few[1].samples, many[1].samples[:3], strict=True):
        assert np.array_equal(one.read(), other.read())


def test_each_blend_is_of_two_crops_and_all_crops_are_used(stores):
    crops = sum(map(len, stores))
    (images,) = blends(stores, crops)
    inside = [sample.read()[40:72, 40:72, 0] for sample in islice(images.samples, crops // 2)]  # no border in there
    ends = np.array([[part.min(), part.max()] for part in inside], int)
    known = np.concatenate([store.pixels[:, 0, 0, 0] for store in stores])
    assert all((known <= low).any() and (known >= high).any() for low, high in ends)
    assert np.mean(np.diff(ends) > 0) > 0.9  # two crops of the same round are never the same
    assert len({sample.read().tobytes() for sample in images.samples}) == crops


def test_one_passes_into_the_other_across_a_line():
    first, second = (np.full((112, 112, 3), value, np.uint8) for value in (200, 100))
    steep, shares = 0, []
    for seed in range(200):
        mixed = blend(first, second, np.random.default_rng(seed)).astype(float)
        assert mixed.shape == (112, 112, 3)
        assert (mixed[..., 0] == mixed[..., 2]).all()
        share = (mixed[..., 0] - 100) / 100
        down, right = np.diff(share, axis=0), np.diff(share, axis=1)
        assert all((step >= -0.011).all() or (step <= 0.011).all() for step in (down, right))  # up or down, not both
        shares.append(share.mean())
        steep += share.min() < 0.01 and share.max() > 0.99
    assert np.mean(shares) == pytest.approx(0.5, abs=0.02)  # neither is preferred
    assert 40 < steep < 180  # some are of two halves, some of two layers


def test_a_picture_blended_with_itself_is_itself():
    picture = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    assert np.array_equal(blend(picture, picture, np.random.default_rng(1)), picture)
