"""Where quality scores come from: a CSV, the length of the embedding, an output of the model, or a forest."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..contract import Recognition
from ..errors import InvalidContract, InvalidData, InvalidImage
from ..runtime.detector import Detector
from ..runtime.embedder import Embedder
from ..runtime.forest import Forest
from ..runtime.session import Session
from .crops import Cropper, main_face
from .data import ImageSet
from .discard import ListedImpostors

Floats = NDArray[np.float64]
#: Names that a contract may give an output that says how good a picture is.
OUTPUTS = ("quality", "recognizability")
_AT_ONCE = 8


def read_qualities(file: Path) -> dict[str, float]:
    """A CSV with the columns name and quality; other columns are not looked at.

    Raises:
        InvalidData: unreadable, without these columns, a name twice, or a quality that is no finite number.
    """
    found: dict[str, float] = {}
    for line, row in _rows(file, ("name", "quality")):
        name = row["name"]
        if name in found:
            raise InvalidData(f"{file}: line {line}: {name!r} a second time; expected each picture once")
        found[name] = _number(file, line, row, "quality")
    if not found:
        raise InvalidData(f"{file}: no line below its header; expected the quality of each picture")
    return found


def qualities_of(images: ImageSet, known: Mapping[str, float]) -> Floats:
    """``(N,)`` the quality of each picture by its name, ``-inf`` where it has none.

    Raises:
        InvalidData: not one picture has any.
    """
    values = np.array([known.get(sample.name, -math.inf) for sample in images.samples])
    if np.isneginf(values).all():
        ours, theirs = images.samples[0].name, next(iter(known), "nothing")
        raise InvalidData(f"no picture of {images.name} has a quality: it has {ours!r}, the list {theirs!r}")
    return values


def model_qualities(images: ImageSet, embedder: Embedder, detector: Detector | None) -> Floats:
    """``(N,)`` what the model itself says of each picture, ``-inf`` where there is no crop of it.

    Raises:
        InvalidContract: the contract names no such output, or the file gives something else than a number.
    """
    meaning = next((name for name in OUTPUTS if name in embedder.contract.outputs), None)
    if meaning is None:
        raise InvalidContract(f"{embedder.artifact.path}: its contract names no output {' or '.join(OUTPUTS)}")
    session, crop = Session(embedder.artifact, Recognition, None, None), Cropper(embedder, detector)
    values = np.full(len(images), -math.inf)
    for start in range(0, len(images), _AT_ONCE):
        crops = {i: crop(sample) for i, sample in enumerate(images.samples[start : start + _AT_ONCE], start)}
        good = {i: image for i, image in crops.items() if not isinstance(image, str)}
        if good:
            found = session.run(np.stack(list(good.values())))[meaning]
            session.require_finite(meaning, found)
            if found.size != len(good):
                raise InvalidContract(f"{embedder.artifact.path}: {meaning} of shape {found.shape}, expected one each")
            values[list(good)] = found.reshape(-1)
    return values


def forest_qualities(images: ImageSet, forest: Forest, detector: Detector) -> Floats:
    """``(N,)`` what a forest says of the main face that a detector finds in each picture, ``-inf`` where there is none.

    Pictures that are aligned crops are searched too: the forest knows a face by its box and landmarks alone.

    Raises:
        UnsupportedModel: the detector fails, or answers NaN.
    """
    values = np.full(len(images), -math.inf)
    for i, sample in enumerate(images.samples):
        try:
            image = sample.read()
        except InvalidImage:
            continue
        if faces := detector.detect(image):
            values[i] = forest.judge([main_face(faces, (image.shape[0], image.shape[1]))])[0]
    return values


class ScoredPairs:
    """Pairs from a CSV that already have scores and qualities.

    Attributes:
        name: of the file.
        genuine, quality: ``(G,)`` of the genuine pairs.
        impostors: scores and qualities of the others.
        pictures: name of a picture -> its quality, where the file names pictures.
    """

    def __init__(
        self, name: str, rows: Sequence[tuple[bool, float, float]], pictures: Mapping[str, float] | None
    ) -> None:
        same = np.array([same for same, _, _ in rows], bool)
        scores, quality = (np.array([row[i] for row in rows], np.float64) for i in (1, 2))
        self.name, self.pictures = name, pictures
        self.genuine, self.quality = scores[same], quality[same]
        self.impostors = ListedImpostors(scores[~same], quality[~same])


def read_scored_pairs(file: Path) -> ScoredPairs:
    """A CSV with the columns same (1 or 0), score, and quality of the pair or quality_a and quality_b of its pictures.

    With the columns a and b, the names of the pictures, files can be compared picture by picture.

    Raises:
        InvalidData: unreadable, without these columns, no genuine or no impostor pair, a value that is no finite
            number, or a picture with two qualities.
    """
    rows, pictures = [], dict[str, float]()
    for line, row in _rows(file, ("same", "score")):
        if row["same"] not in ("0", "1"):
            raise InvalidData(f"{file}: line {line}: same is {row['same']!r}, expected 1 or 0")
        columns = ("quality",) if "quality" in row else ("quality_a", "quality_b")
        values = [_number(file, line, row, column) for column in columns]
        rows.append((row["same"] == "1", _number(file, line, row, "score"), min(values)))
        for name, value in zip((row.get("a"), row.get("b")), values, strict=False):
            if name and len(values) == 2 and pictures.setdefault(name, value) != value:
                raise InvalidData(f"{file}: line {line}: {name!r} has the quality {value}, before {pictures[name]}")
    if not 0 < sum(same for same, _, _ in rows) < len(rows):
        raise InvalidData(f"{file}: {len(rows)} pairs; expected genuine pairs (same 1) and impostor pairs (same 0)")
    return ScoredPairs(file.name, rows, pictures or None)


def is_scored(file: Path) -> bool:
    """Whether a file is such a CSV: its header has a score."""
    if file.suffix != ".csv" or not file.is_file():
        return False
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        return "score" in [column.strip() for column in next(csv.reader(lines), [])]


def _rows(file: Path, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and values of each line; a value that is missing is an empty text."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, restval="", skipinitialspace=True)
            if missing := [column for column in needed if column not in (reader.fieldnames or ())]:
                raise InvalidData(f"{file}: no column {', '.join(missing)}, only {', '.join(reader.fieldnames or ())}")
            for row in reader:
                yield reader.line_num, {key: value.strip() for key, value in row.items() if key is not None}
    except (OSError, UnicodeError, csv.Error) as e:
        raise InvalidData(f"{file}: cannot be read as CSV: {e}") from e


def _number(file: Path, line: int, row: Mapping[str, str], column: str) -> float:
    if column not in row:
        raise InvalidData(f"{file}: no column {column}; expected quality, or quality_a and quality_b")
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidData(f"{file}: line {line}: {column} is {row[column]!r}, expected a finite number")
    return value
