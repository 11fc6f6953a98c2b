"""A picture with all that is known of its faces, and a memory-mapped store of many.

Decoding JPEG costs more than a step of a small network, so pictures are decoded once, to at most 640 pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ...artifact import atomic
from ...errors import InvalidData
from ...runtime.preprocess import letterbox

Floats = NDArray[np.float32]

PIXELS, INDEX = "pixels.u8", "index.npz"
LONGEST = 640


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and its faces, in pixels of the picture; ``(0, 0)`` is the centre of the top-left one.

    Attributes:
        name: of the file.
        source: of the data set it is from.
        image: ``(H, W, 3) uint8`` RGB.
        boxes: ``(n, 4)`` xyxy.
        ignore: ``(n,) bool``: not to be found, and nothing wrong with finding it.
        landmarks: ``(n, 5, 2)``, NaN where a face has none.
        rotations: ``(n, 3, 3)`` of :mod:`pocketface.runtime.pose`, NaN where a face has none.
    """

    name: str
    source: str
    image: NDArray[np.uint8]
    boxes: Floats
    ignore: NDArray[np.bool_]
    landmarks: Floats
    rotations: Floats

    def take(self, keep: NDArray[Any]) -> Scene:
        """The same picture with some of its faces."""
        parts = (self.boxes, self.ignore, self.landmarks, self.rotations)
        boxes, ignore, landmarks, rotations = (part[keep] for part in parts)
        return replace(self, boxes=boxes, ignore=ignore, landmarks=landmarks, rotations=rotations)

    def moved(self, image: NDArray[np.uint8], scale: float, x: float = 0.0, y: float = 0.0) -> Scene:
        """The faces where they are after scaling about the top-left corner and then shifting, over another image."""
        shift = np.array([x, y], np.float32)
        boxes = (self.boxes + 0.5) * scale - 0.5 + np.tile(shift, 2)
        landmarks = (self.landmarks + 0.5) * scale - 0.5 + shift
        return replace(self, image=image, boxes=boxes.astype(np.float32), landmarks=landmarks.astype(np.float32))


def scene(
    name: str,
    source: str,
    image: NDArray[np.uint8],
    boxes: Any,
    ignore: Any = None,
    landmarks: Any = None,
    rotations: Any = None,
) -> Scene:
    """A scene of whatever is known; what is not given is unknown."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    n = len(boxes)
    return Scene(
        name,
        source,
        image,
        boxes,
        np.zeros(n, bool) if ignore is None else np.asarray(ignore, bool),
        np.full((n, 5, 2), np.nan, np.float32) if landmarks is None else np.asarray(landmarks, np.float32),
        np.full((n, 3, 3), np.nan, np.float32) if rotations is None else np.asarray(rotations, np.float32),
    )


def limited(scene: Scene, longest: int = LONGEST) -> Scene:
    """The scene scaled down until no side is longer."""
    height, width = scene.image.shape[:2]
    share = longest / max(height, width)
    if share >= 1:
        return scene
    canvas, scale = letterbox(scene.image, (max(1, round(height * share)), max(1, round(width * share))))
    return scene.moved(canvas, scale)


def write_scenes(folder: Path, scenes: Iterable[Scene]) -> int:
    """Write a store; returns the number of scenes. Nothing is left of one that is interrupted.

    Raises:
        InvalidData: there are no scenes.
        OutputError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns: dict[str, list[Any]] = {key: [] for key in (*_FACE, "name", "source", "shape", "faces")}
    with atomic(folder / PIXELS) as unfinished, unfinished.open("wb") as file:
        for one in scenes:
            file.write(np.ascontiguousarray(one.image).tobytes())
            for key in _FACE:
                columns[key].append(getattr(one, key))
            for key, value in zip(("name", "source", "shape", "faces"), _row(one), strict=True):
                columns[key].append(value)
        if not columns["name"]:
            raise InvalidData(f"not one scene to put into {folder}: no picture of the data could be used")
    joined = {key: np.concatenate(columns.pop(key)) for key in _FACE}
    with atomic(folder / INDEX) as unfinished, unfinished.open("wb") as file:
        np.savez(file, **joined, **{key: np.array(values) for key, values in columns.items()})
    return len(columns["name"])


_FACE = ("boxes", "ignore", "landmarks", "rotations")


def _row(one: Scene) -> tuple[str, str, tuple[int, ...], int]:
    return one.name, one.source, one.image.shape[:2], len(one.boxes)


class SceneStore:
    """Scenes of a folder, read as they are asked for.

    Raises:
        InvalidData: the folder holds no store, or a damaged one.
    """

    def __init__(self, folder: Path) -> None:
        try:
            with np.load(folder / INDEX, allow_pickle=False) as index:
                self._index = {key: index[key] for key in index.files}
            self._pixels = np.memmap(folder / PIXELS, np.uint8, "r")
            sizes = self._index["shape"].astype(np.int64).prod(axis=1) * 3
            self._first = np.concatenate([[0], np.cumsum(sizes)])
            self._face = np.concatenate([[0], np.cumsum(self._index["faces"])])
        except (OSError, KeyError, ValueError, BadZipFile) as e:
            raise InvalidData(f"{folder}: not a store of scenes: {e}; make one with pocketface scenes label") from e
        if self._first[-1] != len(self._pixels) or self._face[-1] != len(self._index["boxes"]):
            raise InvalidData(f"{folder}: {INDEX} and {PIXELS} do not belong together; make the store again")

    def __len__(self) -> int:
        """Number of scenes."""
        return len(self._index["name"])

    def __getitem__(self, i: int) -> Scene:
        """A scene; its image is a view of the file."""
        height, width = map(int, self._index["shape"][i])
        image = self._pixels[self._first[i] : self._first[i + 1]].reshape(height, width, 3)
        faces = slice(self._face[i], self._face[i + 1])
        boxes, ignore, landmarks, rotations = (self._index[key][faces] for key in _FACE)
        name, source = (str(self._index[key][i]) for key in ("name", "source"))
        return Scene(name, source, image, boxes, ignore, landmarks, rotations)

    def __iter__(self) -> Iterator[Scene]:
        """All scenes in their order."""
        return (self[i] for i in range(len(self)))

    @property
    def names(self) -> list[str]:
        """Of the files."""
        return [str(name) for name in self._index["name"]]

    @property
    def sources(self) -> list[str]:
        """Of the data sets they are from."""
        return [str(source) for source in self._index["source"]]
