"""The faces that every export proves itself on: 48 portraits of people who do not exist.

They were generated, not photographed, so they may travel with the package. Boxes and landmarks beside them were
found by YuNet and looked at by a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from ..contract import FivePoints, ModelContract, Recognition
from ..errors import InvalidImage
from ..runtime.align import align_face
from ..runtime.images import load_image
from ..runtime.preprocess import letterbox

BUNDLED = Path(__file__).parent / "faces"
PEOPLE = Path(__file__).parent / "people"
#: Fewest faces that parity may be judged on.
FEWEST = 48

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Portrait:
    """A picture with one face.

    Attributes:
        name: of the file.
        image: ``(H, W, 3) uint8`` RGB.
        landmarks: ``(5, 2)`` in pixels of the picture.
        box: ``(4,)`` xyxy likewise.

    """

    name: str
    image: Image
    landmarks: npt.NDArray[np.float64]
    box: npt.NDArray[np.float64]


class _Annotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    box: tuple[float, float, float, float]
    landmarks: FivePoints


@cache
def bundled_portraits() -> tuple[Portrait, ...]:
    """The 48 bundled portraits, by name."""
    return load_portraits(BUNDLED)


def load_portraits(folder: Path) -> tuple[Portrait, ...]:
    """Portraits of a folder with a ``landmarks.json``.

    It maps a file's name to ``{"box": [x1, y1, x2, y2], "landmarks": [[x, y], ... five of them]}``.

    Raises:
        InvalidImage: there is no such file, it is malformed, or a picture in it cannot be read.

    """
    file = folder / "landmarks.json"
    try:
        found = msgspec.json.decode(file.read_bytes(), type=dict[str, _Annotation])
    except (OSError, msgspec.MsgspecError) as e:
        raise InvalidImage(f"{file}: expected the five landmarks of each picture in {folder}: {e}") from e
    return tuple(
        Portrait(name, load_image(folder / name), np.array(face.landmarks), np.array(face.box))
        for name, face in sorted(found.items())
    )


def bundled_people() -> tuple[tuple[str, Image], ...]:
    """Five generated people, three pictures of 256 x 256 of each: ``(name, picture)``.

    The name ends in the person's letter and the picture's number: ``person_a_2``. The second shows the person in
    another pose, the third in another light.
    """
    return tuple((file.stem, load_image(file)) for file in sorted(PEOPLE.glob("*.jpg")))


def inputs_for(contract: ModelContract, portraits: Sequence[Portrait]) -> Image:
    """The portraits as the model wants them: aligned for a recogniser, fitted for a detector.

    Returns:
        ``(N, h, w, 3) uint8`` RGB.
    """
    size = (contract.input.height, contract.input.width)
    if isinstance(contract.task, Recognition):
        return np.stack([align_face(p.image, p.landmarks, contract.task.template, size) for p in portraits])
    return np.stack([letterbox(p.image, size)[0] for p in portraits])
