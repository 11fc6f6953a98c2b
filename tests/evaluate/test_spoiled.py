"""A set with spoiled copies: each picture once more, the same each time, in all the forty ways."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from pocketface.errors import InvalidData
from pocketface.evaluate.corruptions import CORRUPTIONS, corrupt
from pocketface.evaluate.data import ImageSet, Sample
from pocketface.evaluate.discard import ListedImpostors, discard_curve, oracle_curve
from pocketface.evaluate.spoiled import with_spoiled_copies


def pictures(count: int, aligned: bool = True) -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    samples = tuple(Sample(f"{i}.png", lambda: pixels, aligned, f"p{i % 3}", {"age": "9"}) for i in range(count))
    return ImageSet("set", samples, "ab" * 32)


def test_every_picture_has_one_copy_of_the_same_person() -> None:
    images = pictures(5)
    more = with_spoiled_copies(images)
    assert more.samples[:5] == images.samples
    assert [sample.identity for sample in more.samples[5:]] == [sample.identity for sample in images.samples]
    assert more.fingerprint not in (images.fingerprint, with_spoiled_copies(images, seed=1).fingerprint)
    for original, copy in zip(images.samples, more.samples[5:], strict=True):
        kind, strength = copy.columns["spoiled"].split()
        assert copy.name == f"{original.name}#{kind}-{strength}"
        assert copy.columns["age"] == "9"
        expected = corrupt(original.read(), kind, int(strength), name=original.name)
        np.testing.assert_array_equal(copy.read(), expected)
        np.testing.assert_array_equal(copy.read(), copy.read())


def test_all_ways_are_about_as_likely() -> None:
    copies = with_spoiled_copies(pictures(4000)).samples[4000:]
    ways = Counter(copy.columns["spoiled"] for copy in copies)
    assert len(ways) == 5 * len(CORRUPTIONS)
    assert max(ways.values()) < 2 * min(ways.values())


def test_only_crops_can_be_spoiled() -> None:
    with pytest.raises(InvalidData, match="aligned"):
        with_spoiled_copies(pictures(2, aligned=False))


def test_avoided_errors_are_counted() -> None:
    """Of 4 errors among 20 pairs, 3 are in the worst fifth by this quality."""
    genuine = np.where(np.arange(20) < 4, 0.1, 0.9)
    quality = np.array([0, 1, 2, 10, 3, *range(11, 26)], float)
    impostors = ListedImpostors(np.linspace(0, 0.5, 5000), np.zeros(5000))
    curve = discard_curve(genuine, quality, impostors, 1e-2)
    assert curve.avoided(0.2) == pytest.approx(3 / 4)
    assert curve.avoided(0.0) == 0
    assert oracle_curve(genuine, impostors, 1e-2).avoided(0.2) == pytest.approx(1)
    assert np.isnan(discard_curve(np.ones(20), quality, impostors, 1e-2).avoided(0.2))
