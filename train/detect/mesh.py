"""FaceMesh as a teacher: five exact landmarks, the face's outline and its pose from 468 points in three dimensions.

The network is MediaPipe's ``face_landmark.tflite`` (Apache-2.0), which its Python wheel up to 0.10.21 carries. It wants
a square around an upright face; it is run twice, first on a guess and then on the square around what it found.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import MissingExtra, UnsupportedModel
from .posefit import pose_from_shape

Floats = NDArray[np.float64]
Points = NDArray[np.floating[Any]]

SIDE = 192
#: The square is so many times the longer side of the face's box. Source: MediaPipe's face_landmark graphs.
MARGIN = 1.5
#: Points of the mesh that lie on the 68 of 300-W without its jaw and without the inner corners of the mouth: 49.
FORTY_NINE = (
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),  # brows
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),  # nose
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # outline of the lips
    *(82, 13, 312, 317, 14, 87),  # their inner side
)
_FOREHEAD, _CHIN = 10, 152
#: Corners of the eyes, of the mouth, and the sides of the head: left and right in the picture.
_PAIRS = ((33, 263), (133, 362), (61, 291), (234, 454))


class Mesh(NamedTuple):
    """A face of the picture.

    Attributes:
        points: (468, 3): x and y in pixels of the picture, depth in the same unit, smaller where nearer.
        confidence: 0..1 that there is a face.
    """

    points: Floats
    confidence: float


class FaceMesh:
    """The teacher, open and ready.

    Raises:
        MissingExtra: no interpreter of TFLite files is installed.
        UnsupportedModel: the file is another network.
    """

    def __init__(self, path: Path) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as e:
            raise MissingExtra("ai-edge-litert", "litert", "label faces by FaceMesh") from e
        self._engine = Interpreter(str(path), num_threads=1)
        self._engine.allocate_tensors()
        shapes = [tuple(d["shape"]) for d in (*self._engine.get_input_details(), *self._engine.get_output_details())]
        if shapes != [(1, SIDE, SIDE, 3), (1, 1, 1, 1404), (1, 1, 1, 1)]:
            raise UnsupportedModel(f"{path}: tensors {shapes}; expected face_landmark.tflite of MediaPipe")

    def find(
        self, image: NDArray[np.uint8], box: NDArray[np.floating[Any]], eyes: NDArray[np.floating[Any]] | None
    ) -> Mesh:
        """The mesh of the face in a box (4,) xyxy; ``eyes`` (2, 2), the left one first, tell how it is tilted."""
        centre, side = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max())
        across = np.array([1.0, 0.0]) if eyes is None else np.asarray(eyes[1] - eyes[0], np.float64)
        points, _ = self._run(image, centre, side * MARGIN, across)
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        across = points[[362, 263], :2].mean(axis=0) - points[[33, 133], :2].mean(axis=0)
        return Mesh(*self._run(image, (low + high) / 2, float((high - low).max()) * MARGIN, across))

    def _run(self, image: NDArray[np.uint8], centre: Floats, side: float, across: Floats) -> tuple[Floats, float]:
        x = across / max(float(np.linalg.norm(across)), 1e-9) * (side / SIDE)
        axes = np.array([x, [-x[1], x[0]]]).T  # columns: one pixel of the square to the right, and one down
        origin = centre - axes @ np.full(2, (SIDE - 1) / 2)
        # Pillow takes corners of pixels for whole numbers, we take their centres.
        shift = origin + 0.5 - axes @ (0.5, 0.5)
        picture = Image.fromarray(image)
        zoom = max(1, int(side / SIDE))
        if zoom > 1:  # averaged first: sampling alone would alias
            picture, axes, shift = picture.reduce(zoom), axes / zoom, shift / zoom
        matrix = (*axes[0], shift[0], *axes[1], shift[1])
        crop = picture.transform((SIDE, SIDE), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        inputs, outputs = self._engine.get_input_details(), self._engine.get_output_details()
        self._engine.set_tensor(inputs[0]["index"], np.asarray(crop, np.float32)[None] / 255)
        self._engine.invoke()
        found, flag = (self._engine.get_tensor(o["index"]).astype(np.float64).reshape(-1) for o in outputs)
        mesh, axes = found.reshape(468, 3), axes * zoom
        points = np.column_stack([mesh[:, :2] @ axes.T + origin, mesh[:, 2] * side / SIDE])
        return points, float(1 / (1 + np.exp(-flag[0])))


def five_of_mesh(points: Floats) -> Floats:
    """(5, 2) of (468, 2 or 3): eyes halfway between their corners, tip of the nose, corners of the mouth."""
    eyes = [points[[33, 133], :2].mean(axis=0), points[[362, 263], :2].mean(axis=0)]
    return np.stack([*eyes, *points[[4, 61, 291], :2]])


def five_of_49(points: Points) -> Points:
    """The same of (49, 2) points of 300-W: the means of the corners of each eye, 30, 48 and 54 of its 68."""
    return np.stack([points[[19, 22]].mean(axis=0), points[[25, 28]].mean(axis=0), *points[[13, 31, 37]]])


def outline(points: Floats) -> Floats:
    """The box (4,) xyxy around a mesh: from the top of the forehead to the chin, from ear to ear."""
    return np.concatenate([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])


def as_shape(points: Floats) -> Floats:
    """A mesh in axes of :mod:`pocketface.runtime.pose`: y up, z to the viewer."""
    return points * (1, -1, -1)


def canonical(meshes: list[Floats]) -> Floats:
    """The shape (468, 3) of a head that looks straight ahead: the mean of many, made symmetric.

    Upright is where the top of the forehead and the chin are equally near, as in MediaPipe's own canonical face.
    """
    shapes = [_normalised(as_shape(mesh)) for mesh in meshes]
    mean = shapes[0]
    for _ in range(5):
        mean = _normalised(np.mean([shape @ pose_from_shape(mean, shape).T for shape in shapes], axis=0))
    mean = _levelled(mean)
    mirror = mean * (-1, 1, 1)
    partner = np.linalg.norm(mean[:, None] - mirror[None], axis=2).argmin(axis=1)
    return _levelled(_normalised((mean + mirror[partner]) / 2))


def _normalised(shape: Floats) -> Floats:
    centred = shape - shape.mean(axis=0)
    normalised: Floats = centred / np.sqrt((centred**2).sum(axis=1).mean())
    return normalised


def _levelled(shape: Floats) -> Floats:
    """Turned so that pairs of points lie along x and chin and forehead along y, and moved to their middle."""
    left, right = (shape[list(side)] for side in zip(*_PAIRS, strict=True))
    x = (right - left).sum(axis=0)
    x /= np.linalg.norm(x)
    up = shape[_FOREHEAD] - shape[_CHIN]
    y = up - x * (up @ x)
    y /= np.linalg.norm(y)
    middle = (left + right).mean(axis=0) / 2
    turned: Floats = (shape - middle) @ np.stack([x, y, np.cross(x, y)]).T
    return turned
