"""Which pixels of a face make it match another: a saliency map that needs the exported file and nothing else.

After DISE (Williford, May and Byrne, "Explainable Face Recognition", ECCV 2020): small spots of the picture are
blurred, one picture per spot, and what each costs in similarity is laid down where it was. No gradients, so it works
on every format and every engine. Where that paper draws 6,500 masks for a publication, :data:`MASKS` are drawn here
for an answer within seconds; the map is divided by how often each pixel was covered, so that a place does not look
important because the prior sent more masks there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ..runtime.images import check_image

#: Crops ``(N, h, w, 3) uint8`` RGB to embeddings ``(N, D)`` of length 1: ``Embedder.embed``, or one's own.
Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
Floats = NDArray[np.floating[Any]]

#: Masks by default: a pixel of a 112 x 112 crop is then in the heart of about six.
MASKS = 500
_AT_ONCE = 32
#: From nothing to most important; lightness grows evenly, so the ramp reads in grey as well.
_RAMP = np.array([(20, 18, 60), (92, 28, 110), (178, 50, 98), (238, 108, 62), (252, 182, 66), (250, 250, 200)])


@dataclass(frozen=True)
class Masking:
    """How masks are drawn. The defaults are the paper's but for their number.

    Attributes:
        masks: how many masked pictures are embedded.
        spots: blurred spots per mask.
        cell_px: half the side of a spot, in pixels of the crop; its strength falls linearly from its centre.
        sigma: of the Gaussian blur that fills a spot, as a share of the crop's longer side.
        percentile: of all masks, those that cost less than this percentile do not count; 0..100.
        seed: of the spots' places.
    """

    masks: int = MASKS
    spots: int = 1
    cell_px: float = 12.0
    sigma: float = 0.04
    percentile: float = 50.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.masks < 1 or self.spots < 1 or self.cell_px < 1 or self.sigma <= 0 or not 0 <= self.percentile < 100:
            raise ValueError(
                f"expected masks, spots and cell_px of 1 or more, sigma > 0, percentile 0..100; got {self}"
            )


@dataclass(frozen=True, eq=False)
class Saliency:
    """Which pixels of a crop the match rests on.

    Attributes:
        map: ``(h, w) float32`` 0..1; the most important pixel is 1, zeros where nothing matters.
        similarity: cosine of the crop and its mate, unmasked.
        largest_loss: the most that one mask cost; a map of a tiny loss is a map of noise.
        masks: number of masks.
    """

    map: NDArray[np.float32]
    similarity: float
    largest_loss: float
    masks: int


def explain_match(
    crop: NDArray[np.uint8],
    mate: NDArray[np.floating[Any]],
    embed: Embed,
    *,
    non_mate: NDArray[np.floating[Any]] | None = None,
    prior: Floats | None = None,
    masking: Masking | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Saliency:
    """Find which pixels of an aligned crop make it match its mate.

    Args:
        crop: ``(h, w, 3) uint8`` RGB, as the recogniser takes it.
        mate: ``(D,)`` embedding of another picture of the person, of length 1.
        embed: crops to embeddings.
        non_mate: ``(D,)`` embedding of somebody else: what is found is then what tells the two apart, rather than all
            that matters to the match.
        prior: ``(h, w)`` where masks are to fall, zero or more; None for everywhere alike.
        masking: how masks are drawn.
        progress: told how many of how many masks are done.

    Raises:
        InvalidImage: the crop is not such a picture, or not of the recogniser's size.
        ValueError: a prior of another shape, negative, or zero everywhere.
    """
    masking = masking or Masking()
    towards = mate if non_mate is None else mate - non_mate
    original = embed(check_image(crop)[None])[0]
    blurred, places = _blur(crop, masking.sigma), _places(crop.shape[:2], prior, masking)
    portions = [slice(i, i + _AT_ONCE) for i in range(0, len(places), _AT_ONCE)]
    loss, covered, total = np.zeros(len(places)), np.zeros(crop.shape[:2]), np.zeros(crop.shape[:2])
    for part in portions:
        masks = _masks(places[part], crop.shape[:2], masking.cell_px)
        loss[part] = (original - embed(_blend(crop, blurred, masks))) @ towards
        covered += masks.sum(axis=0)
        progress(min(part.stop, len(places)), len(places))
    counted = np.where(loss >= np.percentile(loss, masking.percentile), np.maximum(loss, 0), 0)
    for part in portions:  # masks are made again rather than kept: thousands of them would fill the memory
        total += np.tensordot(counted[part], _masks(places[part], crop.shape[:2], masking.cell_px), axes=1)
    return Saliency(_normalized(total, covered), float(original @ mate), float(loss.max()), masking.masks)


def overlay(crop: NDArray[np.uint8], saliency: NDArray[np.float32], scale: int = 3) -> NDArray[np.uint8]:
    """The crop in grey with the map over it as a glow, enlarged, ``(scale * h, scale * w, 3) uint8`` RGB."""
    size = (crop.shape[1] * scale, crop.shape[0] * scale)
    grey = np.asarray(Image.fromarray(crop).convert("L").resize(size, Image.Resampling.BICUBIC), np.float32)
    heat = np.asarray(Image.fromarray(saliency).resize(size, Image.Resampling.BICUBIC)).clip(0, 1)[..., None]
    stops = np.linspace(0, 1, len(_RAMP))
    glow = np.stack([np.interp(heat[..., 0], stops, channel) for channel in _RAMP.T], axis=-1)
    strength = 0.15 + 0.65 * heat
    mixed: NDArray[np.uint8] = (
        ((1 - strength) * grey[..., None] + strength * glow).round().clip(0, 255).astype(np.uint8)
    )
    return mixed


def _blur(crop: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(crop).filter(ImageFilter.GaussianBlur(sigma * max(crop.shape[:2]))))


def _places(size: tuple[int, ...], prior: Floats | None, masking: Masking) -> NDArray[np.float64]:
    """Centres of the spots, ``(masks, spots, 2)`` as y and x; one in each equal share of the prior, row by row.

    That spreads few masks more evenly than independent draws would.
    """
    weights = np.ones(size) if prior is None else np.asarray(prior, np.float64)
    if weights.shape != size or not np.isfinite(weights).all() or weights.min() < 0 or not weights.any():
        raise ValueError(f"expected a prior of {size}, zero or more but not all zero; got {weights.shape}")
    rng, count = np.random.default_rng(masking.seed), masking.masks * masking.spots
    share = (np.arange(count) + rng.random(count)) / count
    pixel = np.searchsorted(np.cumsum(weights.ravel()) / weights.sum(), share, side="right").clip(max=weights.size - 1)
    centres = np.stack(np.unravel_index(pixel, size), axis=-1) + rng.random((count, 2)) - 0.5
    return rng.permutation(centres).reshape(masking.masks, masking.spots, 2)


def _masks(places: NDArray[np.float64], size: tuple[int, ...], cell_px: float) -> NDArray[np.float32]:
    """``(N, h, w)`` 0..1; 1 is wholly blurred."""
    y = np.maximum(1 - np.abs(np.arange(size[0]) - places[..., :1]) / cell_px, 0)  # (N, spots, h)
    x = np.maximum(1 - np.abs(np.arange(size[1]) - places[..., 1:]) / cell_px, 0)
    masks: NDArray[np.float32] = (y[..., :, None] * x[..., None, :]).max(axis=1).astype(np.float32)
    return masks


def _blend(crop: NDArray[np.uint8], blurred: NDArray[np.uint8], masks: NDArray[np.float32]) -> NDArray[np.uint8]:
    change = masks[..., None] * (blurred.astype(np.float32) - crop)
    mixed: NDArray[np.uint8] = (crop + change).round().astype(np.uint8)
    return mixed


def _normalized(total: Floats, covered: Floats) -> NDArray[np.float32]:
    """Mean loss per covering, scaled to 1; where hardly a mask fell, nothing is known and the map is 0."""
    known = covered > 0.1 * np.median(covered[covered > 0])
    mean = np.divide(total, covered, out=np.zeros_like(total), where=known)
    highest = mean.max()
    return (mean / highest if highest > 0 else mean).astype(np.float32)
