"""Sub-centre ArcFace and the cleaning of a set by it.

With K = 3 centres an identity's hard and wrongly labelled pictures gather around centres of their own; the pictures
far from the centre that most of them chose are then dropped, and a network is trained anew with one centre.
Source: "Sub-center ArcFace" (ECCV 2020), InsightFace ``recognition/subcenter_arcface``.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact import atomic
from ..errors import InvalidData
from ..evaluate.data.labels import read_rows

#: Centres for each identity.
CENTRES = 3
#: Pictures farther than this from their identity's dominant centre are dropped.
MAX_ANGLE_DEG = 75.0
_BLOCK = 4096  # pictures at a time: their centres are copied

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Cleaning:
    """What a cleaning found.

    Attributes:
        kept: (N,) bool.
        angle_deg: (N,) angle of each picture to the dominant centre of its identity.
        dominant: (C,) the centre that most pictures of an identity are nearest to; 0 for one without pictures.
    """

    kept: NDArray[np.bool_]
    angle_deg: NDArray[np.float64]
    dominant: NDArray[np.int64]


def clean(
    embedding: Floats, label: NDArray[np.int64], centres: Floats, max_angle_deg: float = MAX_ANGLE_DEG
) -> Cleaning:
    """Find the pictures that are too far from the dominant centre of their identity.

    Args:
        embedding: (N, D) of the network that was trained with the centres, any length.
        label: (N,) identity of each picture, 0..C-1.
        centres: (C, K, D) of the head, any length.
        max_angle_deg: a picture beyond it is dropped.

    Raises:
        InvalidData: shapes that do not fit together, a label without centre, or values that are not finite.
    """
    _check(embedding, label, centres)
    near = np.concatenate([_own(embedding, label, centres, start) for start in range(0, len(label), _BLOCK)])  # (N, K)
    votes = np.zeros(centres.shape[:2], np.int64)
    np.add.at(votes, (label, near.argmax(1)), 1)
    dominant = votes.argmax(1)
    cosine = near[np.arange(len(label)), dominant[label]]
    angle_deg = np.degrees(np.arccos(cosine.clip(-1, 1)))
    return Cleaning(angle_deg <= max_angle_deg, angle_deg, dominant)


def write_cleaning(path: Path, names: Sequence[str], identities: Sequence[str], cleaning: Cleaning) -> None:
    """Write a CSV with columns name, identity, angle_deg, kept (1 or 0): first what was dropped, farthest first.

    Raises:
        OutputError: it cannot be written.
    """
    order = np.lexsort((-cleaning.angle_deg, cleaning.kept))
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("name", "identity", "angle_deg", "kept"))
        for i in order:
            table.writerow((names[i], identities[i], f"{cleaning.angle_deg[i]:.2f}", int(cleaning.kept[i])))


def read_kept(path: Path) -> frozenset[str]:
    """Names of the pictures that a cleaning kept.

    Raises:
        InvalidData: it cannot be read, or is not what ``write_cleaning`` writes.
    """
    kept = set()
    for line, row in read_rows(path, needed=("name", "kept")):
        if row["kept"] not in ("0", "1"):
            raise InvalidData(f"{path}, line {line}: expected 1 or 0 for kept, got {row['kept']!r}")
        if row["kept"] == "1":
            kept.add(row["name"])
    return frozenset(kept)


def _own(embedding: Floats, label: NDArray[np.int64], centres: Floats, start: int) -> NDArray[np.float64]:
    """Cosines of a block of pictures to the centres of their own identities, (block, K)."""
    block = slice(start, start + _BLOCK)
    return np.asarray(np.einsum("nd,nkd->nk", _unit(embedding[block]), _unit(centres[label[block]])))


def _unit(x: Floats) -> NDArray[np.float64]:
    x = x.astype(np.float64)
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12))


def _check(embedding: Floats, label: NDArray[np.int64], centres: Floats) -> None:
    fits = embedding.ndim == 2 and centres.ndim == 3 and embedding.shape[1] == centres.shape[2]
    if not fits or label.shape != embedding.shape[:1] or not len(label):
        shapes = f"{embedding.shape}, {label.shape} and {centres.shape}"
        raise InvalidData(f"expected embeddings (N, D), labels (N,) and centres (C, K, D), got {shapes}")
    if label.min() < 0 or label.max() >= len(centres):
        raise InvalidData(f"labels {label.min()}..{label.max()} for {len(centres)} identities, expected 0 and up")
    if not (np.isfinite(embedding).all() and np.isfinite(centres).all()):
        raise InvalidData("embeddings or centres are not finite; the training that made them diverged")
