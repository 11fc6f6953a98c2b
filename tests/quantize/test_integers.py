"""Inputs and outputs in 8 bits: scale and zero point are the file's, and are applied in one place."""

from __future__ import annotations

from importlib import import_module

import msgspec
import numpy as np
import pytest

from pocketface.errors import InvalidContract, UnsupportedModel
from pocketface.quantize.pipeline import quantize_artifact
from pocketface.quantize.recipe import parse_recipe
from pocketface.runtime.backends import FakeBackend, open_backend
from pocketface.runtime.backends.integers import Steps, dequantize, quantize, steps_of
from pocketface.runtime.detector import Detector
from pocketface.runtime.embedder import Embedder
from pocketface.runtime.preprocess import to_tensor

RECOGNIZER, DETECTOR = "facelivtv2_xs", "mos_xs"


@pytest.fixture(scope="module")
def integers(job_for, tmp_path_factory):
    """A recogniser with int8 in and int8 out, and its job."""
    recipe = msgspec.structs.replace(parse_recipe("static_wi8_ai8"), io="int8")
    job = job_for(RECOGNIZER, "tflite", recipe)
    return quantize_artifact(job, tmp_path_factory.mktemp("int8")), job


def test_the_file_takes_and_gives_int8_and_its_contract_says_so(integers):
    from ai_edge_litert.interpreter import Interpreter

    made = integers[0].artifact
    interpreter = Interpreter(str(made.path))
    (fed,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (fed["dtype"], given["dtype"]) == (np.int8, np.int8)
    assert made.contract.input.dtype == "int8"
    assert made.path.name.endswith("_int8io.tflite")


@pytest.mark.parametrize("backend", ["litert", "tflite-runtime"])
def test_an_engine_gives_what_the_interpreter_does_with_integers_made_by_hand(integers, backend):
    package = {"litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}[backend]
    made, job = integers[0].artifact, integers[1]
    pixels = job.calibration.inputs[:1]
    interpreter = import_module(f"{package}.interpreter").Interpreter(str(made.path), num_threads=1)
    interpreter.allocate_tensors()
    (fed,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    (scale, zero), (unit, origin) = fed["quantization"], given["quantization"]
    by_hand = np.array([min(max(round(p / scale) + zero, -128), 127) for p in pixels.ravel().tolist()], np.int8)
    interpreter.set_tensor(fed["index"], by_hand.reshape(pixels.shape))
    interpreter.invoke()
    expected = unit * (interpreter.get_tensor(given["index"]).astype(np.float64) - origin)
    answer = open_backend(made, backend).run({"image": to_tensor(pixels, made.contract.input)})["embedding"]
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, expected, atol=1e-6)


def test_embeddings_have_length_1_and_the_parent_s_direction(integers):
    made, job = integers
    inputs = job.calibration.inputs[:6]
    ours, theirs = Embedder(made.artifact).embed(inputs), Embedder(job.parent).embed(inputs)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)
    assert (ours * theirs).sum(axis=1).min() > 0.93


def test_pixels_keep_all_of_their_levels(integers):
    """0..255 has 256 levels, and 8 bits have 256 steps: a range a little narrower would clip the lightest skin."""
    from ai_edge_litert.interpreter import Interpreter

    (fed,) = Interpreter(str(integers[0].artifact.path)).get_input_details()
    assert fed["quantization"] == (1.0, -128)


def test_feeds_are_rounded_to_the_nearest_step_and_clipped():
    steps = {"x": Steps(0.5, 3, np.dtype(np.int8))}
    values = np.array([0.0, 0.24, 0.26, -0.3, 1000, -1000], np.float32)
    fed = quantize({"x": values, "y": values}, steps)
    assert fed["x"].tolist() == [3, 3, 4, 2, 127, -128]
    assert fed["x"].dtype == np.int8
    assert fed["y"] is not None
    assert fed["y"].dtype == np.float32
    assert dequantize({"x": fed["x"]}, steps)["x"].tolist() == [0.0, 0.0, 0.5, -0.5, 62.0, -65.5]


def test_a_scale_per_channel_or_none_is_refused_and_plain_bytes_are_bytes():
    def detail(dtype, scales):
        return {"x": {"dtype": dtype, "quantization_parameters": {"scales": scales, "zero_points": [0] * len(scales)}}}

    assert steps_of(detail(np.uint8, []), "m") == {}
    assert steps_of(detail(np.float32, []), "m") == {}
    for scales in ([], [0.1, 0.2], [0.0], [float("nan")]):
        with pytest.raises(UnsupportedModel, match=r"m: 'x' is int8 with \d scales, expected one"):
            steps_of(detail(np.int8, scales), "m")


def test_integers_that_nobody_explains_are_refused(exports):
    """A file of another exporter may end in integers; read as they are they would be nonsense."""
    artifact = exports[RECOGNIZER, "onnx", "float32"].artifact
    engine = FakeBackend({"embedding": np.ones((1, 512), np.int8)})
    with pytest.raises(UnsupportedModel, match="'embedding' is int8, and the file does not say what a step of it"):
        Embedder(artifact, backend=engine).embed(np.zeros((112, 112, 3), np.uint8))


def test_mean_and_std_cannot_be_applied_to_int8_twice(integers):
    contract = integers[0].artifact.contract
    spec = msgspec.structs.replace(contract.input, mean=(127.5,) * 3)
    assert to_tensor(np.full((1, 112, 112, 3), 255, np.uint8), spec).max() == 127.5
    byte = msgspec.structs.replace(spec, dtype="uint8")
    with pytest.raises(InvalidContract, match="takes uint8"):
        to_tensor(np.zeros((1, 112, 112, 3), np.uint8), byte)


@pytest.mark.parametrize(
    ("format", "recipe", "backend"),
    [
        ("onnx", "static_wi8_ai8", "onnxruntime"),
        ("onnx", "static_wi8_au8", "onnxruntime"),
        ("tflite", "static_wi8_ai8", "litert"),
        ("tflite", "static_wi8_ai8", "tflite-runtime"),
        ("coreml", "w8a8", "mil"),
    ],
)
def test_a_detector_in_8_bits_decodes_to_pixels_on_every_engine(
    bundled_exports, job_of, tmp_path, format, recipe, backend
):
    """Faces are where the float file sees them, to a few pixels, and scores are shares.

    The bundled weights, for what a face is to seeded ones hangs on a last digit.
    """
    job = job_of(bundled_exports[DETECTOR, format, "float16" if recipe == "w8a8" else "float32"].artifact, recipe)
    image = job.calibration.inputs[0]
    made = Detector(quantize_artifact(job, tmp_path).artifact, backend=backend)
    expected = Detector(job.parent).detect(image)
    found = made.candidates(image, score_threshold=0.3)
    assert expected
    assert all(0 <= face.score <= 1 for face in found)
    for face in expected[:3]:
        nearest = min(found, key=lambda other: np.abs(other.box - face.box).max())
        assert np.abs(nearest.box - face.box).max() < 3
        np.testing.assert_allclose(nearest.rotation @ nearest.rotation.T, np.eye(3), atol=1e-4)
