"""Embeddings have length 1, keep their order in any batch, and are compared only within one network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketface.artifact import Artifact
from pocketface.contract import ModelContract, Recognition
from pocketface.errors import (
    EmbeddingMismatch,
    InvalidContract,
    InvalidGeometry,
    InvalidImage,
    InvalidModel,
    UnsupportedModel,
)
from pocketface.runtime.align import align_face
from pocketface.runtime.backends import FakeBackend
from pocketface.runtime.embedder import Embedder
from pocketface.runtime.embedding import Embedding, compare


def crops(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), np.uint8)


def expected(images: np.ndarray) -> np.ndarray:
    """What the tiny recogniser computes, normalised, in float64."""
    flat = images.astype(np.float64).transpose(0, 3, 1, 2).reshape(-1, 3, 4, 8, 4, 8).mean((3, 5)).reshape(-1, 48) - 100
    return flat / np.sqrt((flat**2).sum(1, keepdims=True))


@pytest.fixture
def embedder_of(
    contract_of: Callable[..., ModelContract], artifact_of: Callable[..., Artifact]
) -> Callable[..., Embedder]:
    """An embedder whose engine gives the same row for every crop."""

    def make(row: list[float], **task: object) -> Embedder:
        contract = contract_of(Recognition(**{"embedding_size": len(row), **task}), dynamic_batch=True)
        fake = FakeBackend(lambda feeds: {"embedding": np.tile(np.array(row, np.float16), (len(feeds["image"]), 1))})
        return Embedder(artifact_of(contract), backend=fake)

    return make


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 33])
def test_embeddings_are_the_models_and_have_length_one(recognizer_onnx: Artifact, count: int) -> None:
    vectors = Embedder(recognizer_onnx, threads=1).embed(crops(count))
    assert vectors.shape == (count, 48)
    assert vectors.dtype == np.float32
    if count:
        np.testing.assert_allclose(vectors, expected(crops(count)), atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float64), axis=1), 1, atol=1e-6)


def test_one_crop_or_a_list_will_do(recognizer_onnx: Artifact) -> None:
    embedder = Embedder(recognizer_onnx.path)
    together = embedder.embed(crops(3))
    np.testing.assert_array_equal(embedder.embed(list(crops(3))), together)
    np.testing.assert_array_equal(embedder.embed([np.asfortranarray(crop) for crop in crops(3)]), together)
    np.testing.assert_allclose(embedder.embed(crops(3)[1]), together[1:2], atol=1e-6)
    assert embedder.embed([]).shape == (0, 48)


@pytest.mark.parametrize("normalized", [True, False])
def test_length_is_one_whatever_the_graph_leaves(embedder_of: Callable[..., Embedder], normalized: bool) -> None:
    vectors = embedder_of([3, 0, -4], normalized=normalized).embed(crops(2))
    np.testing.assert_allclose(vectors, [[0.6, 0, -0.8]] * 2, atol=1e-6)
    assert vectors.dtype == np.float32


@pytest.mark.parametrize("bad", [[1, np.nan], [np.inf, 1]])
def test_an_answer_that_is_no_number_is_an_error(embedder_of: Callable[..., Embedder], bad: list[float]) -> None:
    with pytest.raises(UnsupportedModel, match="NaN or infinity in its embedding on fake"):
        embedder_of(bad).embed(crops(1))


def test_an_embedding_without_a_direction_is_an_error(embedder_of: Callable[..., Embedder]) -> None:
    with pytest.raises(UnsupportedModel, match="an embedding of zeros, which has no direction"):
        embedder_of([0, 0]).embed(crops(1))


@pytest.mark.parametrize("scale", [1e-30, 1e19, 1e38])
def test_no_length_overflows_or_vanishes(
    scale: float, contract_of: Callable[..., ModelContract], artifact_of: Callable[..., Artifact]
) -> None:
    contract = contract_of(Recognition(embedding_size=2, normalized=False), dynamic_batch=True)
    row = np.array([[3 * scale, -1 * scale]], np.float32)
    embedder = Embedder(artifact_of(contract), backend=FakeBackend(lambda feeds: {"embedding": row}))
    np.testing.assert_allclose(embedder.embed(crops(1)), [[3 / 10**0.5, -1 / 10**0.5]], rtol=1e-6)


def test_an_embedding_of_another_length_is_an_error(embedder_of: Callable[..., Embedder]) -> None:
    with pytest.raises(InvalidContract, match=r"an embedding of shape \(2, 3\), expected \(2, 512\)"):
        embedder_of([1, 2, 3], embedding_size=512).embed(crops(2))


@pytest.mark.parametrize(
    ("wrong", "came"),
    [
        (np.zeros((2, 112, 112, 3), np.uint8), r"uint8 \(2, 112, 112, 3\)"),
        (np.zeros((32, 32, 3)), r"float64 \(1, 32, 32, 3\)"),
        (np.zeros((2, 3, 32, 32), np.uint8), r"uint8 \(2, 3, 32, 32\)"),
        (np.zeros((32, 32), np.uint8), r"uint8 \(32, 32\)"),
        ([np.zeros((32, 32, 3), np.uint8), np.zeros((16, 32, 3), np.uint8)], "crops of different shapes"),
        (None, "object"),
        ("face.jpg", "<U8"),
    ],
)
def test_what_is_not_a_crop_is_refused(recognizer_onnx: Artifact, wrong: object, came: str) -> None:
    with pytest.raises(InvalidImage, match=rf"{came}.*use align\(\)"):
        Embedder(recognizer_onnx).embed(wrong)


def test_align_puts_landmarks_where_this_network_wants_them(recognizer_onnx: Artifact) -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 80, 3), np.uint8)
    embedder = Embedder(recognizer_onnx)
    template = np.array(embedder.contract.task.template)
    np.testing.assert_array_equal(embedder.align(image, template + np.array([7, 9])), image[9 : 9 + 32, 7 : 7 + 32])
    turned = template @ [[0.8, 0.9], [-0.9, 0.8]] + np.array([50, 20])
    np.testing.assert_array_equal(embedder.align(image, turned), align_face(image, turned, template, (32, 32)))
    with pytest.raises(InvalidGeometry):
        embedder.align(image, np.full((5, 2), 7.0))


def test_only_a_recogniser_with_a_contract_is_opened(detector_onnx: Artifact, tmp_path: Path) -> None:
    with pytest.raises(InvalidContract, match="a model for detection, expected one for recognition"):
        Embedder(detector_onnx)
    (tmp_path / "bare.onnx").write_bytes(detector_onnx.path.read_bytes())
    with pytest.raises(InvalidModel, match="no contract inside it or beside it"):
        Embedder(tmp_path / "bare.onnx")


class TestCompare:
    def test_is_the_cosine(self) -> None:
        a, b = (v / np.linalg.norm(v) for v in np.random.default_rng(0).normal(size=(2, 512)).astype(np.float32))
        expected = float(a.astype(np.float64) @ b.astype(np.float64))
        assert compare(Embedding(a, "f"), Embedding(b, "f")) == pytest.approx(expected, abs=1e-6)
        assert compare(Embedding(a, "f"), Embedding(-a, "f")) == pytest.approx(-1)
        assert -1 <= compare(Embedding(a * 1.0001, "f"), Embedding(a, "f")) <= 1

    def test_refuses_embeddings_of_different_networks(self) -> None:
        a = Embedding(np.ones(1, np.float32), "a" * 64)
        with pytest.raises(EmbeddingMismatch, match=r"networks a{12} and b{12} cannot be compared"):
            compare(a, Embedding(a.vector, "b" * 64))
