"""Read what an app produced: JSON, CSV or NPZ, with one entry for every golden picture.

- ``{"embeddings": {"person_000": [...], ...}}``; CSV: a name and the numbers; NPZ: ``names``, ``embeddings (N, D)``
- ``{"faces": {"person_000": [{"box": [x1, y1, x2, y2], "score": 0.9, "landmarks": [[x, y], ...]}, ...], ...}}``; CSV:
  one line per face, ``name, x1, y1, x2, y2[, score[, 10 numbers]]``, a name alone where there is none
- ``{"tensors": {"person_000": {"scores": [...], ...}, ...}}``, the model's outputs as they come; NPZ: ``names``, and
  every output by its name ``(N, ...)``

A name may have a suffix or not. A number that is not finite is ``null`` (or NaN) in JSON and ``nan`` in CSV.
"""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...contract import ModelContract, Recognition
from ...errors import InvalidData
from .golden import stem

#: Longest file that is read.
MAX_BYTES = 1 << 29
#: Fewest pictures that a diagnosis is made from.
FEWEST = 6


@dataclass(frozen=True)
class Observed:
    """An app's answers, in the order of the golden pictures that it has.

    Attributes:
        kind: ``embeddings``, ``faces`` or ``tensors``.
        names: of the pictures.
        values: one for each: ``(D,)``, or ``(n, 4 | 5 | 14 | 15)`` faces (box, score, landmarks), or meaning -> tensor.
        absent: golden pictures without an answer.
    """

    kind: str
    names: tuple[str, ...]
    values: tuple[Any, ...]
    absent: tuple[str, ...]


def read_observed(path: Path, contract: ModelContract, golden: Sequence[str]) -> Observed:
    """Read an app's answers to the golden pictures of these names.

    Raises:
        InvalidData: no such file, damaged, too large, a pickle inside, names that are no golden picture or come
            twice, too few of them, or numbers of another count than the model gives.
    """
    kind, found = _reader(path)(path, contract)
    by_name: dict[str, Any] = {}
    for name, value in found:
        if stem(name) in by_name:
            raise InvalidData(f"{path}: two answers for {name!r}, expected one for each picture")
        by_name[stem(name)] = value
    known = [stem(name) for name in golden]
    if unknown := sorted(by_name.keys() - set(known)):
        raise InvalidData(f"{path}: no golden picture is called {unknown[0]!r}; they are {known[0]} ... {known[-1]}")
    names = tuple(name for name in known if name in by_name)
    if len(names) < FEWEST:
        raise InvalidData(f"{path}: answers for {len(names)} of {len(known)} pictures, at least {FEWEST} are needed")
    values = tuple(_checked(path, name, kind, by_name[name], contract) for name in names)
    return Observed(kind, names, values, tuple(name for name in known if name not in by_name))


Found = tuple[str, list[tuple[str, Any]]]
Reader = Callable[[Path, ModelContract], Found]


def _reader(path: Path) -> Reader:
    if path.suffix not in _READERS:
        raise InvalidData(f"{path}: unknown kind of file {path.suffix!r}, expected {', '.join(_READERS)}")
    if not path.is_file():
        raise InvalidData(f"{path}: no such file")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise InvalidData(f"{path}: {size} bytes, at most {MAX_BYTES} are read")
    return _READERS[path.suffix]


def _json(path: Path, contract: ModelContract) -> Found:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as e:
        raise InvalidData(f"{path}: not JSON: {e}") from e
    kinds = [kind for kind in ("embeddings", "faces", "tensors") if isinstance(content, dict) and kind in content]
    if len(kinds) != 1 or not isinstance(content[kinds[0]], dict):
        raise InvalidData(f'{path}: expected {{"embeddings": {{name: [...]}}}}, or "faces" or "tensors" likewise')
    return kinds[0], list(content[kinds[0]].items())


def _csv(path: Path, contract: ModelContract) -> Found:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = [row for row in csv.reader(stream) if row and row[0].strip()]
    except (OSError, ValueError, csv.Error) as e:
        raise InvalidData(f"{path}: not a CSV file: {e}") from e
    rows = rows[1:] if rows and rows[0][0].strip().lower() == "name" else rows
    if isinstance(contract.task, Recognition):
        return "embeddings", [(row[0].strip(), row[1:]) for row in rows]
    faces: dict[str, list[Any]] = {}
    for row in rows:
        told = faces.setdefault(row[0].strip(), [])
        if any(cell.strip() for cell in row[1:]):
            told.append(row[1:])
    return "faces", list(faces.items())


