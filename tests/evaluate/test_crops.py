"""A picture becomes the crop that the recogniser was trained on, whichever template each of the two uses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pocketface.artifact import Artifact
from pocketface.contract import ARCFACE_TEMPLATE, Detection, InputSpec, ModelContract, Recognition
from pocketface.errors import InvalidImage, UnsupportedModel
from pocketface.evaluate.crops import NO_FACE, NOT_SQUARE, UNREADABLE, Cropper, main_face
from pocketface.evaluate.data import Image, Sample
from pocketface.evaluate.faces import bundled_portraits
from pocketface.runtime.align import align_face
from pocketface.runtime.backends import FakeBackend
from pocketface.runtime.detector import DetectedFace, Detector
from pocketface.runtime.embedder import Embedder

#: A template whose square lies inside the ArcFace crop, and turned a little, as another school of recognisers has it.
INNER = ((40.4, 59.1), (87.4, 58.9), (64.0, 82.0), (44.7, 105.6), (83.6, 105.4))


def artifact(task: Recognition | Detection, side: int) -> Artifact:
    names = ["embedding"] if isinstance(task, Recognition) else ["scores", "boxes", "landmarks", "rotation"]
    spec = InputSpec(name="image", layout="NCHW", height=side, width=side, dynamic_batch=True)
    values = {
        "model": "fake",
        "outputs": {n: n for n in names},
        "fingerprint": "ab" * 32,
        "weights": "",
        "trained": True,
    }
    return Artifact(Path("fake.onnx"), ModelContract(task=task, input=spec, **values), "0" * 64, 0)


def embedder(side: int = 112, template: object = ARCFACE_TEMPLATE) -> Embedder:
    task = Recognition(embedding_size=4, template=template)  # type: ignore[arg-type]
    return Embedder(artifact(task, side), backend=FakeBackend({}))


def sample(image: Image, aligned: bool) -> Sample:
    return Sample("a", lambda: image, aligned)


def arcface_crop(side: int) -> Image:
    portrait = bundled_portraits()[0]
    return align_face(portrait.image, portrait.landmarks, np.array(ARCFACE_TEMPLATE) * side / 112, (side, side))


def test_a_crop_that_fits_is_taken_as_it_is() -> None:
    crop = arcface_crop(112)
    taken = Cropper(embedder(), None)(sample(crop, aligned=True))
    assert taken is crop
    assert np.array_equal(taken, embedder().align(crop, np.array(ARCFACE_TEMPLATE)))


@pytest.mark.parametrize(
    ("side", "own", "template"), [(128, 112, ARCFACE_TEMPLATE), (256, 128, INNER), (112, 96, INNER)]
)
def test_an_aligned_crop_comes_to_lie_where_the_portrait_itself_would(side: int, own: int, template: object) -> None:
    """Cropped once from the portrait, or first to ArcFace's template and then to the network's: the same face."""
    portrait = bundled_portraits()[0]
    to_template = embedder(own, template)
    once = to_template.align(portrait.image, portrait.landmarks).astype(float)
    twice = Cropper(to_template, None)(sample(arcface_crop(side), aligned=True))
    assert isinstance(twice, np.ndarray)
    shifted = np.roll(once, 2, axis=1)  # two pixels amiss is what must not pass
    inside = (slice(20, -20), slice(20, -20))
    assert np.abs(twice - once)[inside].mean() < 6
    assert np.abs(twice - once)[inside].mean() < 0.6 * np.abs(twice - shifted)[inside].mean()


def test_what_cannot_be_a_crop_gives_its_reason() -> None:
    def unreadable() -> Image:
        raise InvalidImage("no")

    crop = Cropper(embedder(), None)
    assert crop(Sample("a", unreadable, True)) == UNREADABLE
    assert crop(sample(np.zeros((112, 96, 3), np.uint8), aligned=True)) == NOT_SQUARE


def found(*boxes: tuple[float, float, float, float]) -> list[DetectedFace]:
    points = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    return [
        DetectedFace(np.float32(box), 0.9, np.float32(np.array(box[:2]) + points * (np.array(box[2:]) - box[:2])), None)
        for box in boxes
    ]


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([(0, 0, 20, 20), (90, 90, 110, 110)], 1),  # as large, but in the middle
        ([(60, 60, 140, 140), (95, 95, 105, 105)], 0),  # in the middle, but small
        # 40² - 2 * 2 * 60² < 20² - 0: a larger face far away loses; by hand
        ([(139.5, 139.5, 179.5, 179.5), (89.5, 89.5, 109.5, 109.5)], 1),
        (
            [(99.5 - 30, 99.5 - 30, 99.5 + 50, 99.5 + 50), (99.5 - 35, 99.5 - 35, 99.5 + 35, 99.5 + 35)],
            0,
        ),  # 6000 > 4900
        (
            [(99.5 - 15, 99.5 - 15, 99.5 + 65, 99.5 + 65), (99.5 - 35, 99.5 - 35, 99.5 + 35, 99.5 + 35)],
            1,
        ),  # 3900 < 4900
    ],
)
def test_the_main_face_is_large_and_in_the_middle(boxes: list[tuple[float, ...]], expected: int) -> None:
    faces = found(*boxes)  # type: ignore[arg-type]
    assert main_face(faces, (200, 200)) is faces[expected]


def detector(score: float) -> Detector:
    (face,) = found((40, 40, 200, 200))
    answer = {
        "scores": np.full((1, 1), score, np.float32),
        "boxes": face.box[None, None],
        "landmarks": face.landmarks[None, None],
        "rotation": np.eye(3, dtype=np.float32)[None, None],
    }
    return Detector(artifact(Detection(), 256), backend=FakeBackend(answer))


def test_a_detector_that_fails_is_an_error_with_the_pictures_name() -> None:
    with pytest.raises(UnsupportedModel, match=r"^a: .*NaN or infinity in its scores"):
        Cropper(embedder(), detector(np.nan))(sample(np.zeros((256, 256, 3), np.uint8), aligned=False))


def test_other_pictures_go_through_the_detector() -> None:
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    finder = detector(0.9)
    expected = embedder().align(image, finder.detect(image)[0].landmarks)
    assert np.array_equal(Cropper(embedder(), finder)(sample(image, aligned=False)), expected)
    assert Cropper(embedder(), detector(0.1))(sample(image, aligned=False)) == NO_FACE
