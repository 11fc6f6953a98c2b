"""What cameras, light, transport and people do to a face, each at five strengths: numpy and Pillow alone, seeded.

Sizes are in pixels of a crop of 112 x 112, and grow with the crop. The same picture, name and seed give the same bytes.
Five strengths per corruption is the habit of Hendrycks and Dietterich 2019, "Benchmarking Neural Network Robustness to
Common Corruptions and Perturbations"; the values are ours, from hardly seen to hardly recognised by a person.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from ..contract import ARCFACE_TEMPLATE
from ..errors import InvalidData
from ..runtime.images import check_image

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels, float, np.random.Generator], Pixels]

_SIDE = 112  # of the crop that all sizes are given for
_FINE = 4  # a polygon is drawn so much larger, for smooth edges
#: Colours of masks that people wear, RGB: white, surgical blue, black, grey, skin-like.
_CLOTHS = ((235, 235, 235), (150, 190, 215), (30, 30, 35), (120, 120, 125), (190, 150, 125))


@dataclass(frozen=True)
class Corruption:
    """One way to spoil a crop.

    Attributes:
        what: the value that rises or falls with the strength, and its unit.
        values: for the strengths 1 to 5.
        change: takes ``(H, W, 3) uint8`` RGB, the value and a generator, and gives a new picture of the same size.
    """

    what: str
    values: tuple[float, float, float, float, float]
    change: Change


def corrupt(image: Pixels, kind: str, strength: int, *, name: str = "", seed: int = 0) -> Pixels:
    """Spoil an aligned crop.

    Args:
        image: ``(H, W, 3) uint8`` RGB; for ``mask`` with its landmarks on the ArcFace template scaled to its side.
        kind: one of :data:`CORRUPTIONS`.
        strength: 1..5.
        name: of the picture: two pictures get different noise.
        seed: of all randomness.

    Raises:
        InvalidData: no such kind or strength.
        InvalidImage: not such a picture.
    """
    if kind not in CORRUPTIONS:
        raise InvalidData(f"there is no corruption {kind!r}, only {', '.join(CORRUPTIONS)}")
    if strength not in range(1, 6):
        raise InvalidData(f"expected a strength from 1 to 5, got {strength}")
    corruption, text = CORRUPTIONS[kind], f"{seed}\0{kind}\0{name}"  # the same place and colour at every strength
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))
    return corruption.change(check_image(image), corruption.values[strength - 1], rng)


def blur(image: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Gaussian blur; ``sigma`` in pixels."""
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma * _scale(image))))


