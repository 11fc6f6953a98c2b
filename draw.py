"""Draw what was found onto a picture, for people to look at."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from .runtime.detector import DetectedFace

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
GREEN, ORANGE = (64, 200, 120), (255, 150, 40)
AXES = ((230, 70, 70), (70, 200, 90), (70, 120, 240))  # to the side, through the crown, along the nose


def draw_faces(image: Picture, faces: Sequence[DetectedFace], color: tuple[int, int, int] = GREEN) -> Picture:
    """A copy of ``(H, W, 3) uint8`` RGB with box, score, landmarks and head axes of each face."""
    canvas = Image.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    width = max(1, round(max(image.shape[:2]) / 400))
    for face in faces:
        x1, y1, x2, y2 = (float(v) for v in face.box)
        pen.rectangle((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), outline=color, width=width)
        pen.text((x1 + 2 * width, y1 + width), f"{face.score:.2f}", fill=color)
        for x, y in face.landmarks:
            pen.ellipse((x - 2 * width, y - 2 * width, x + 2 * width, y + 2 * width), fill=ORANGE)
        if face.rotation is not None:
            _draw_axes(pen, face.landmarks[2], face.rotation, length=(x2 - x1) / 3, width=2 * width)
    return np.asarray(canvas)


def contact_sheet(pictures: Sequence[Picture], columns: int = 12, gap: int = 4) -> Picture:
    """Pictures of one size side by side, row by row, on white."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * (height + gap) - gap, min(columns, len(pictures)) * (width + gap) - gap, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = (i // columns) * (height + gap), (i % columns) * (width + gap)
        sheet[y : y + height, x : x + width] = picture
    return sheet


def encode(image: Picture, format: str = "PNG") -> bytes:
    """``(H, W, 3) uint8`` RGB as the bytes of a PNG or JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format, quality=88)
    return buffer.getvalue()


def _draw_axes(
    pen: ImageDraw.ImageDraw,
    nose: Floats,
    rotation: Floats,
    length: float,
    width: int,
) -> None:
    for axis, color in zip(rotation, AXES, strict=True):
        tip = nose + length * axis[:2] * (1, -1)  # the camera's y points up, the picture's down
        pen.line((*(float(v) for v in nose), *(float(v) for v in tip)), fill=color, width=width)
