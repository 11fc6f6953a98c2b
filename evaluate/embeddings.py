"""Embed a set of pictures: each once, in batches, on all cores, in bounded memory, and on from where a run stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.detector import Detector
from ..runtime.embedder import Embedder
from .cache import Cache
from .data import ImageSet

#: Told how many pictures are done, and of how many.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Embedded:
    """The embeddings of an image set, in its order.

    Attributes:
        vectors: ``(N, D) float32`` rows of length 1; zeros where a picture failed.
        failed: ``(N,) bool`` pictures without an embedding: unreadable, no face found, or NaN.
        norms: ``(N,) float32`` length before normalisation, 0 where failed. Where the graph itself normalises, about 1
            (about 2 with ``flip``), and it says nothing about quality.
        problems: a sentence for each kind of failure, with the pictures' names.
        images_per_s: of the pictures that this run embedded; NaN if all came from the cache.
        cached: number of pictures that came from the cache.
    """

    vectors: NDArray[np.float32]
    failed: NDArray[np.bool_]
    norms: NDArray[np.float32]
    problems: tuple[str, ...]
    images_per_s: float
    cached: int


def embed_images(
    images: ImageSet,
    embedder: Embedder,
    *,
    detector: Detector | None = None,
    flip: bool = False,
    cache: Cache | None = None,
    progress: Progress = lambda done, total: None,
) -> Embedded:
    """Embed every picture of a set once.

    Aligned pictures are warped from the ArcFace template to the contract's. Others go through the detector, and of
    several faces the one is taken with the greatest area (px²) less twice the squared distance of its centre from the
    picture's, as FaceNet's ``align_dataset_mtcnn`` chooses on LFW.

    Args:
        images: the pictures.
        embedder: the recogniser.
        detector: finds the faces of pictures that are not aligned.
        flip: whether to sum the embeddings of each crop and of its mirror image, before they are normalised.
        cache: keeps what is done, so that a run that was killed goes on, and a second run is instant.
        progress: told after each batch.

    Raises:
        InvalidData: pictures that are not aligned, and no detector.
        UnsupportedModel: the engine fails, or every embedding is NaN or zeros.
    """
    raise NotImplementedError
