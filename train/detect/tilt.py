"""Tilted pictures: few heads in photographs lean far, and a detector shown only those takes all for upright."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .crop import judged
from .scenes import Scene

#: Share of crops that are tilted, the standard deviation of the angle, and its limit.
TILTED, SPREAD_DEG, LIMIT_DEG = 0.5, 25.0, 60.0


def tilted(scene: Scene, rng: np.random.Generator) -> Scene:
    """The scene, perhaps turned by a random angle."""
    if rng.random() >= TILTED:
        return scene
    return turn(scene, float(np.clip(rng.normal() * SPREAD_DEG, -LIMIT_DEG, LIMIT_DEG)))


def turn(scene: Scene, clockwise_deg: float) -> Scene:
    """A picture turned about its middle, black where there was nothing, its size kept; its faces with it.

    The box becomes the one around the turned ellipse that fills it: heads are rounder than their boxes.
    """
    height, width = scene.image.shape[:2]
    angle = np.radians(clockwise_deg)
    cosine, sine = np.cos(angle), np.sin(angle)
    image = Image.fromarray(scene.image).rotate(-clockwise_deg, Image.Resampling.BILINEAR)
    matrix = np.array([[cosine, -sine], [sine, cosine]])  # of offsets, y down: clockwise
    middle = np.array([width - 1, height - 1]) / 2
    landmarks = (scene.landmarks - middle) @ matrix.T + middle
    centre = ((scene.boxes[:, :2] + scene.boxes[:, 2:]) / 2 - middle) @ matrix.T + middle
    half = np.sqrt(((scene.boxes[:, 2:] - scene.boxes[:, :2]) / 2) ** 2 @ (matrix**2).T)
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    about_z = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    parts = (boxes, landmarks, scene.rotations @ about_z)
    boxes, landmarks, rotations = (_single(part) for part in parts)
    return judged(replace(scene, image=np.asarray(image), boxes=boxes, landmarks=landmarks, rotations=rotations))


def _single(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float32)
