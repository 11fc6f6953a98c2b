"""InsightFace's ``.rec`` and ``.idx``: aligned crops and who they show, in MXNet's RecordIO; nothing is unpickled.

A ``.idx`` is text, a line ``key<TAB>offset`` for each record. A record is, little-endian: the magic number, a word with
its kind in the upper 3 bits and its length in the lower 29, that many bytes, and zeros up to a multiple of 4. Data that
contains the magic number at such a multiple is cut there into parts of kinds 1 (first), 2 and 3 (last), and the magic
number left out; kind 0 is whole. The data begins with flag (uint32), label (float32), id and id2 (uint64); a flag above
0 says how many float32 labels follow in place of the one. The rest is an encoded picture.

In InsightFace's sets record 0 has no picture and two labels: below the first, from 1 on, are the keys of pictures; from
there up to the second those of identities, whose records have no picture either, and two labels from, to: the keys of
their pictures.
Sources: dmlc-core ``include/dmlc/recordio.h``, MXNet ``python/mxnet/recordio.py``, InsightFace
``recognition/arcface_torch/dataset.py``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import InvalidData
from ..evaluate.data.assemble import Entry, assemble
from ..evaluate.data.samples import ImageSet
from ..evaluate.data.shelf import Read, Span, named
from ..runtime.images import MAX_BYTES

_MAGIC = struct.pack("<I", 0xCED7230A)
_WORDS = struct.Struct("<4sI")
_HEADER = struct.Struct("<IfQQ")
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_LENGTH = (1 << 29) - 1
_MOST_LABELS = 1 << 12  # a picture with landmarks has tens
_MOST_PARTS = 1 << 12
_LONGEST_LINE = 64


@dataclass(frozen=True)
class _Record:
    """One record: its labels, and where its picture lies, in one part or several."""

    labels: tuple[float, ...]
    picture: tuple[Span, ...]

    @property
    def identity(self) -> int:
        label = self.labels[0]
        if not (np.isfinite(label) and label >= 0 and label == int(label)):
            raise ValueError(f"its label is {label}, expected the number of an identity")
        return int(label)


@dataclass(frozen=True)
class Parts:
    """Bytes that RecordIO cut where they contained its magic number."""

    spans: tuple[Span, ...]

    def __call__(self) -> bytes:
        """The bytes as they were.

        Raises:
            InvalidImage: as a span does.
        """
        return _MAGIC.join(span() for span in self.spans)


def holds_records(path: Path) -> bool:
    """Whether :func:`open_rec` is the one to open a path."""
    return path.suffix == ".rec" or (path / "train.rec").is_file()


def open_rec(path: Path, *, strict: bool = False) -> ImageSet:
    """Open the pictures of a ``.rec``; its ``.idx`` stands beside it.

    A record that is damaged, or labelled with no identity, is left out and named in ``problems``. Pictures are called
    by their keys, with zeros in front, and identities by their numbers. All are aligned crops.

    Args:
        path: the ``.rec`` file, or a folder with a ``train.rec``.
        strict: whether to stop at a fault instead.

    Raises:
        InvalidData: one of the files is missing or is not what its name says, there is no sound picture in it, or with
            ``strict`` any fault.
    """
    path = path / "train.rec" if path.is_dir() else path
    index = path.with_suffix(".idx")
    if missing := [str(file) for file in (path, index) if not file.is_file()]:
        raise InvalidData(f"{' and '.join(missing)}: no such file; a .rec is read by the .idx beside it")
    problems: list[str] = []
    places = _read_index(index, problems)
    entries: list[Entry] = []
    identities: dict[int, int] = {}
    bookkeeping: dict[int, tuple[float, ...]] = {}
    damaged: list[str] = []
    for key, record in _records(path, places, damaged):
        if not record.picture and len(record.labels) == 2:
            bookkeeping[key] = record.labels
            continue
        try:
            entries.append(Entry(f"{key:09d}", _read(record.picture), str(record.identity)))
            identities[key] = record.identity
        except ValueError as e:
            damaged.append(f"{key} ({e})")
    if damaged:
        problems.append(f"{len(damaged)} records are damaged and left out: {named(damaged)}")
    problems += _contradictions(identities, bookkeeping, len(places))
    return assemble(path.name, entries, aligned=True, problems=problems, strict=strict)


def _read_index(path: Path, problems: list[str]) -> dict[int, int]:
    """Key -> offset, by ascending key."""
    places: dict[int, int] = {}
    bad, twice = 0, []
    try:
        with path.open("rb") as file:
            while line := file.readline(_LONGEST_LINE):
                fields = line.split()
                if len(fields) != 2 or not all(field.isdigit() and len(field) < 19 for field in fields):
                    bad += bool(fields)
                    continue
                key, offset = map(int, fields)
                twice += [key] if key in places else []
                places[key] = offset
    except OSError as e:
        raise InvalidData(f"{path}: cannot be read: {e.strerror or e}") from e
    if not places:
        raise InvalidData(f"{path}: not an .idx, expected lines of two numbers, key and offset")
    if bad:
        problems.append(f"{path.name}: {bad} lines are not two numbers and are skipped")
    if twice:
        problems.append(f"{path.name}: {len(twice)} keys are there twice, the last counts: {named(twice)}")
    return dict(sorted(places.items()))


def _records(path: Path, places: dict[int, int], damaged: list[str]) -> Iterator[tuple[int, _Record]]:
    """The sound records in the order of their keys; notes the others."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            for key, offset in places.items():
                try:
                    record = _record(path, file, offset, size)
                except (ValueError, struct.error) as e:
                    damaged.append(f"{key} ({e})")
                else:
                    yield key, record
    except OSError as e:
        raise InvalidData(f"{path}: cannot be read: {e.strerror or e}") from e


