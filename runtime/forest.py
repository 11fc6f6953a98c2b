"""A forest of regression trees in flat arrays: screens detected faces in microseconds, with numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidModel
from .detector import DetectedFace
from .landmark_features import FEATURES, landmark_features

_ARRAYS = {"roots": "i4", "feature": "i1", "threshold": "f4", "right": "i4", "value": "f4"}
_DEEPEST = 64  # levels; a tree that goes deeper is a fault


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees one after the other, each in preorder: a node's left child is the next node.

    Attributes:
        roots: ``(T,) int32`` where each tree begins.
        feature: ``(N,) int8`` that a node asks for; -1 for a leaf.
        threshold: ``(N,) float32``; a face goes left if its feature is at most this.
        right: ``(N,) int32`` the other child; of a leaf the leaf itself.
        value: ``(N,) float32`` of a leaf.
        names: of the features.
    """

    roots: NDArray[np.int32]
    feature: NDArray[np.int8]
    threshold: NDArray[np.float32]
    right: NDArray[np.int32]
    value: NDArray[np.float32]
    names: tuple[str, ...] = FEATURES

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(B, F) float32`` -> ``(B,)``, the mean of the leaves that all trees lead to."""
        at = np.broadcast_to(self.roots, (len(features), len(self.roots))).copy()  # (B, T)
        rows = np.arange(len(features))[:, None]
        for _ in range(_DEEPEST):
            asked = self.feature[at]
            inner = asked >= 0
            if not inner.any():
                break
            left = features[rows, np.maximum(asked, 0)] <= self.threshold[at]
            at = np.where(inner, np.where(left, at + 1, self.right[at]), at)
        mean: NDArray[np.float32] = self.value[at].mean(axis=1, dtype=np.float64).astype(np.float32)
        return mean

    def judge(self, faces: Sequence[DetectedFace]) -> NDArray[np.float32]:
        """``(B,)`` quality of detected faces, 0..1, from their boxes, landmarks and scores alone."""
        empty = np.empty((0, len(FEATURES)), np.float32)
        return self.predict(np.concatenate([empty, *(landmark_features(face)[None] for face in faces)]))

    def save(self, path: Path) -> None:
        """Write an ``.npz``; the caller sees to atomicity."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        with path.open("wb") as stream:
            np.savez_compressed(stream, names=np.array(self.names), **arrays)


def load_forest(path: Path) -> Forest:
    """Read a forest; nothing in the file is run, and every walk through it ends.

    Raises:
        InvalidModel: not a forest, a damaged one, or one that asks for other features.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _ARRAYS}
            names = tuple(map(str, file["names"].tolist()))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as e:
        raise InvalidModel(f"{path}: not a forest: {e}") from e
    if fault := _fault(arrays, names):
        raise InvalidModel(f"{path}: a damaged forest: {fault}")
    return Forest(names=names, **arrays)


def _fault(arrays: dict[str, NDArray[np.generic]], names: tuple[str, ...]) -> str | None:
    if names != FEATURES:
        return f"it asks for {len(names)} features, {', '.join(names[:3])}, ...; this release knows {len(FEATURES)}"
    if wrong := [n for n, kind in _ARRAYS.items() if arrays[n].ndim != 1 or arrays[n].dtype != np.dtype(kind)]:
        return f"{', '.join(wrong)} of another type or shape"
    roots, feature, right = (arrays[name].astype(np.int64) for name in ("roots", "feature", "right"))
    count, here = len(feature), np.arange(len(feature))
    if not len(roots) or any(len(arrays[name]) != count for name in ("threshold", "right", "value")):
        return "arrays of different lengths"
    inner = feature >= 0
    if feature.min() < -1 or feature.max() >= len(FEATURES) or roots.min() < 0 or roots.max() >= count:
        return "a feature or a root that there is not"
    if (right[inner] <= here[inner] + 1).any() or right.max() >= count or inner[-1]:
        return "a child that is not behind its parent"  # so no walk can go in circles
    if not np.isfinite(arrays["value"]).all() or not np.isfinite(arrays["threshold"]).all():
        return "a value that is no number"
    return None