def jpeg(image: Pixels, quality: float, rng: np.random.Generator) -> Pixels:
    """There and back through JPEG with colours at half resolution."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=int(quality), subsampling=2)
    return np.asarray(Image.open(stream).convert("RGB"))


def resolution(image: Pixels, side: float, rng: np.random.Generator) -> Pixels:
    """Down to ``side`` pixels by means over areas, and up again bicubically."""
    height, width = image.shape[:2]
    small = max(1, round(width * side / _SIDE)), max(1, round(height * side / _SIDE))
    shrunk = Image.fromarray(image).resize(small, Image.Resampling.BOX)
    return np.asarray(shrunk.resize((width, height), Image.Resampling.BICUBIC))


def noise(image: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """White Gaussian noise on every value; ``sigma`` of 255."""
    return _to_bytes(image.astype(np.float64) + rng.normal(scale=sigma, size=image.shape))


def exposure(image: Pixels, stops: float, rng: np.random.Generator) -> Pixels:
    """Less or more light by a power of two, clipped; in linear light, as sRGB defines it (IEC 61966-2-1)."""
    encoded = image / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    linear = np.minimum(linear * 2.0**stops, 1)
    return _to_bytes(255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


def occlusion(image: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """One box of one colour anywhere over the crop that hides this share of it."""
    height, width = image.shape[:2]
    ratio = np.exp(rng.uniform(-0.4, 0.4))
    h = min(height, max(1, round(height * np.sqrt(share) * ratio)))
    w = min(width, max(1, round(share * height * width / h)))
    top, left = (int(rng.random() * (whole - part + 1)) for whole, part in ((height, h), (width, w)))
    changed = image.copy()
    changed[top : top + h, left : left + w] = rng.integers(256, size=3)
    return changed


def mask(image: Pixels, rise: float, rng: np.random.Generator) -> Pixels:
    """A face mask of one cloth: a polygon over cheeks, mouth and chin.

    Args:
        image: an aligned crop.
        rise: how high it sits: 0 at the mouth, 1 at the tip of the nose, 2 at the line of the eyes.
        rng: chooses the cloth.
    """
    return cover(image, (mask_outline(rise) + 0.5) * (np.array(image.shape[1::-1]) / _SIDE) - 0.5, rng)


def cover(image: Pixels, outline: NDArray[np.floating[Any]], rng: np.random.Generator) -> Pixels:
    """A cloth over a polygon.

    Args:
        image: ``(H, W, 3) uint8``.
        outline: ``(n, 2)`` corners (x, y) in its pixels.
        rng: chooses the cloth.
    """
    height, width = image.shape[:2]
    drawn = Image.new("L", (width * _FINE, height * _FINE))
    ImageDraw.Draw(drawn).polygon([tuple(point) for point in ((outline + 0.5) * _FINE - 0.5).tolist()], fill=255)
    covered = np.asarray(drawn.resize((width, height), Image.Resampling.BOX))[..., None] / 255
    cloth = np.array(_CLOTHS[rng.integers(len(_CLOTHS))]) + rng.normal(scale=4, size=image.shape[:2])[..., None]
    return _to_bytes(image * (1 - covered) + cloth * covered)


def mask_outline(rise: float) -> NDArray[np.float64]:
    """(7, 2) points (x, y) of a mask in a crop of 112 x 112, from the left cheek over the nose round to the chin."""
    left_eye, right_eye, nose, left_mouth, right_mouth = np.array(ARCFACE_TEMPLATE)
    eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    apart = float(right_eye[0] - left_eye[0])
    heights = [mouth[1] - 0.3 * apart, nose[1], eyes[1]]
    top = float(np.interp(rise, [0, 1, 2], heights))
    side, chin = top + 0.22 * apart, mouth[1] + 0.48 * apart
    cheeks = left_eye[0] - 0.42 * apart, right_eye[0] + 0.42 * apart
    jaw = mouth[1] + 0.15 * apart
    points = [(cheeks[0], side), (nose[0], top), (cheeks[1], side), (cheeks[1] - 2, jaw)]
    points += [(nose[0] + 0.35 * apart, chin), (nose[0] - 0.35 * apart, chin), (cheeks[0] + 2, jaw)]
    return np.array(points)


def _scale(image: Pixels) -> float:
    return min(image.shape[:2]) / _SIDE


def _to_bytes(values: NDArray[Any]) -> Pixels:
    pixels: Pixels = np.rint(values).clip(0, 255).astype(np.uint8)
    return pixels


#: By name, in the order of reports.
CORRUPTIONS: dict[str, Corruption] = {
    "blur": Corruption("sigma in pixels", (0.6, 1.2, 2.0, 3.0, 4.5), blur),
    "jpeg": Corruption("quality", (60, 40, 25, 15, 7), jpeg),
    "resolution": Corruption("side in pixels", (64, 48, 32, 24, 16), resolution),
    "noise": Corruption("sigma of 255", (8, 16, 26, 38, 55), noise),
    "dark": Corruption("stops of light", (-1, -2, -3, -4, -5), exposure),
    "bright": Corruption("stops of light", (0.5, 1, 1.5, 2, 3), exposure),
    "occlusion": Corruption("share of the crop", (0.05, 0.1, 0.2, 0.3, 0.4), occlusion),
    "mask": Corruption("rise: 1 nose tip, 2 eyes", (0.2, 0.6, 1.0, 1.3, 1.6), mask),
}
