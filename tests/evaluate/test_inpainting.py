"""The inpainting game with a network that reads one region: the right map wins at once, the wrong one at last."""

from __future__ import annotations

import numpy as np
import pytest

from pocketface.errors import InvalidData
from pocketface.evaluate.inpainting import Triplet, play, salient

REGION = np.zeros((20, 20), bool)
REGION[4:8, 4:8] = True  # 16 of 400 pixels


def embed(crops):
    """Who it is stands in the mean of the region: dark is the mate, bright the non-mate."""
    shares = crops[:, REGION].mean(axis=(1, 2)) / 255
    return np.stack([np.cos(shares * np.pi / 2), np.sin(shares * np.pi / 2)], axis=1).astype(np.float32)


def triplet(probe=0, inpainted=255):
    images = [np.full((20, 20, 3), 60, np.uint8) for _ in range(2)]
    images[0][REGION], images[1][REGION] = probe, inpainted
    return Triplet(*images, REGION, np.float32([1, 0]), np.float32([0, 1]))


def test_the_right_map_flips_without_a_pixel_outside() -> None:
    game = play([triplet()], lambda t: t.region.astype(float), embed, densities=(0.1, 1.0))
    assert game.flipped.tolist() == [1, 1]  # equal pixels: all or none
    assert game.false_positives.tolist() == [0, 0]
    assert game.flipped_at(0.0) == 1


def test_the_wrong_map_never_flips_whatever_it_names() -> None:
    game = play([triplet()], lambda t: 1.0 - t.region, embed, densities=(0.5, 1.0))
    assert game.flipped.tolist() == [0, 0]
    assert game.false_positives.tolist() == [1, 1]
    assert game.flipped_at(0.5) == 0


def test_a_flip_is_counted_at_the_density_worked_out_by_hand() -> None:
    """The region's pixels are worth 1 to 16, so the highest 5 hold 70 of 136: more than half of the light is needed."""
    ranks = np.zeros((20, 20))
    ranks[REGION] = np.arange(1, 17)
    found = {k: sum(range(17 - k, 17)) / 136 for k in (8, 9)}  # share held by the highest k
    game = play([triplet()], lambda t: ranks, embed, densities=(found[8], found[9]))
    assert game.flipped.tolist() == [0, 1]  # 8 of 16 pixels is a tie, and a tie is no flip
    assert salient(ranks, found[8]).sum() == 8
    assert salient(ranks, found[8] + 1e-6).sum() == 9


def test_false_positives_are_shares_of_the_pixels_outside() -> None:
    saliency = REGION.astype(float)
    saliency[0, :6] = 1  # 6 of 384 outside
    game = play([triplet()], lambda t: saliency, embed, densities=(1.0,))
    assert game.false_positives[0] == pytest.approx(6 / 384)


def test_rounds_that_the_network_does_not_see_are_left_out_and_counted() -> None:
    rounds = [triplet(), triplet(inpainted=100), triplet(probe=200)]
    game = play(rounds, lambda t: t.region.astype(float), embed)
    assert (game.played, game.left_out) == (1, 2)
    with pytest.raises(InvalidData, match="2 triplets"):
        play(rounds[1:], lambda t: t.region.astype(float), embed)


def test_a_threshold_asks_for_a_match_and_not_only_for_the_nearer() -> None:
    almost = triplet(inpainted=140)  # nearer to the non-mate, at a cosine of 0.76
    assert play([almost], lambda t: t.region.astype(float), embed).flipped[-1] == 1
    with pytest.raises(InvalidData):
        play([almost], lambda t: t.region.astype(float), embed, threshold=0.8)


def test_a_map_of_zeros_names_nothing() -> None:
    assert not salient(np.zeros((3, 3)), 1.0).any()
    assert not salient(np.ones((3, 3)), 0.0).any()
    assert play([triplet()], lambda t: np.zeros((20, 20)), embed).flipped.max() == 0


@pytest.mark.parametrize("bad", [np.zeros((3, 3)), -np.ones((20, 20)), np.full((20, 20), np.nan)])
def test_an_impossible_map_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(InvalidData, match="map"):
        play([triplet()], lambda t: bad, embed)
