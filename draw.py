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
_DEEP = (0, 82, 147)
AXES = ((230, 70, 70), (70, 200, 90), (70, 120, 240))  # to the side, through the crown, along the nose


def draw_faces(image: Picture, faces: Sequence[DetectedFace], color: tuple[int, int, int] = GREEN) -> Picture:
    """A copy of ``(H, W, 3) uint8`` RGB with box, landmarks, head axes and quality, or else score, of each face."""
    canvas = Image.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    width = max(1, round(max(image.shape[:2]) / 400))
    for face in faces:
        x1, y1, x2, y2 = (float(v) for v in face.box)
        pen.rectangle((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), outline=color, width=width)
        told = getattr(face, "quality", None)
        pen.text((x1 + 2 * width, y1 + width), f"{face.score if told is None else told:.2f}", fill=color)
        dot = min(2 * width, max(1.0, (x2 - x1) / 24))  # in small faces, small ones
        for x, y in face.landmarks:
            pen.ellipse((x - dot, y - dot, x + dot, y + dot), fill=ORANGE)
        if face.rotation is not None:
            _draw_axes(pen, face.landmarks[2], face.rotation, length=(x2 - x1) / 3, width=round(dot))
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


def similarity_matrix(thumbnails: Sequence[Picture], cosines: Floats, cell: int = 56) -> Picture:
    """The cosines ``(N, N)`` of N pictures as a table with the pictures at its edges; darker is more alike."""
    count = len(thumbnails)
    sheet = Image.new("RGB", ((count + 1) * cell,) * 2, "white")
    pen = ImageDraw.Draw(sheet)
    for i, thumbnail in enumerate(thumbnails, 1):
        small = Image.fromarray(thumbnail).resize((cell - 2, cell - 2))
        sheet.paste(small, (i * cell + 1, 1))
        sheet.paste(small, (1, i * cell + 1))
    for (i, j), cosine in np.ndenumerate(cosines):
        x, y = (j + 1) * cell, (i + 1) * cell
        depth = min(1.0, max(0.0, float(cosine)))
        fill = tuple(round(255 + (dark - 255) * depth) for dark in _DEEP)
        pen.rectangle((x + 1, y + 1, x + cell - 2, y + cell - 2), fill=fill)
        ink = "white" if depth > 0.5 else "black"
        pen.text((x + cell / 2, y + cell / 2), f"{cosine:.2f}", fill=ink, anchor="mm")
    return np.asarray(sheet)


def encode(image: Picture, format: str = "PNG", *, quality: int = 88, compress_level: int = -1) -> bytes:
    """``(H, W, 3) uint8`` RGB as the bytes of a PNG or JPEG file; JPEG has a ``quality``, PNG a ``compress_level``."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format, quality=quality, compress_level=compress_level)
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
