"""Pixels: box mean, bilinear blends, letterbox, alignment, and the tensor that a model takes."""

from __future__ import annotations

import numpy as np

from ...contract import InputSpec
from ...runtime.align import align_face, estimate_similarity
from ...runtime.preprocess import letterbox, to_tensor
from ...runtime.resample import box_mean, sample, stretch
from .pictures import Picture, Pictures
from .vectors import XY, Struct, Tensor, Vector3, array, numbers, tensor


class Shrinking(Struct):
    """``picture`` by boxes of k x k."""

    picture: Picture
    k: int


class Sampling(Struct):
    """``picture`` at positions in 1/256 pixel."""

    picture: Picture
    rows: tuple[int, ...]
    columns: tuple[int, ...]


class Letterboxing(Struct):
    """``picture`` into ``size`` (height, width)."""

    picture: Picture
    size: tuple[int, int]


class Fitting(Struct):
    """``source`` points onto ``target`` points."""

    source: tuple[XY, ...]
    target: tuple[XY, ...]


class Aligning(Struct):
    """The face at ``landmarks`` of ``picture`` onto ``template`` in a crop of ``size`` (height, width)."""

    picture: Picture
    landmarks: tuple[XY, ...]
    template: tuple[XY, ...]
    size: tuple[int, int]


class Laying(Struct):
    """One picture as the batch that a model with this input takes."""

    picture: Picture
    input: InputSpec


class Pixels(Struct):
    """A picture."""

    picture: Picture


class Colors(Struct):
    """RGB of each position."""

    colors: tuple[tuple[int, int, int], ...]


class Letterboxed(Struct):
    """The canvas, and the scale that leads from the picture to it."""

    picture: Picture
    scale: float


class Similarity(Struct):
    """``[[a, -b, tx], [b, a, ty]]``."""

    matrix: tuple[Vector3, Vector3]


class Laid(Struct):
    """The input tensor."""

    tensor: Tensor


def shrink(given: Shrinking, pictures: Pictures) -> Pixels:
    """``resample.box_mean``."""
    return Pixels(pictures.keep(box_mean(pictures[given.picture], given.k)))


def stretch_grid(given: Sampling, pictures: Pictures) -> Pixels:
    """``resample.stretch``: every row with every column."""
    rows, columns = np.array(given.rows), np.array(given.columns)
    return Pixels(pictures.keep(stretch(pictures[given.picture], rows, columns)))


def sample_points(given: Sampling, pictures: Pictures) -> Colors:
    """``resample.sample``: the first row with the first column, and so on."""
    return Colors(numbers(sample(pictures[given.picture], np.array(given.rows), np.array(given.columns))))


def fit_letterbox(given: Letterboxing, pictures: Pictures) -> Letterboxed:
    """``preprocess.letterbox``."""
    canvas, scale = letterbox(pictures[given.picture], given.size)
    return Letterboxed(pictures.keep(canvas), scale)


def fit_similarity(given: Fitting, _: Pictures) -> Similarity:
    """``align.estimate_similarity``."""
    return Similarity(numbers(estimate_similarity(array(given.source), array(given.target))))


def align(given: Aligning, pictures: Pictures) -> Pixels:
    """``align.align_face``."""
    landmarks, template = array(given.landmarks), array(given.template)
    return Pixels(pictures.keep(align_face(pictures[given.picture], landmarks, template, given.size)))


def lay_out(given: Laying, pictures: Pictures) -> Laid:
    """``preprocess.to_tensor``."""
    return Laid(tensor(to_tensor(pictures[given.picture][None], given.input)))