def _record(path: Path, file: BinaryIO, offset: int, size: int) -> _Record:
    """Read what stands before the picture; the sizes that it claims are checked before anything is read by them."""
    parts = list(_parts(file, offset, size))
    start, length = parts[0]
    file.seek(start)
    if length < _HEADER.size:
        raise ValueError(f"{length} bytes are too short for its header")
    count, label, _, _ = _HEADER.unpack(file.read(_HEADER.size))
    ahead = _HEADER.size + 4 * count
    if count > _MOST_LABELS or ahead > length:
        raise ValueError(f"{length} bytes cannot hold its {count} labels")
    labels: tuple[float, ...] = struct.unpack(f"<{count}f", file.read(4 * count)) if count else (label,)
    spans = [Span(path, start + ahead, length - ahead), *(Span(path, *part) for part in parts[1:])]
    total = sum(span.size for span in spans)
    if total > MAX_BYTES:
        raise ValueError(f"its picture has {total} bytes, at most {MAX_BYTES} are read")
    return _Record(labels, tuple(spans) if total or len(spans) > 1 else ())


def _parts(file: BinaryIO, offset: int, size: int) -> Iterator[tuple[int, int]]:
    """Start and length of each part of the record at an offset."""
    for number in range(_MOST_PARTS):
        if offset + _WORDS.size > size:
            raise ValueError(f"it would begin at byte {offset}, and the file ends at {size}")
        file.seek(offset)
        magic, word = _WORDS.unpack(file.read(_WORDS.size))
        kind, length = word >> 29, word & _LENGTH
        if magic != _MAGIC or kind not in ((_MIDDLE, _LAST) if number else (_WHOLE, _FIRST)):
            raise ValueError(f"no record begins at byte {offset}")
        offset += _WORDS.size
        if offset + length > size:
            raise ValueError(f"it would end at byte {offset + length}, and the file ends at {size}")
        yield offset, length
        if kind in (_WHOLE, _LAST):
            return
        offset += -(-length // 4) * 4
    raise ValueError(f"it has more than {_MOST_PARTS} parts")


def _read(spans: tuple[Span, ...]) -> Read:
    if not spans:
        raise ValueError("it has no picture")
    return spans[0] if len(spans) == 1 else Parts(spans)


def _contradictions(identities: dict[int, int], bookkeeping: dict[int, tuple[float, ...]], pictures: int) -> list[str]:
    """What the records without picture say otherwise than those with one."""
    problems = []
    if 0 in bookkeeping:
        # Sets of more than 2 ** 24 pictures do not fit a float32 exactly, so it is compared as one.
        promised, there = bookkeeping.pop(0)[0], len(identities)
        if np.float32(there + 1) != np.float32(promised):
            problems.append(f"record 0 announces {promised - 1:.0f} pictures, {there} are sound")
    wrong, seen = [], 0
    for key, (first, last) in bookkeeping.items():
        if not (0 <= first <= last < math.inf and seen + last - first <= pictures):
            wrong.append(key)  # a picture is in one range, so together they are no longer than the set
            continue
        seen += int(last - first)
        owners = {identities[k] for k in range(int(first), int(last)) if k in identities}
        wrong += [key] if len(owners) > 1 else []
    if wrong:
        problems.append(f"{len(wrong)} identities' records are no range of keys or mix people: {named(wrong)}")
    return problems
