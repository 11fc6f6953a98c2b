"""What phones do to a crop before a recogniser sees it: landmarks a little off, other light, blur, noise, JPEG, masks.

All randomness comes from the generator that is handed in, so a batch can be made again.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from ..evaluate.corruptions import CORRUPTIONS

Pixels = NDArray[np.uint8]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]

SIDE = 112


class Augmentation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much of it, and how often.

    Attributes:
        flip: share of crops that are mirrored.
        rotate_deg, scale, shift: standard deviations of the similarity that stands for a landmarker's error: in
            degrees, as a share of the size, and as a share of the side.
        light: largest change of brightness, contrast and saturation, as a share; the same share of crops is changed.
        grey: share of crops without colour.
        spoil: share of crops with one of the corruptions of ``evaluate.corruptions``.
        worst: strongest strength of a corruption, 1..5; any strength below, between the five too, is as likely.
    """

    flip: Share = 0.5
    rotate_deg: Annotated[float, msgspec.Meta(ge=0.0)] = 3.0
    scale: Share = 0.03
    shift: Share = 0.012
    light: Share = 0.3
    grey: Share = 0.03
    spoil: Share = 0.3
    worst: Annotated[float, msgspec.Meta(ge=1.0, le=5.0)] = 4.0


def augment(crop: Pixels, how: Augmentation, rng: np.random.Generator) -> Pixels:
    """A changed crop for training.

    Args:
        crop: ``(side, side, 3) uint8`` RGB with its landmarks on the ArcFace template scaled to its side.
        how: what to do.
        rng: of all randomness.

    Returns:
        ``(112, 112, 3) uint8`` RGB.
    """
    image = warp(crop, how, rng)
    if rng.random() < how.light:
        image = relight(image, how.light, rng)
    if rng.random() < how.grey:
        image = image.convert("L").convert("RGB")
    pixels: Pixels = np.asarray(image)
    return spoil(pixels, how.worst, rng) if rng.random() < how.spoil else pixels


def warp(crop: Pixels, how: Augmentation, rng: np.random.Generator) -> Image.Image:
    """Resample to 112 x 112 under a small similarity, mirrored or not."""
    side = crop.shape[0]
    angle = np.deg2rad(rng.normal() * how.rotate_deg)
    zoom = side / SIDE * np.exp(rng.normal() * how.scale)
    shift = rng.normal(size=2) * how.shift * side
    mirror = -1.0 if rng.random() < how.flip else 1.0
    matrix = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * [[mirror, 1.0]]
    # The centre goes to the centre but for the shift. Pillow counts from a pixel's corner, so centres are side / 2.
    offset = side / 2 + shift - matrix @ [SIDE / 2, SIDE / 2]
    rows = np.column_stack([matrix, offset])
    return Image.fromarray(crop).transform(
        (SIDE, SIDE), Image.Transform.AFFINE, tuple(rows.ravel()), Image.Resampling.BILINEAR
    )


def relight(image: Image.Image, most: float, rng: np.random.Generator) -> Image.Image:
    """Other brightness, contrast and saturation, each up to ``most`` more or less."""
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = change(image).enhance(1 + rng.uniform(-most, most))
    return image


def spoil(pixels: Pixels, worst: float, rng: np.random.Generator) -> Pixels:
    """One corruption at a strength between 1 and ``worst``."""
    corruption = CORRUPTIONS[str(rng.choice(list(CORRUPTIONS)))]
    value = np.interp(rng.uniform(1, worst), np.arange(1, 6), corruption.values)
    return corruption.change(pixels, float(value), rng)
