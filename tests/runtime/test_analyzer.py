"""The whole pipeline: the faces that the detector found, each with the embedding of its own crop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pocketface.artifact import Artifact
from pocketface.contract import Detection, ModelContract
from pocketface.errors import InvalidImage
from pocketface.runtime.analyzer import FaceAnalyzer
from pocketface.runtime.backends import FakeBackend
from pocketface.runtime.detector import Detector
from pocketface.runtime.embedder import Embedder
from pocketface.runtime.embedding import compare

Image = np.ndarray


@pytest.fixture
def image() -> Image:
    return np.random.default_rng(0).integers(0, 256, (32, 96, 3), np.uint8)


@pytest.fixture
def three_faces(
    contract_of: Callable[..., ModelContract], artifact_of: Callable[..., Artifact], recognizer_onnx: Artifact
) -> Detector:
    """Finds faces at x = 64, 0 and 32 in a picture of 32 x 96, in falling order of score."""
    template = np.array(recognizer_onnx.contract.task.template, np.float32)
    shifts = np.array([[0, 0], [32, 0], [64, 0]], np.float32)
    outputs = {
        "scores": np.array([[0.7, 0.6, 0.9]], np.float32),
        "boxes": np.concatenate([shifts, shifts + 32], axis=1)[None],
        "landmarks": (template + shifts[:, None])[None],
    }
    contract = contract_of(Detection(), height=32, width=96, outputs={n: n for n in outputs})
    return Detector(artifact_of(contract), backend=FakeBackend(outputs))


def test_each_face_has_the_embedding_of_its_own_crop(
    three_faces: Detector, recognizer_onnx: Artifact, image: Image
) -> None:
    embedder = Embedder(recognizer_onnx)
    faces = FaceAnalyzer(three_faces, embedder).analyze(image)
    assert [round(face.score, 4) for face in faces] == [0.9, 0.7, 0.6]
    for face, left in zip(faces, (64, 0, 32), strict=True):
        own = embedder.embed(image[:, left : left + 32])[0]
        np.testing.assert_allclose(face.embedding.vector, own, atol=1e-6)
        np.testing.assert_array_equal(face.box, [left, 0, left + 32, 32])
        assert face.embedding.fingerprint == recognizer_onnx.contract.fingerprint
        assert compare(face.embedding, face.embedding) == pytest.approx(1)


def test_crops_go_through_the_engine_in_one_batch(
    three_faces: Detector, recognizer_onnx: Artifact, image: Image
) -> None:
    fake = FakeBackend(lambda feeds: {"embedding": np.ones((len(feeds["image"]), 48), np.float32)})
    FaceAnalyzer(three_faces, Embedder(recognizer_onnx, backend=fake)).analyze(image)
    assert [feeds["image"].shape[0] for feeds in fake.feeds] == [3]


def test_threshold_and_limit_are_the_detectors(three_faces: Detector, recognizer_onnx: Artifact, image: Image) -> None:
    analyzer = FaceAnalyzer(three_faces, recognizer_onnx)
    assert len(analyzer.analyze(image, score_threshold=0.65)) == 2
    assert [round(face.score, 4) for face in analyzer.analyze(image, max_faces=1)] == [0.9]


def test_paths_will_do(detector_onnx: Artifact, recognizer_onnx: Artifact) -> None:
    analyzer = FaceAnalyzer(str(detector_onnx.path), recognizer_onnx.path)
    faces = analyzer.analyze(np.full((64, 64, 3), 255, np.uint8))
    assert len(faces) == 1
    assert faces[0].embedding.vector.shape == (48,)
    assert faces[0].pose is not None


def test_no_face_is_an_empty_list(detector_onnx: Artifact, recognizer_onnx: Artifact) -> None:
    fake = FakeBackend({})
    analyzer = FaceAnalyzer(Detector(detector_onnx), Embedder(recognizer_onnx, backend=fake))
    assert analyzer.analyze(np.zeros((64, 64, 3), np.uint8)) == []
    assert fake.feeds == []


def test_what_is_not_a_picture_is_refused(detector_onnx: Artifact, recognizer_onnx: Artifact) -> None:
    with pytest.raises(InvalidImage):
        FaceAnalyzer(detector_onnx, recognizer_onnx).analyze(np.zeros((64, 64), np.uint8))
