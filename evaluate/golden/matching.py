"""Embeddings and what is decided by them: length 1, cosine, thresholds, the gate before, and integers beneath."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from ...artifact import Artifact
from ...contract import InputSpec, ModelContract, Recognition
from ...runtime.analyzer import Face
from ...runtime.backends import FakeBackend
from ...runtime.backends.integers import Steps, dequantize, quantize
from ...runtime.decision import decide
from ...runtime.embedder import Embedder
from ...runtime.embedding import Embedding, compare
from ...runtime.gate import Gate
from .pictures import Pictures
from .vectors import XYXY, Number, Struct, array, numbers


class Raw(Struct):
    """What a network answered for one crop."""

    embedding: tuple[Number, ...]


class Unit(Struct):
    """A direction."""

    embedding: tuple[float, ...]


class Told(Struct):
    """An embedding and what is known of its origin."""

    vector: tuple[float, ...]
    fingerprint: str
    precision: str = "float32"
    compatible: tuple[str, ...] = ()


class Comparing(Struct):
    """Two of them."""

    a: Told
    b: Told


class Cosine(Struct):
    """-1..1."""

    cosine: float


class Deciding(Struct):
    """A cosine of two faces, the task of the file that embedded them, and the FAR that somebody asks for."""

    cosine: float
    task: Recognition
    far: float


class Decided(Struct):
    """What it means; see ``runtime.decision.Decision``. ``same`` is its ``same_at(far)``, ``text`` its sentence."""

    calibrated: bool
    far: float | None
    threshold: float | None
    lenient: float | None
    same: bool
    text: str


class IntegerTensor(Struct):
    """Integers of a quantized tensor."""

    integers: tuple[int, ...]
    scale: float
    zero_point: int
    dtype: Literal["int8", "uint8", "int16"]


class FloatTensor(Struct):
    """Numbers for a quantized tensor."""

    numbers: tuple[float, ...]
    scale: float
    zero_point: int
    dtype: Literal["int8", "uint8", "int16"]


class Numbers(Struct):
    """float32."""

    numbers: tuple[float, ...]


class Integers(Struct):
    """Of the type that was asked for."""

    integers: tuple[int, ...]


class Gating(Struct):
    """A face's box and quality, and the least of both that a gate lets pass."""

    box: XYXY
    face_quality: Number | None
    quality: float
    side_px: float


class Gated(Struct):
    """Why the face is refused: in a word, and in a sentence; null if it may pass."""

    refused: Literal["size", "quality"] | None
    text: str | None


def embed(given: Raw, _: Pictures) -> Unit:
    """``Embedder.embed`` on an engine that answers as told."""
    vector = array(given.embedding).astype(np.float32)
    contract = ModelContract(
        model="golden",
        task=Recognition(embedding_size=len(vector), normalized=False),
        input=InputSpec(name="image", layout="NCHW", height=8, width=8),
        outputs={"embedding": "embedding"},
        fingerprint="0" * 64,
        weights="none",
        trained=False,
    )
    backend = FakeBackend({"embedding": vector[None]})
    embedder = Embedder(Artifact(Path("golden.onnx"), contract, "0" * 64, 0), backend=backend)
    return Unit(numbers(embedder.embed(np.zeros((1, 8, 8, 3), np.uint8))[0]))


def cosine(given: Comparing, _: Pictures) -> Cosine:
    """``embedding.compare``."""
    return Cosine(compare(_embedding(given.a), _embedding(given.b)))


def _embedding(told: Told) -> Embedding:
    return Embedding(np.array(told.vector, np.float32), told.fingerprint, told.precision, told.compatible)


def match(given: Deciding, _: Pictures) -> Decided:
    """``decision.decide``."""
    d = decide(given.cosine, given.task)
    return Decided(d.calibrated, d.far, d.threshold, d.lenient, d.same_at(given.far), str(d))


def to_numbers(given: IntegerTensor, _: Pictures) -> Numbers:
    """``backends.integers.dequantize``."""
    steps = Steps(given.scale, given.zero_point, np.dtype(given.dtype))
    return Numbers(numbers(dequantize({"x": np.array(given.integers, given.dtype)}, {"x": steps})["x"]))


def to_integers(given: FloatTensor, _: Pictures) -> Integers:
    """``backends.integers.quantize``."""
    steps = Steps(given.scale, given.zero_point, np.dtype(given.dtype))
    return Integers(numbers(quantize({"x": np.array(given.numbers, np.float32)}, {"x": steps})["x"]))


def gate(given: Gating, _: Pictures) -> Gated:
    """``Gate.refusal``."""
    quality = None if given.face_quality is None else float(given.face_quality)
    unit = Embedding(np.ones(1, np.float32), "0" * 64)
    face = Face(array(given.box).astype(np.float32), 1.0, np.zeros((5, 2), np.float32), None, unit, quality)
    text = Gate(given.quality, given.side_px).refusal(face)
    return Gated(None if text is None else "size" if text.startswith("too small") else "quality", text)
