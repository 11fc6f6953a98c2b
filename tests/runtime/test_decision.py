"""From a cosine to a sentence, and what may be compared at all."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from pocketface.contract import Calibration, Recognition, Threshold
from pocketface.errors import EmbeddingMismatch
from pocketface.runtime.analyzer import FaceAnalyzer
from pocketface.runtime.decision import decide
from pocketface.runtime.embedder import Embedder
from pocketface.runtime.embedding import Embedding, compare

THRESHOLDS = tuple(
    Threshold(far=far, score=score, score_interval=(score - 0.01, score + 0.01), tar=0.9)
    for far, score in ((1e-2, 0.25), (1e-3, 0.375), (1e-4, 0.5))
)
CALIBRATION = Calibration(
    thresholds=THRESHOLDS,
    data="faces",
    data_fingerprint="ab" * 32,
    genuine=10,
    impostors=100,
    identities=5,
    backend="onnxruntime",
)
CALIBRATED = Recognition(embedding_size=4, calibration=CALIBRATION)


@pytest.mark.parametrize(
    ("cosine", "far", "sentence"),
    [
        (0.9, 1e-4, "same person at FAR 1e-4: cosine 0.9000 >= 0.5000"),
        (0.5, 1e-4, "same person at FAR 1e-4: cosine 0.5000 >= 0.5000"),
        (0.4, 1e-3, "same person at FAR 1e-3: cosine 0.4000 >= 0.3750"),
        (0.3, 1e-2, "same person at FAR 1e-2: cosine 0.3000 >= 0.2500"),
        (0.2, None, "not the same person: cosine 0.2000 < 0.2500, at FAR 1e-2"),
    ],
)
def test_the_strictest_threshold_that_is_reached_decides(cosine, far, sentence):
    decision = decide(cosine, CALIBRATED)
    assert (decision.far, str(decision), decision.calibrated) == (far, sentence, True)
    assert [decision.same_at(f) for f in (1e-2, 1e-3, 1e-4, 1e-5)] == [
        cosine >= 0.25,
        cosine >= 0.375,
        cosine >= 0.5,
        False,
    ]


def test_without_thresholds_a_cosine_is_no_decision():
    decision = decide(0.9, Recognition(embedding_size=4))
    assert not decision.calibrated
    assert not decision.same_at(0.5)
    assert str(decision).startswith("cosine 0.9000; the model is not calibrated, so no threshold says")


def test_precisions_are_compared_only_if_they_were_shown_to_decide_alike():
    a = np.float32([1, 0])
    server, phone = Embedding(a, "f", "float32"), Embedding(a, "f", "int8")
    proven = Embedding(a, "f", "int8", compatible=("float32",))
    assert compare(phone, phone) == compare(server, proven) == compare(proven, server) == 1
    for one, other in ((server, phone), (phone, server), (Embedding(a, "f", "float16"), proven)):
        with pytest.raises(EmbeddingMismatch, match=r"were not shown to decide alike.*evaluate verification"):
            compare(one, other)
    with pytest.raises(EmbeddingMismatch, match="networks"):
        compare(server, Embedding(a, "g", "int8", compatible=("float32",)))


def test_the_analyzer_decides_with_the_thresholds_of_its_recognizer(detector_onnx, recognizer_onnx):
    task = msgspec.structs.replace(recognizer_onnx.contract.task, calibration=CALIBRATION, compatible=("float16",))
    contract = msgspec.structs.replace(recognizer_onnx.contract, task=task)
    embedder = Embedder(recognizer_onnx)
    embedder.contract, embedder.task = contract, task
    faces = FaceAnalyzer(detector_onnx, embedder).analyze(np.full((64, 64, 3), 255, np.uint8))
    assert faces[0].embedding.precision == "float32"
    assert faces[0].embedding.compatible == ("float16",)
    analyzer = FaceAnalyzer(detector_onnx, embedder)
    assert analyzer.decide(faces[0], faces[0]).same_at(1e-4)
