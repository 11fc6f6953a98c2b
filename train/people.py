"""People who do not exist, to learn from: aligned crops by a generator, as tars of PNGs.

SynthDistill (arXiv 2308.14852) teaches a small network with such pictures and a strong teacher alone, without a
picture of a real person.
"""

from __future__ import annotations

import io
import itertools
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..artifact import atomic
from ..errors import InvalidData, InvalidGeometry, InvalidImage
from ..evaluate.data.shelf import printable
from ..evaluate.data.tar_shards import TarShelf
from ..runtime.align import align_face
from ..runtime.detector import Detector

#: Seeds of a whole shard.
SHARD = 500
#: Told how many seeds are done, and of how many.
Progress = Callable[[int, int], None]


class Generator(Protocol):
    """Draws people who do not exist."""

    @property
    def name(self) -> str:
        """Which generator it is; with the same name, a seed is the same person."""

    def person(self, seed: int) -> NDArray[np.uint8]:
        """``(H, W, 3) uint8`` RGB."""


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in a shard beside its crops.

    Attributes:
        generator: its name.
        detector: SHA-256 of the model file that aligned the faces.
        first: seed of the first person.
        stop: one past the last.
    """

    generator: str
    detector: str
    first: int
    stop: int


@dataclass(frozen=True)
class People:
    """What is there after a run.

    Attributes:
        crops: in the shards, old and new, of the seeds asked for.
        without_face: number of those seeds in whose pictures no face was found.
        made: crops of this run.
        seconds: that they took.
    """

    crops: int
    without_face: int
    made: int
    seconds: float


def write_people(
    generator: Generator,
    detector: Detector,
    out: Path,
    *,
    count: int,
    first: int = 0,
    shard: int = SHARD,
    progress: Progress = lambda done, total: None,
) -> People:
    """Write the crops of ``count`` seeds, a tar for every ``shard`` of them; a tar that is there stays.

    A tar is there whole or not at all, so the same call goes on where one stopped, and one with a greater ``count``
    adds people. ``person_000042.png`` is who the generator answers to seed 42; where no face is found, it is missing.

    Args:
        generator: draws them.
        detector: aligns the surest face of each picture, at 112 x 112 on the ArcFace template.
        out: folder of the tars; several processes may fill it from different ``first`` on.
        count: of seeds, at least 1.
        first: seed to begin with, a multiple of ``shard``.
        shard: seeds of a tar.
        progress: told after each seed that was not there.

    Raises:
        InvalidData: a bad ``count`` or ``first``, a folder with crops by another generator or detector, a damaged tar,
            or a shard in which no face was found.
        UnsupportedModel: the generator or the detector fails.
        OutputError: the folder cannot be written to, or the disk is full.
    """
    if count < 1 or first < 0 or first % shard:
        raise InvalidData(
            f"{count} people from seed {first} on; expected 1 or more and a first seed that {shard} divides"
        )
    stop = first + count
    origins = [
        Origin(generator.name, detector.artifact.sha256, begin, min(begin + shard, stop))
        for begin in range(first, stop, shard)
    ]
    standing = {origin: crops for origin in origins if (crops := _standing(out, origin)) is not None}
    todo = [origin for origin in origins if origin not in standing]
    seeds, done, begun = sum(len(_seeds(origin)) for origin in todo), itertools.count(1), time.perf_counter()
    new = sum(_write(out, origin, generator, detector, lambda: progress(next(done), seeds)) for origin in todo)
    crops = new + sum(standing.values())
    return People(crops, count - crops, new, time.perf_counter() - begun)


def _seeds(origin: Origin) -> range:
    return range(origin.first, origin.stop)


def _stem(origin: Origin) -> str:
    return f"people_{origin.first:06d}"


def _name(seed: int) -> str:
    return f"person_{seed:06d}.png"


def _standing(out: Path, wanted: Origin) -> int | None:
    """How many of the people wanted stand in their tar; None if there is none, or one with fewer seeds.

    Raises:
        InvalidData: the tar is damaged, or by another generator or detector.
    """
    path = out / f"{_stem(wanted)}.tar"
    if not path.exists():
        return None
    shelf = TarShelf(path, [path])
    try:
        read = shelf.find(f"{_stem(wanted)}.json")
        found = msgspec.json.decode(read() if read else b"", type=Origin)
    except (InvalidImage, msgspec.MsgspecError, UnicodeError) as e:
        raise InvalidData(f"{path}: does not tell who made it ({e}); give another folder, or remove it") from e
    if msgspec.structs.replace(found, stop=wanted.stop) != wanted:
        by, aligned = printable(found.generator[:80]), printable(found.detector[:12])
        raise InvalidData(
            f"{path}: by {by}, aligned by the detector {aligned}, from seed {found.first} on; "
            f"asked for {wanted.generator}, {wanted.detector[:12]}, {wanted.first}; give another folder, or remove it"
        )
    return None if found.stop < wanted.stop else len({_name(seed) for seed in _seeds(wanted)} & set(shelf.names()))


def _write(out: Path, origin: Origin, generator: Generator, detector: Detector, tell: Callable[[], None]) -> int:
    """Make a shard; returns the number of crops."""
    crops = 0
    with atomic(out / f"{_stem(origin)}.tar") as temporary, tarfile.open(temporary, "w") as tar:
        _add(tar, f"{_stem(origin)}.json", msgspec.json.encode(origin))
        for seed in _seeds(origin):
            crop = _crop(generator.person(seed), detector)
            if crop is not None:
                _add(tar, _name(seed), _png(crop))
                crops += 1
            tell()
        if not crops:
            raise InvalidData(
                f"{detector.artifact.path}: finds no face in any picture of seeds {origin.first} to {origin.stop - 1}; "
                "name a trained detector"
            )
    return crops


def _crop(picture: NDArray[np.uint8], detector: Detector) -> NDArray[np.uint8] | None:
    faces = detector.detect(picture, max_faces=1)
    try:
        return align_face(picture, faces[0].landmarks) if faces else None
    except InvalidGeometry:
        return None


def _png(crop: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(crop).save(file, "png", compress_level=3)
    return file.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """A member without an owner or a time, so that the same people are the same bytes."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
