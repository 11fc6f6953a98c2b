"""What a detector found, beside what is there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .annotations import AnnotatedPicture, Boxes


@dataclass(frozen=True, eq=False)
class Search:
    """What a detector found in one picture, best score first, beside what is there.

    Attributes:
        picture: the picture and its faces.
        boxes: ``(n, 4)`` xyxy in its pixels.
        scores: ``(n,)`` falling.
        landmarks: ``(n, 5, 2)``.
        scale: pixels of the network's input per pixel of the picture.
    """

    picture: AnnotatedPicture
    boxes: Boxes
    scores: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    scale: float


@dataclass(frozen=True, eq=False)
class Searches:
    """A detector's answers on a data set.

    Attributes:
        pictures: those that could be read.
        problems: a sentence for each of the others.
        pictures_per_s: of those that were not in the cache: decoding, engine and suppression together; NaN if all were.
    """

    pictures: tuple[Search, ...]
    problems: tuple[str, ...]
    pictures_per_s: float
