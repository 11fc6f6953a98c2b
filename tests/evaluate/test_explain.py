"""A saliency map must point at what the network looks at: planted in fake embedders, then tried on a real export."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pocketface.errors import InvalidImage
from pocketface.evaluate.explain import Masking, explain_match, overlay
from pocketface.evaluate.faces import bundled_portraits, inputs_for
from pocketface.runtime.embedder import Embedder

if TYPE_CHECKING:
    from pocketface.export import Exported

SIZE = (112, 112)
NOISE = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)


def looks_at(*regions: tuple[slice, slice]):
    """An embedder whose answer is the pixels of some regions and nothing else, each its own dimensions."""

    def embed(crops):
        rows = [np.concatenate([(c[r].astype(np.float32) - 127).ravel() for r in regions]) for c in crops]
        return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)

    return embed


@pytest.mark.parametrize("corner", [(20, 30), (70, 64), (90, 8)])
def test_the_map_peaks_where_the_network_looks(corner: tuple[int, int]) -> None:
    y, x = corner
    embed = looks_at((slice(y, y + 14), slice(x, x + 14)))
    found = explain_match(NOISE, embed(NOISE[None])[0], embed)
    peak = np.unravel_index(found.map.argmax(), SIZE)
    assert abs(peak[0] - (y + 6.5)) <= 7
    assert abs(peak[1] - (x + 6.5)) <= 7
    outside = np.ones(SIZE, bool)
    outside[max(y - 26, 0) : y + 40, max(x - 26, 0) : x + 40] = False
    assert found.map[outside].max() < 1e-5  # no mask that reaches the region reaches further than twice a cell
    assert found.similarity == pytest.approx(1)
    assert found.map.max() == 1


def test_what_also_matches_somebody_else_does_not_count() -> None:
    """Two regions: one tells the persons apart, the other is the same in both."""
    own, shared = (slice(20, 36), slice(20, 36)), (slice(76, 92), slice(76, 92))
    embed = looks_at(own, shared)
    other = NOISE.copy()
    other[own] = 255 - other[own]
    mate, non_mate = embed(np.stack([NOISE, other]))
    alone = explain_match(NOISE, mate, embed, masking=Masking(percentile=0))
    against = explain_match(NOISE, mate, embed, non_mate=non_mate, masking=Masking(percentile=0))
    assert alone.map[shared].max() > 0.5
    assert against.map[own].mean() > 5 * against.map[shared].mean()


def test_a_loss_is_counted_by_hand() -> None:
    """One mask on one pixel of interest: the loss is the mask's strength there times the step to the blurred value."""
    crop = np.zeros((9, 9, 3), np.uint8)
    crop[4, 4] = 255

    def embed(crops):
        return crops[:, 4, 4, :1].astype(np.float32) / 255

    prior = np.zeros((9, 9))
    prior[4, 4] = 1
    found = explain_match(crop, np.ones(1), embed, prior=prior, masking=Masking(masks=40, cell_px=2, sigma=1.0))
    assert found.similarity == 1
    assert 0.5 < found.largest_loss <= 1  # the spot's centre is within half a pixel, the blur takes nearly all light
    assert np.unravel_index(found.map.argmax(), (9, 9)) == (4, 4)


def test_masks_fall_only_where_the_prior_is() -> None:
    seen = []

    def embed(crops):
        seen.append(crops)
        return np.ones((len(crops), 1), np.float32)

    prior = np.zeros(SIZE)
    prior[:40] = 1
    explain_match(NOISE, np.ones(1), embed, prior=prior, masking=Masking(masks=64))
    masked = np.concatenate(seen[1:])[:64]
    changed = (masked != NOISE).any(axis=(0, 3))
    assert changed[:40].mean() > 0.95
    assert not changed[40 + 12 :].any()


def test_masks_are_spread_evenly_over_few_draws() -> None:
    counts = []

    def embed(crops):
        counts.extend((crops != NOISE).any(axis=3)[1:] if len(crops) == 1 else (crops != NOISE).any(axis=3))
        return np.ones((len(crops), 1), np.float32)

    explain_match(NOISE, np.ones(1), embed, masking=Masking(masks=256))
    covered = np.stack(counts).sum(axis=0)[24:-24, 24:-24]
    assert covered.min() > 0
    assert covered.std() / covered.mean() < 0.5


def test_nothing_that_matters_gives_a_map_of_zeros() -> None:
    found = explain_match(NOISE, np.ones(1), lambda crops: np.ones((len(crops), 1), np.float32))
    assert not found.map.any()
    assert found.largest_loss == 0


def test_progress_is_told_and_ends_at_the_total() -> None:
    told: list[tuple[int, int]] = []
    embed = looks_at((slice(0, 50), slice(0, 50)))
    explain_match(
        NOISE, embed(NOISE[None])[0], embed, masking=Masking(masks=70), progress=lambda *now: told.append(now)
    )
    assert told[-1] == (70, 70)
    assert all(a[0] < b[0] for a, b in pairwise(told))


@pytest.mark.parametrize("prior", [np.zeros(SIZE), -np.ones(SIZE), np.ones((3, 3)), np.full(SIZE, np.nan)])
def test_an_impossible_prior_is_refused(prior: np.ndarray) -> None:
    with pytest.raises(ValueError, match="prior"):
        explain_match(NOISE, np.ones(1), lambda c: np.ones((len(c), 1), np.float32), prior=prior)


@pytest.mark.parametrize("wrong", [{"masks": 0}, {"percentile": 100}, {"sigma": 0}, {"cell_px": 0}, {"spots": 0}])
def test_impossible_masks_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected masks"):
        Masking(**wrong)  # type: ignore[arg-type]


def test_an_overlay_glows_where_the_map_does_and_keeps_the_face() -> None:
    crop = np.full((40, 60, 3), 100, np.uint8)
    heat = np.zeros((40, 60), np.float32)
    heat[10:20, 10:20] = 1
    drawn = overlay(crop, heat, scale=2)
    assert drawn.shape == (80, 120, 3)
    assert drawn[30, 30].mean() > drawn[70, 100].mean() + 60


def test_a_real_export_is_explained_and_the_same_seed_gives_the_same_map(
    exports: dict[tuple[str, str, str], Exported],
) -> None:
    embedder = Embedder(exports["facelivtv2_xs", "onnx", "float32"].artifact, threads=1)
    crops = inputs_for(embedder.contract, bundled_portraits()[:2])
    mate = embedder.embed(crops[1])[0]
    few = Masking(masks=48, seed=3)
    first, again = (explain_match(crops[0], mate, embedder.embed, masking=few) for _ in range(2))
    assert np.array_equal(first.map, again.map)
    assert first.map.shape == embedder.size
    assert first.map.max() == 1
    other = explain_match(crops[0], mate, embedder.embed, masking=Masking(masks=48, seed=4))
    assert not np.array_equal(first.map, other.map)
    with pytest.raises(InvalidImage):
        explain_match(crops[0][:50], mate, embedder.embed, masking=few)
