"""Aligned crops, decoded once and mapped into memory, so that training reads pixels as fast as the disk gives them."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..artifact import atomic
from ..errors import InvalidData, InvalidImage
from ..evaluate.data import ImageSet
from ..evaluate.data.shelf import named

#: Told how many pictures are done, and of how many.
Progress = Callable[[int, int], None]

_AT_ONCE = 256  # pictures decoded before they are written


@dataclass(frozen=True, eq=False)
class CropStore:
    """Square crops of one size with their landmarks on the ArcFace template, scaled to their side.

    Attributes:
        folder: with ``pixels.npy`` and ``crops.json``.
        pixels: ``(N, side, side, 3) uint8`` RGB, mapped from the file, read-only.
        names: N names of pictures.
        labels: ``(N,) int64`` number of the identity, -1 where it is not known.
        identities: name of each number.
        fingerprint: of the pictures, see :class:`~pocketface.evaluate.data.ImageSet`.
        problems: a sentence for each fault of the data that was got around.
    """

    folder: Path
    pixels: NDArray[np.uint8]
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    identities: tuple[str, ...]
    fingerprint: str
    problems: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)


def pack_crops(images: ImageSet, folder: Path, *, progress: Progress = lambda done, total: None) -> CropStore:
    """Decode aligned pictures into a store, or open the store if it holds them already.

    The side is the first picture's. A picture that cannot be read, or has another shape, is left out and named.

    Raises:
        InvalidData: pictures that are not aligned, or none that can be read.
        OutputError: the folder cannot be written to.
    """
    if is_store(folder):
        store = open_crops(folder)
        if store.fingerprint != images.fingerprint:
            raise InvalidData(f"{folder} holds the crops of other pictures; remove it, or give another folder")
        return store
    if not all(sample.aligned for sample in images.samples):
        raise InvalidData(f"{images.name}: training takes aligned crops; name a detector, or say that they are aligned")
    kept: list[int] = []
    faults: dict[str, list[str]] = {}
    with atomic(folder / "pixels.npy") as temporary:
        _write_pixels(images, temporary, kept, faults, progress)
    problems = [f"{len(who)} pictures {what}: {named(who)}" for what, who in faults.items()]
    samples = [images.samples[i] for i in kept]
    about = {
        "fingerprint": images.fingerprint,
        "names": [sample.name for sample in samples],
        "identities": [sample.identity for sample in samples],
        "problems": [*images.problems, *problems],
    }
    with atomic(folder / "crops.json") as temporary:
        temporary.write_text(json.dumps(about))
    return open_crops(folder)


def is_store(folder: Path) -> bool:
    """Whether :func:`pack_crops` wrote this folder, to its end."""
    return (folder / "crops.json").is_file()


def open_crops(folder: Path) -> CropStore:
    """Open a store that :func:`pack_crops` wrote.

    Raises:
        InvalidData: no store, or a damaged one.
    """
    try:
        about = json.loads((folder / "crops.json").read_bytes())
        pixels: NDArray[np.uint8] = np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False)
        names, who = tuple(about["names"]), about["identities"]
        fingerprint, problems = str(about["fingerprint"]), tuple(about["problems"])
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise InvalidData(f"{folder}: no store of crops, or a damaged one: {e}") from e
    side = pixels.shape[1] if pixels.ndim == 4 else 0
    if pixels.dtype != np.uint8 or pixels.shape != (len(names), side, side, 3) or len(who) != len(names):
        raise InvalidData(f"{folder}: {len(names)} names for pixels {pixels.dtype} {pixels.shape}; pack it again")
    identities = tuple(sorted({name for name in who if name is not None}))
    numbers = {name: i for i, name in enumerate(identities)}
    labels = np.array([numbers.get(name, -1) for name in who], np.int64)
    return CropStore(folder, pixels, names, labels, identities, fingerprint, problems)


def _write_pixels(
    images: ImageSet, file: Path, kept: list[int], faults: dict[str, list[str]], progress: Progress
) -> None:
    """Write the pixels of all readable pictures as one .npy; notes which they are and what is wrong with the others."""
    side = 0
    with file.open("wb") as stream, ThreadPoolExecutor() as pool:
        for first in range(0, len(images), _AT_ONCE):
            indices = range(first, min(first + _AT_ONCE, len(images)))
            for i, crop in zip(indices, pool.map(lambda i: _read(images, i), indices), strict=True):
                name = images.samples[i].name
                if crop is None:
                    faults.setdefault("cannot be read and are left out", []).append(name)
                    continue
                if not side:
                    side = crop.shape[0]
                    _write_header(stream, len(images), side)
                if crop.shape != (side, side, 3):
                    faults.setdefault(f"are not {side} x {side} like the first and are left out", []).append(name)
                    continue
                stream.write(crop.tobytes())
                kept.append(i)
            progress(indices.stop, len(images))
        if not kept:
            raise InvalidData(f"{images.name}: no picture can be read: {named(next(iter(faults.values()), []))}")
        stream.seek(0)
        _write_header(stream, len(kept), side)


def _write_header(stream: BinaryIO, count: int, side: int) -> None:
    """An .npy header, which numpy pads so that one for fewer pictures has the same length."""
    description = {"descr": "|u1", "fortran_order": False, "shape": (count, side, side, 3)}
    np.lib.format.write_array_header_1_0(stream, description)  # type: ignore[no-untyped-call]


def _read(images: ImageSet, index: int) -> NDArray[np.uint8] | None:
    try:
        return images.samples[index].read()
    except InvalidImage:
        return None


@dataclass(frozen=True, eq=False)
class Deck:
    """Several stores shuffled into one: which crops a step takes is a function of the seed, the rank and the step.

    Every crop comes once before any comes again.

    Args:
        stores: at least one.
        batch: crops per rank and step.
        seed: of the order.
        rank: of this process.
        ranks: number of processes.
    """

    stores: Sequence[CropStore]
    batch: int
    seed: int = 0
    rank: int = 0
    ranks: int = 1

    def __len__(self) -> int:
        return sum(map(len, self.stores))

    def draw(self, step: int) -> NDArray[np.int64]:
        """``(batch,) int64`` numbers of crops, counted through all stores."""
        first = (step * self.ranks + self.rank) * self.batch
        places = np.arange(first, first + self.batch)
        rounds = places // len(self)
        chosen = np.empty(self.batch, np.int64)
        for number in np.unique(rounds):  # one, or two where a round ends
            here = rounds == number
            chosen[here] = _order(self.seed, int(number), len(self))[places[here] % len(self)]
        return chosen

    def crop(self, number: int) -> NDArray[np.uint8]:
        """``(side, side, 3) uint8`` RGB."""
        for store in self.stores:
            if number < len(store):
                pixels: NDArray[np.uint8] = store.pixels[number]
                return pixels
            number -= len(store)
        raise IndexError(number)

    def labels(self) -> NDArray[np.int64]:
        """``(len(self),) int64`` identity of each crop; the stores' identities do not mix. -1 where not known."""
        parts, above = [], 0
        for store in self.stores:
            parts.append(np.where(store.labels < 0, -1, store.labels + above))
            above += len(store.identities)
        return np.concatenate(parts)


@functools.lru_cache(maxsize=2)
def _order(seed: int, number: int, count: int) -> NDArray[np.int64]:
    """Of a round's crops. Kept, for thousands of draws are of one round, and those at its end of two."""
    order = np.random.default_rng([seed, number]).permutation(count)
    order.flags.writeable = False
    return order
