"""Make the scenes to train a detector on: ``pocketface scenes label``.

Boxes are the data set's. Landmarks and head pose are taught: by FaceMesh where a face is large enough for it and it is
sure, by hand where a portrait is marked by hand, and the data set's own landmarks stay where neither is to be had.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidData
from ...evaluate.faces import bundled_portraits
from ...runtime.boxes import iou
from .holdout import held_out
from .mesh import FORTY_NINE, FaceMesh, Floats, as_shape, canonical, five_of_49, five_of_mesh, outline
from .posefit import pose_from_points, pose_from_shape
from .scenes import Scene, limited, scene, write_scenes
from .sources import ANNOTATIONS, PORTRAITS, SHARDS, read_portraits, read_set, read_tars

#: Faces with a shorter side are not shown to FaceMesh.
SMALLEST = 40.0
#: FaceMesh is believed from this confidence on, if its outline and the annotated box overlap by this IoU.
SURE, SAME = 0.7, 0.4


class Teacher:
    """FaceMesh, and the shape of a head that looks straight ahead, from FaceMesh on the portraits in the package."""

    def __init__(self, facemesh: Path) -> None:
        self.mesh = FaceMesh(facemesh)
        found = [self.mesh.find(face.image, face.box, face.landmarks[:2]) for face in bundled_portraits()]
        self.shape = canonical([mesh.points for mesh in found if mesh.confidence >= SURE])

    def teach(self, one: Scene, told: Counter[str]) -> Scene:
        """The scene with landmarks and rotations wherever the teacher is sure of a face."""
        landmarks, rotations = one.landmarks.copy(), one.rotations.copy()
        sides = (one.boxes[:, 2:] - one.boxes[:, :2]).min(axis=1, initial=np.inf)
        for i in np.flatnonzero((sides >= SMALLEST) & ~one.ignore):
            eyes = None if np.isnan(landmarks[i]).any() else landmarks[i, :2]
            mesh = self.mesh.find(one.image, one.boxes[i], eyes)
            sure = mesh.confidence >= SURE and iou(outline(mesh.points)[None], one.boxes[i : i + 1])[0, 0] >= SAME
            told["sure" if sure else "unsure"] += 1
            if sure:
                landmarks[i] = five_of_mesh(mesh.points)
                rotations[i] = pose_from_shape(self.shape, as_shape(mesh.points))
        return replace(one, landmarks=landmarks, rotations=rotations)

    def portrait(self, name: str, image: NDArray[np.uint8], points: Floats) -> Scene:
        """A scene of one face marked by hand; its box is the head's outline under the pose that fits the points."""
        rotation, camera = pose_from_points(self.shape[list(FORTY_NINE)], points)
        head = np.column_stack([self.shape, np.ones(len(self.shape))]) @ camera.T
        return scene(name, PORTRAITS, image, outline(head), None, five_of_49(points)[None], rotation[None])


def labelled(data: Sequence[Path], teacher: Teacher | None, problems: list[str], told: Counter[str]) -> Iterator[Scene]:
    """All scenes of the folders: tars with ``annotations.json``, people, marked portraits, or any detection data set.

    Raises:
        InvalidData: a folder holds none of these, or marked portraits and there is no teacher.
    """
    for folder in data:
        if (folder / "allage_49.npz").is_file():
            if teacher is None:
                raise InvalidData(f"{folder}: marked portraits need --facemesh, for the shape of a head")
            scenes = (teacher.portrait(*one) for one in read_portraits(folder, problems))
        else:
            in_tars = (folder / ANNOTATIONS).is_file() or any(folder.glob(SHARDS))
            read = read_tars if in_tars else read_set
            scenes = (teacher.teach(one, told) if teacher else one for one in read(folder, problems))
        for one in scenes:
            told[f"{one.source} {'held out' if held_out(one.name) else 'training'}"] += 1
            yield limited(one)


@dataclass(frozen=True)
class Labelled:
    """What came of it.

    Attributes:
        scenes: number of scenes in the store.
        counts: of scenes by source and part, and of faces that the teacher was sure or unsure of.
        problems: a sentence for each picture that was left out.
    """

    scenes: int
    counts: dict[str, int]
    problems: list[str]


def label(
    data: Sequence[Path],
    out: Path,
    facemesh: Path | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> Labelled:
    """Write the store of all scenes of the folders.

    Args:
        data: folders, see :func:`labelled`.
        out: folder of the store.
        facemesh: MediaPipe's ``face_landmark.tflite``.
        progress: told the number of scenes after each.

    Raises:
        InvalidData: a folder holds nothing to learn from, or marked portraits and there is no ``facemesh``.
        OutputError: the store cannot be written.
    """
    problems, told = list[str](), Counter[str]()
    teacher = Teacher(facemesh) if facemesh else None

    def counted() -> Iterator[Scene]:
        for count, one in enumerate(labelled(data, teacher, problems, told), 1):
            yield one
            progress(count)

    return Labelled(write_scenes(out, counted()), dict(told), problems)