def _npz(path: Path, contract: ModelContract) -> Found:
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {key: data[key] for key in data.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError, MemoryError) as e:
        raise InvalidData(f"{path}: not an NPZ of plain arrays: {e}") from e
    names = [str(name) for name in np.atleast_1d(arrays.pop("names", np.zeros(0, "U1")))]
    outputs = {tensor: meaning for meaning, tensor in contract.outputs.items()}
    if isinstance(contract.task, Recognition):
        outputs = {contract.outputs["embedding"]: "embeddings", "embedding": "embeddings", "embeddings": "embeddings"}
    kept = {key: value for key, value in arrays.items() if key in {*outputs, *outputs.values()}}
    for key, value in kept.items():
        if value.shape[:1] != (len(names),):
            raise InvalidData(f"{path}: {key} has shape {value.shape}, but there are {len(names)} names")
    if len(kept) == 1 and isinstance(contract.task, Recognition):
        return "embeddings", list(zip(names, *kept.values(), strict=True))
    if not kept:
        wanted = ", ".join(("embeddings",) if isinstance(contract.task, Recognition) else contract.outputs)
        raise InvalidData(f"{path}: holds {', '.join(arrays) or 'nothing'}; expected names and {wanted}")
    return "tensors", [(n, {outputs.get(k, k): v[i] for k, v in kept.items()}) for i, n in enumerate(names)]


_READERS: Mapping[str, Reader] = {".json": _json, ".csv": _csv, ".npz": _npz}


def _checked(path: Path, name: str, kind: str, value: Any, contract: ModelContract) -> Any:
    where = f"{path}: {name}"
    if kind != "embeddings" and isinstance(contract.task, Recognition):
        raise InvalidData(f"{where}: {kind}, but the model is for recognition; expected embeddings")
    if kind == "embeddings":
        if not isinstance(contract.task, Recognition):
            raise InvalidData(f"{where}: an embedding, but the model is for detection; expected faces or tensors")
        return _numbers(where, value, contract.task.embedding_size)
    if kind == "faces":
        return _faces(where, value)
    if not isinstance(value, Mapping) or not value:
        raise InvalidData(f"{where}: expected output tensors by name")
    return {meaning: _numbers(f"{where}: {meaning}", tensor) for meaning, tensor in value.items()}


def _numbers(where: str, value: Any, count: int | None = None) -> NDArray[np.float64]:
    """A flat float64 array; None becomes NaN."""
    try:
        numbers = np.asarray(value, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError) as e:
        raise InvalidData(f"{where}: expected numbers: {e}") from e
    if count is not None and numbers.size != count:
        raise InvalidData(f"{where}: {numbers.size} numbers, the model gives {count}")
    return numbers


def _faces(where: str, value: Any) -> NDArray[np.float64]:
    """``(n, 15)``: box, score, landmarks; NaN where the app gave none."""
    if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
        raise InvalidData(f"{where}: expected a list of faces")
    rows = np.full((len(value), 15), np.nan)
    for i, face in enumerate(value):
        if isinstance(face, Mapping):
            if "box" not in face:
                raise InvalidData(f"{where}: a face without a box")
            rows[i, :4] = _numbers(f"{where}: box", face["box"], 4)
            rows[i, 4:5] = _numbers(f"{where}: score", [face.get("score")], 1)
            if face.get("landmarks") is not None:
                rows[i, 5:] = _numbers(f"{where}: landmarks", face["landmarks"], 10)
            continue
        numbers = _numbers(where, face)
        if numbers.size not in (4, 5, 15):
            raise InvalidData(f"{where}: {numbers.size} numbers for a face, expected a box, a score, 10 of landmarks")
        rows[i, : numbers.size] = numbers
    if not np.isfinite(rows[:, :4]).all():
        raise InvalidData(f"{where}: a box with NaN or infinity; leave such a face out, or dump the tensors instead")
    return rows
