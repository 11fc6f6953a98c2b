"""People who do not exist, to learn from: a generator's pictures, as tars of aligned crops or of whole pictures.

SynthDistill (arXiv 2308.14852) teaches a small network with such crops and a strong teacher alone, without a
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

from ..artifact import atomic
from ..errors import InvalidData, InvalidImage
from ..evaluate.data.shelf import printable
from ..evaluate.data.tar_shards import TarShelf
from ..runtime.detector import Detector
from .detect.sources import ANNOTATIONS, GENERATED, Picture
from .kept import SURE, crop_of, whole_of

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


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What stands in a shard beside its pictures.

    Attributes:
        generator: its name.
        detector: SHA-256 of the model file that found the faces.
        first: seed of the first person.
        stop: one past the last.
        whole: whether whole pictures are kept, with annotations, and not crops.
    """

    generator: str
    detector: str
    first: int
    stop: int
    whole: bool = False

    def __str__(self) -> str:
        """A few words for an error; what came from a file may be anything."""
        by, finder = printable(self.generator[:80]), printable(self.detector[:12])
        return f"{'whole pictures' if self.whole else 'crops'} by {by}, faces by {finder}, from seed {self.first} on"


@dataclass(frozen=True)
class People:
    """What is there after a run.

    Attributes:
        pictures: in the shards, old and new, of the seeds asked for: crops or whole ones.
        without_face: number of those seeds in whose pictures no face was found that was sure enough.
        made: pictures of this run.
        seconds: that they took.
    """

    pictures: int
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
    whole: bool = False,
    progress: Progress = lambda done, total: None,
) -> People:
    """Write the pictures of ``count`` seeds, a tar for every ``shard`` of them; a tar that is there stays.

    A tar is there whole or not at all, so the same call goes on where one stopped, and one with a greater ``count``
    adds people. ``person_000042.png`` is who the generator answers to seed 42; where no face is found, it is missing.
    Whole pictures are ``person_000042.jpg``, and each tar has their ``annotations.json``, as ``scenes label`` reads it.

    Args:
        generator: draws them.
        detector: finds the faces. A crop is of the surest of a picture, at 112 x 112 on the ArcFace template; a whole
            picture is annotated with every face of :data:`pocketface.train.kept.FOUND` on, and left out if none is of
            :data:`pocketface.train.kept.SURE`.
        out: folder of the tars; several processes may fill it from different ``first`` on.
        count: of seeds, at least 1.
        first: seed to begin with, a multiple of ``shard``.
        shard: seeds of a tar.
        whole: keep whole pictures, to train a detector with, and not crops.
        progress: told after each seed that was not there.

    Raises:
        InvalidData: a bad ``count`` or ``first``, a folder with other pictures, or by another generator or detector, a
            damaged tar, or a shard in which no face was found.
        UnsupportedModel: the generator or the detector fails.
        OutputError: the folder cannot be written to, or the disk is full.
    """
    if count < 1 or first < 0 or first % shard:
        raise InvalidData(
            f"{count} people from seed {first} on; expected 1 or more and a first seed that {shard} divides"
        )
    stop = first + count
    origins = [
        Origin(generator.name, detector.artifact.sha256, begin, min(begin + shard, stop), whole)
        for begin in range(first, stop, shard)
    ]
    standing = {origin: found for origin in origins if (found := _standing(out, origin)) is not None}
    todo = [origin for origin in origins if origin not in standing]
    seeds, done, begun = sum(len(_seeds(origin)) for origin in todo), itertools.count(1), time.perf_counter()
    new = sum(_write(out, origin, generator, detector, lambda: progress(next(done), seeds)) for origin in todo)
    pictures = new + sum(standing.values())
    return People(pictures, count - pictures, new, time.perf_counter() - begun)


def _seeds(origin: Origin) -> range:
    return range(origin.first, origin.stop)


def _stem(origin: Origin) -> str:
    return f"people_{origin.first:06d}"


def _name(origin: Origin, seed: int) -> str:
    return f"person_{seed:06d}.{'jpg' if origin.whole else 'png'}"


def _standing(out: Path, wanted: Origin) -> int | None:
    """How many of the people wanted stand in their tar; None if there is none, or one with fewer seeds.

    Raises:
        InvalidData: the tar is damaged, of other pictures, or by another generator or detector.
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
        raise InvalidData(f"{path}: {found}; asked for {wanted}; give another folder, or remove it")
    if found.stop < wanted.stop:
        return None
    return len({_name(wanted, seed) for seed in _seeds(wanted)} & set(shelf.names()))


def _write(out: Path, origin: Origin, generator: Generator, detector: Detector, tell: Callable[[], None]) -> int:
    """Make a shard; returns the number of pictures."""
    keep, listed = whole_of if origin.whole else crop_of, list[Picture]()
    with atomic(out / f"{_stem(origin)}.tar") as temporary, tarfile.open(temporary, "w") as tar:
        _add(tar, f"{_stem(origin)}.json", msgspec.json.encode(origin))
        for seed in _seeds(origin):
            if kept := keep(generator.person(seed), detector):
                _add(tar, _name(origin, seed), kept.encoded)
                listed.append(Picture(GENERATED, _name(origin, seed), kept.faces))
            tell()
        if not listed:
            raise InvalidData(
                f"{detector.artifact.path}: finds no face{f' of score {SURE}' if origin.whole else ''} in any picture "
                f"of seeds {origin.first} to {origin.stop - 1}; name a trained detector"
            )
        if origin.whole:
            _add(tar, ANNOTATIONS, msgspec.json.encode(listed))
    return len(listed)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """A member without an owner or a time, so that the same people are the same bytes."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
