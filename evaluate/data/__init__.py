"""Read the data sets that the field uses, and those that people have: pictures, who they show, and pairs of them."""

from __future__ import annotations

from .opening import open_data, open_images, open_pairs
from .samples import Image, ImageSet, PairSet, Sample, contiguous_folds

__all__ = [
    "Image",
    "ImageSet",
    "PairSet",
    "Sample",
    "contiguous_folds",
    "open_data",
    "open_images",
    "open_pairs",
]
