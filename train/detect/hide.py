"""Masks on faces and things before them, for the crops of the detector: what is hidden is to be found all the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...contract import ARCFACE_TEMPLATE
from ...evaluate.corruptions import cover, mask_outline
from .scenes import Floats, Scene

#: How high masks sit, see :func:`pocketface.evaluate.corruptions.mask_outline`.
RISES = (0.2, 1.6)
#: Share of a face's box that a thing before it hides.
HIDDEN = (0.05, 0.35)


def hidden(scene: Scene, masks: float, things: float, rng: np.random.Generator) -> Scene:
    """The scene with some of its faces masked or partly covered; boxes, landmarks and rotations stay.

    Args:
        scene: any; its image is not changed.
        masks: share of the faces with landmarks that wear a mask.
        things: share of the faces that a box of one colour hides in part.
        rng: of all randomness; untouched where both shares are 0.
    """
    if not masks and not things:
        return scene
    image = scene.image.copy()
    for box, five in zip(scene.boxes[~scene.ignore], scene.landmarks[~scene.ignore], strict=True):
        masked, covered = rng.random(2) < (masks, things)
        if masked and np.isfinite(five).all():
            _wear(image, worn(five, rng.uniform(*RISES)), rng)
        if covered:
            _put_before(image, box, rng)
    return replace(scene, image=image)


def worn(five: Floats, rise: float) -> NDArray[np.float64]:
    """The outline ``(7, 2)`` of a mask over bridge of the nose, cheeks and chin of the face with these landmarks.

    The outline on the ArcFace template, moved by the affine map that takes the template nearest to the landmarks: so
    the mask is tilted with the head, and narrower on one that is turned.
    """
    flat = np.column_stack([ARCFACE_TEMPLATE, np.ones(5)])
    there, *_ = np.linalg.lstsq(flat, five.astype(np.float64), rcond=None)
    outline = mask_outline(rise)
    moved: NDArray[np.float64] = np.column_stack([outline, np.ones(len(outline))]) @ there
    return moved


def _wear(image: NDArray[np.uint8], outline: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Draw in the part of the image that the mask lies in; in place."""
    limit = np.array(image.shape[1::-1])
    left, top = np.floor(outline.min(axis=0)).clip(0, limit).astype(int)
    right, bottom = np.ceil(outline.max(axis=0) + 1).clip(0, limit).astype(int)
    if left < right and top < bottom:
        part = image[top:bottom, left:right]
        part[:] = cover(part, outline - (left, top), rng)


def _put_before(image: NDArray[np.uint8], box: Floats, rng: np.random.Generator) -> None:
    """A box of one colour somewhere before a face, as far as the image goes; in place."""
    side = box[2:] - box[:2]
    ratio = np.exp(rng.uniform(-0.4, 0.4))
    size = np.minimum(side * np.sqrt(rng.uniform(*HIDDEN)) * (ratio, 1 / ratio), side)
    corner = box[:2] + rng.random(2) * (side - size)
    left, top, right, bottom = np.rint(np.concatenate([corner, corner + size])).clip(0).astype(int)
    image[top:bottom, left:right] = rng.integers(256, size=3)
