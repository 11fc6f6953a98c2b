"""What of a picture a batch shows: square crops at random scales, mirrored ones, and mosaics of four pictures.

Faces go where their pixels go, to the fraction of a pixel. All randomness comes from the generator that is handed in.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .posefit import mirrored
from .scenes import Scene

#: Sides of faces in the crop between which a sought one is drawn, evenly in its logarithm.
SOUGHT = (10.0, 180.0)
#: The longer side of a whole picture in pixels of the input, at inference; and how far the scale of crops strays.
WHOLE, STRAY = 320.0, (0.7, 1.5)
#: Then the scale is at least and at most so many times that at which the picture would be seen whole.
SHRUNK, BLOWN_UP = 0.5, 3.0
#: Faces with a shorter side in the crop are ignored: neither to be found nor wrong.
SMALLEST = 6.0
#: Of a face's box, the share that must be in the crop for it to be one to be found, and for its pose to be taught.
SEEN, POSED = 0.4, 0.75

_FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.BOX)
_SWAPPED = [1, 0, 2, 4, 3]


def random_crop(scene: Scene, size: int, rng: np.random.Generator, zoom: float = 1.0) -> Scene:
    """A square of a picture with a face in it, if there is one; ``zoom`` changes all scales, for the parts of mosaics.

    Half of the crops are as large as they are when the whole picture is letterboxed into 320 pixels, or nearly so. In
    the other half one face gets a size that is drawn first. Source of that: data-anchor-sampling of PyramidBox
    (arXiv 1803.07737); it is what makes large faces small and small ones larger.
    """
    height, width = scene.image.shape[:2]
    whole = WHOLE / max(height, width)
    faces = np.flatnonzero(~scene.ignore)
    face = scene.boxes[rng.choice(faces)] if len(faces) else np.array([0, 0, width, height], np.float32)
    if rng.random() < 0.5:
        scale = whole * np.exp(rng.uniform(*np.log(STRAY)))
    else:
        side = max(float(np.sqrt((face[2:] - face[:2]).prod())), 1.0)
        scale = np.clip(np.exp(rng.uniform(*np.log(SOUGHT))) / side, whole * SHRUNK, whole * BLOWN_UP)
    side = size / (scale * zoom)
    middle = (face[:2] + face[2:]) / 2
    corner = [_place(centre, side, length, rng) for centre, length in zip(middle, (width, height), strict=True)]
    return cut(scene, corner[0], corner[1], side, size, int(rng.integers(len(_FILTERS))))


def _place(centre: float, side: float, length: int, rng: np.random.Generator) -> float:
    """Where a crop starts: the face's centre is in it, and it leaves the picture only where it must."""
    start = centre - side * rng.uniform(0.1, 0.9)
    inside = (0.0, length - side) if side <= length else (length - side, 0.0)
    return float(np.clip(start, *inside))


def cut(scene: Scene, left: float, top: float, side: float, size: int, filtered: int = 0) -> Scene:
    """The square of ``side`` pixels whose corner is at a corner of pixels, as ``size`` pixels; black outside.

    Faces whose centre is not in it are ignored; boxes are clipped to it. A face is ignored too where too little of it
    is left or it is too small.
    """
    scale = size / side
    height, width = scene.image.shape[:2]
    canvas = np.zeros((size, size, 3), np.uint8)
    x0, x1 = _span(left, scale, width, size)
    y0, y1 = _span(top, scale, height, size)
    if x1 > x0 and y1 > y0:
        box = np.array([left + x0 / scale, top + y0 / scale, left + x1 / scale, top + y1 / scale])
        canvas[y0:y1, x0:x1] = _resized(scene.image, box, (x1 - x0, y1 - y0), filtered)
    return judged(scene.moved(canvas, scale, -left * scale, -top * scale))


def _span(start: float, scale: float, length: int, size: int) -> tuple[int, int]:
    """The pixels of the canvas that lie wholly on the picture."""
    first = np.ceil(-start * scale - 1e-6)
    last = np.floor((length - start) * scale + 1e-6)
    return int(np.clip(first, 0, size)), int(np.clip(last, 0, size))


def _resized(
    image: NDArray[np.uint8], box: NDArray[np.float64], size: tuple[int, int], filtered: int
) -> NDArray[np.uint8]:
    limits = np.array([*image.shape[1::-1]] * 2)
    box = np.clip(box, 0, limits)
    low, high = np.floor(box[:2]).astype(int), np.ceil(box[2:]).astype(int)
    part = Image.fromarray(np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]]))
    return np.asarray(part.resize(size, _FILTERS[filtered], tuple(box - np.tile(low, 2))))


def judged(scene: Scene) -> Scene:
    """Faces out of the picture are dropped, those that show too little are ignored, the others clipped to it."""
    size = scene.image.shape[0]
    area = (scene.boxes[:, 2:] - scene.boxes[:, :2]).prod(axis=1)
    clipped = scene.boxes.clip(-0.5, size - 0.5)
    sides = clipped[:, 2:] - clipped[:, :2]
    share = sides.prod(axis=1) / np.maximum(area, 1e-9)
    ignore = scene.ignore | (share < SEEN) | (sides.min(axis=1, initial=np.inf) < SMALLEST)
    outside = ((scene.landmarks < -0.5) | (scene.landmarks > size - 0.5)).any(axis=(1, 2))
    landmarks = np.where(outside[:, None, None], np.float32(np.nan), scene.landmarks)
    rotations = np.where((share < POSED)[:, None, None], np.float32(np.nan), scene.rotations)
    judged = replace(scene, boxes=clipped, ignore=ignore, landmarks=landmarks, rotations=rotations)
    return judged.take(np.flatnonzero((sides > 0).all(axis=1)))


def mirror(scene: Scene) -> Scene:
    """The mirrored picture; left and right landmarks change names, and heads turn the other way."""
    last = scene.image.shape[1] - 1
    boxes = scene.boxes[:, [2, 1, 0, 3]] * _array(-1, 1, -1, 1) + _array(last, 0, last, 0)
    landmarks = scene.landmarks[:, _SWAPPED] * _array(-1, 1) + _array(last, 0)
    image = np.ascontiguousarray(scene.image[:, ::-1])
    return replace(scene, image=image, boxes=boxes, landmarks=landmarks, rotations=mirrored(scene.rotations))


def _array(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def mosaic(scenes: list[Scene], size: int, rng: np.random.Generator, zoom: float = 0.5) -> Scene:
    """Four pictures, two by two, by default at half the scale: the small faces that the loss sees too few of.

    Source: Stitcher (arXiv 2004.12432), which MOS's feedback picks up.
    """
    half = size // 2
    canvas, parts = np.zeros((size, size, 3), np.uint8), []
    for i, one in enumerate(scenes):
        x, y = i % 2 * half, i // 2 * half
        part = random_crop(one, half, rng, zoom)
        canvas[y : y + half, x : x + half] = part.image
        parts.append(part.moved(part.image, 1.0, x, y))
    joined = {key: np.concatenate([getattr(part, key) for part in parts]) for key in _FACE}
    return replace(scenes[0], image=canvas, **joined)


_FACE = ("boxes", "ignore", "landmarks", "rotations")
