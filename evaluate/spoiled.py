"""A data set with a spoiled copy of each of its pictures, so that there are bad pictures for a quality to find."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from ..errors import InvalidData
from .corruptions import CORRUPTIONS, corrupt
from .data import Image, ImageSet, Sample

#: Part of the name of the new set, which caches know it by: to be raised when other copies are made.
_VERSION = 1


def with_spoiled_copies(images: ImageSet, seed: int = 0) -> ImageSet:
    """Every picture as it is, and once more under one corruption of one strength 1..5, all forty equally likely.

    A copy's name ends in ``#KIND-STRENGTH``; it is spoiled when it is read.

    Raises:
        InvalidData: pictures that are not aligned crops.
    """
    if not all(sample.aligned for sample in images.samples):
        raise InvalidData(f"{images.name}: only aligned crops can be spoiled; say that they are")
    copies = _copies(images, seed)
    return images.derive(f"and spoiled copies, version {_VERSION}, seed {seed}", (*images.samples, *copies))


def _copies(images: ImageSet, seed: int) -> Iterator[Sample]:
    ways = [(kind, strength) for kind in CORRUPTIONS for strength in range(1, 6)]
    for sample in images.samples:
        drawn = hashlib.sha256(f"{seed}\0{sample.name}".encode()).digest()
        kind, strength = ways[int.from_bytes(drawn[:8], "big") % len(ways)]
        read = _spoiling(sample, kind, strength, seed)
        columns = {**sample.columns, "spoiled": f"{kind} {strength}"}
        yield replace(sample, name=f"{sample.name}#{kind}-{strength}", read=read, columns=columns)


def _spoiling(sample: Sample, kind: str, strength: int, seed: int) -> Callable[[], Image]:
    return lambda: corrupt(sample.read(), kind, strength, name=sample.name, seed=seed)
