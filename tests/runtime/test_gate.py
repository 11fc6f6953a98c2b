"""What a recogniser says of quality reaches the face, and a gate refuses with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pocketface.artifact import Artifact
from pocketface.contract import Detection, ModelContract, Recognition
from pocketface.errors import InvalidContract, UnsupportedModel
from pocketface.runtime.analyzer import Face, FaceAnalyzer
from pocketface.runtime.backends import FakeBackend
from pocketface.runtime.detector import Detector
from pocketface.runtime.embedder import Embedder
from pocketface.runtime.embedding import Embedding
from pocketface.runtime.gate import Gate

Make = Callable[..., Embedder]


@pytest.fixture
def judge_of(contract_of: Callable[..., ModelContract], artifact_of: Callable[..., Artifact]) -> Make:
    """An embedder whose network calls a crop as good as its first pixel is red."""

    def make(shape: tuple[int, ...] = (-1, 1), change: Callable[[np.ndarray], np.ndarray] = lambda q: q) -> Embedder:
        def answer(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            image = feeds["image"]
            quality = change(image[:, 0, 0, 0] / 255).reshape(shape).astype(np.float32)
            return {"embedding": np.full((len(image), 3), 2, np.float32), "q": quality}

        outputs = {"embedding": "embedding", "quality": "q"}
        contract = contract_of(Recognition(embedding_size=3), dynamic_batch=True, outputs=outputs)
        return Embedder(artifact_of(contract), backend=FakeBackend(answer))

    return make


def crops(reds: list[int]) -> np.ndarray:
    images = np.zeros((len(reds), 32, 32, 3), np.uint8)
    images[:, 0, 0, 0] = reds
    return images


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
@pytest.mark.parametrize("count", [0, 1, 8, 9])
def test_vectors_and_quality_come_from_one_run(judge_of: Make, shape: tuple[int, ...], count: int) -> None:
    embedder = judge_of(shape)
    reds = list(range(0, 25 * count, 25))
    vectors, quality = embedder.judge(crops(reds))
    np.testing.assert_array_equal(vectors, embedder.embed(crops(reds)))
    assert quality is not None
    assert quality.shape == (count,)
    np.testing.assert_allclose(quality, np.array(reds) / 255, atol=1e-6)
    assert len(embedder._session.backend.feeds) == 2 * -(-count // 8)  # judging took as many runs as embedding


def test_a_network_that_does_not_judge_says_none(recognizer_onnx: Artifact) -> None:
    vectors, quality = Embedder(recognizer_onnx).judge(crops([1, 2]))
    assert vectors.shape == (2, 48)
    assert quality is None


def test_a_quality_that_is_none_is_an_error(judge_of: Make) -> None:
    with pytest.raises(UnsupportedModel, match="NaN or infinity in its quality"):
        judge_of(change=lambda q: q * np.nan).judge(crops([3]))
    with pytest.raises(InvalidContract, match=r"quality of shape \(2, 2\), expected one for each crop"):
        judge_of((2, 2), lambda q: np.repeat(q, 2)).judge(crops([3, 4]))


def test_each_face_has_the_quality_of_its_own_crop(
    judge_of: Make, contract_of: Callable[..., ModelContract], artifact_of: Callable[..., Artifact]
) -> None:
    embedder = judge_of()
    template = np.array([[11, 15], [21, 15], [16, 20], [12, 26], [20, 26]], np.float32)
    contract = replace_template(embedder, template)
    embedder = Embedder(artifact_of(contract), backend=embedder._session.backend)
    shifts = np.array([[0, 0], [32, 0]], np.float32)
    outputs = {
        "scores": np.array([[0.7, 0.9]], np.float32),
        "boxes": np.concatenate([shifts, shifts + 32], axis=1)[None],
        "landmarks": (template + shifts[:, None])[None],
    }
    detector = Detector(
        artifact_of(contract_of(Detection(), height=32, width=64, outputs={n: n for n in outputs})),
        backend=FakeBackend(outputs),
    )
    image = np.zeros((32, 64, 3), np.uint8)
    image[0, 0, 0], image[0, 32, 0] = 51, 204
    right, left = FaceAnalyzer(detector, embedder).analyze(image)
    assert (right.quality, left.quality) == (pytest.approx(0.8), pytest.approx(0.2))


def replace_template(embedder: Embedder, template: np.ndarray) -> ModelContract:
    import msgspec

    points = tuple(map(tuple, template.tolist()))
    task = msgspec.structs.replace(embedder.task, template=points)
    return msgspec.structs.replace(embedder.contract, task=task)


def face(quality: float | None, width: float = 80, height: float = 100) -> Face:
    box = np.array([10, 20, 10 + width, 20 + height], np.float32)
    embedding = Embedding(np.ones(3, np.float32), "ab" * 32, "float32", ())
    return Face(box, 0.9, np.zeros((5, 2), np.float32), None, embedding, quality)


def test_a_gate_says_why() -> None:
    gate = Gate(quality=0.5, side_px=40)
    assert gate.refusal(face(0.5, 40)) is None
    assert gate.refusal(face(0.9, 39.5)) == "too small: 39.5 px, expected at least 40 px"
    assert gate.refusal(face(0.9, 90, 30)) == "too small: 30.0 px, expected at least 40 px"
    assert gate.refusal(face(0.25)) == "too hard to recognise: quality 0.25, expected at least 0.5"
    assert gate.refusal(face(None)) is None


def test_an_open_gate_lets_all_pass_but_what_is_no_number() -> None:
    assert Gate().refusal(face(0.0, 0)) is None
    assert Gate().refusal(face(float("nan"))) is not None
    assert Gate().refusal(replace(face(1.0), box=np.full(4, np.nan, np.float32))) is not None
