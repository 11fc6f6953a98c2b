"""Parity must be able to fail: plant each fault that a phone export can have and see it found and named."""

from __future__ import annotations

import shutil

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from pocketface.artifact import load_artifact
from pocketface.errors import InvalidImage, ParityError
from pocketface.evaluate import TOLERANCES, Original, check_parity
from pocketface.evaluate.faces import bundled_portraits, inputs_for, load_portraits
from pocketface.evaluate.matching import match_faces
from pocketface.export import build_model, original_of
from pocketface.export.prepare import RecognizerGraph, prepare
from pocketface.runtime.backends import open_backend
from pocketface.runtime.detector import DetectedFace

RECOGNIZER, DETECTOR = "facelivtv2_xs", "mos_xs"
FILES = [("onnx", "float32"), ("tflite", "float32"), ("coreml", "float16")]


@pytest.fixture(scope="session")
def originals():
    """Original of each default model, built once."""
    found = {}

    def get(artifact):
        name = artifact.contract.model
        if name not in found:
            found[name] = original_of(artifact)
        return found[name]

    return get


class Swapped(RecognizerGraph):
    """Takes the channels in the wrong order."""

    def forward(self, image):
        red, green, blue = image.split(1, 1)
        return super().forward(torch.cat([blue, green, red], 1))


class Raw(RecognizerGraph):
    """Forgets the normalisation."""

    @staticmethod
    def normalize(image):
        return image


def faulty(graph_class=RecognizerGraph, spoil=lambda network: None):
    """The default recogniser with a planted fault, to be compared with sound files.

    No comparison knows which of the two was spoiled, so that no faulty network need be converted to every format.
    """
    network = prepare(build_model(RECOGNIZER, seed=0)).graph.network
    spoil(network)
    graph = graph_class(network).eval()
    return Original(training=graph, deployed=graph)


def altered(source, folder, number, change):
    """An ONNX file in which the weights of one convolution are not what they were; and what it gives."""
    model = onnx.load(str(source.path))
    victim = [node for node in model.graph.node if node.op_type == "Conv"][number]
    weight = next(t for t in model.graph.initializer if t.name == victim.input[1])
    values = numpy_helper.to_array(weight).copy()
    change(values.reshape(-1))
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    path = folder / "altered.onnx"
    path.write_bytes(model.SerializeToString())
    return load_artifact(path), victim.output[0]  # no sidecar, so nothing but parity can see it


def first_convolution(network):
    return next(m for m in network.modules() if isinstance(m, torch.nn.Conv2d))


def test_the_tolerances_are_those_that_were_promised():
    float32, float16 = TOLERANCES["float32"], TOLERANCES["float16"]
    assert (float32.cosine, float32.max_abs, float32.box_iou, float32.landmarks_px) == (0.99999, 1e-4, 0.999, 0.1)
    assert float16.cosine == 0.999


@pytest.mark.parametrize("model", [RECOGNIZER, DETECTOR])
def test_a_sound_export_passes_on_all_faces(exports, originals, model):
    artifact = exports[model, "onnx", "float32"].artifact
    parity = check_parity(artifact, originals(artifact))
    assert parity.passed
    assert parity.require() is parity
    assert parity.faces == 48
    assert parity.cosine > 0.99999
    if model == DETECTOR:
        assert parity.detections >= 48, "too few detections for a detector to be judged on"


@pytest.mark.parametrize(("format", "precision"), FILES)
@pytest.mark.parametrize("graph", [Swapped, Raw])
def test_a_wrong_channel_order_or_a_missing_normalisation_is_seen(exports, format, precision, graph):
    parity = check_parity(exports[RECOGNIZER, format, precision].artifact, faulty(graph))
    assert not parity.passed
    assert parity.departure is not None
    assert parity.departure.position <= 8, f"the fault is at the very beginning, not at {parity.departure}"
    with pytest.raises(ParityError, match=r"cosine -?0\.\d+ < 0\.999\d*.*first departs at"):
        parity.require()


@pytest.mark.parametrize(("format", "precision"), FILES)
def test_one_corrupt_weight_is_seen_and_where_it_is(exports, format, precision):
    def spoil(network):
        with torch.no_grad():
            first_convolution(network).weight.view(-1)[0] += 3.0

    parity = check_parity(exports[RECOGNIZER, format, precision].artifact, faulty(spoil=spoil))
    assert not parity.passed
    assert parity.departure is not None
    assert parity.departure.position <= 8


def test_a_weight_changed_in_the_file_of_a_detector_is_seen_and_named(exports, originals, tmp_path):
    def change(values):
        values[0] += 5.0

    artifact, tensor = altered(exports[DETECTOR, "onnx", "float32"].artifact, tmp_path, 30, change)
    parity = check_parity(artifact, originals(artifact))
    assert not parity.passed
    assert parity.departure is not None
    assert parity.departure.tensor == tensor


def test_an_answer_that_is_not_a_number_fails(exports, originals, tmp_path):
    artifact, _ = altered(
        exports[RECOGNIZER, "onnx", "float32"].artifact, tmp_path, 0, lambda values: values.fill(np.nan)
    )
    assert not check_parity(artifact, originals(artifact)).passed


def test_every_engine_that_runs_tflite_proves_it(exports, originals):
    artifact = exports[RECOGNIZER, "tflite", "float32"].artifact
    for engine in ("litert", "tflite-runtime"):
        parity = check_parity(artifact, originals(artifact), backend=engine)
        assert parity.passed
        assert parity.backend == engine


def test_parity_is_never_judged_on_a_few_faces(exports, originals):
    artifact = exports[RECOGNIZER, "onnx", "float32"].artifact
    with pytest.raises(InvalidImage, match="at least 48 pictures of faces, got 47"):
        check_parity(artifact, originals(artifact), portraits=bundled_portraits()[:47])


def test_the_bundled_portraits_hold_what_a_recogniser_needs(exports):
    portraits = bundled_portraits()
    assert len(portraits) == 48
    for portrait in portraits:
        height, width = portrait.image.shape[:2]
        assert ((portrait.landmarks > 0) & (portrait.landmarks < [width, height])).all()
        left_eye, right_eye, nose, left_mouth, right_mouth = portrait.landmarks
        assert left_eye[0] < right_eye[0]
        assert left_mouth[0] < right_mouth[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_different_people_have_different_embeddings(exports):
    """With the seeded weights, too: a network that says the same of everyone would pass any parity."""
    artifact = exports[RECOGNIZER, "onnx", "float32"].artifact
    images = inputs_for(artifact.contract, bundled_portraits()).transpose(0, 3, 1, 2).astype(np.float32)
    embeddings = open_backend(artifact).run({"image": images})["embedding"]
    cosines = (embeddings @ embeddings.T)[np.triu_indices(48, 1)]
    assert cosines.mean() < 0.95


def test_pictures_without_landmarks_are_refused(tmp_path):
    with pytest.raises(InvalidImage, match=r"landmarks\.json: expected the five landmarks"):
        load_portraits(tmp_path)
    (tmp_path / "landmarks.json").write_text('{"a.jpg": {"box": [0, 0, 1, 1], "landmarks": [[1, 2]]}}')
    with pytest.raises(InvalidImage, match="expected the five landmarks"):
        load_portraits(tmp_path)


def face(x, score=0.9, size=100.0, landmark=0.0):
    box = np.array([x, 0, x + size, size], np.float32)
    return DetectedFace(box, score, np.full((5, 2), x + landmark, np.float32), None)


def test_matching_pairs_faces_by_overlap():
    matches = match_faces([face(0), face(300)], [face(301, score=0.8), face(0, landmark=0.5), face(900)])
    assert (matches.found, matches.missed) == (2, 0)
    assert matches.box_iou == pytest.approx(99 / 101)
    assert matches.landmarks_px == pytest.approx(np.sqrt(2))  # one pixel to the right and down
    assert matches.score == pytest.approx(0.1)


def test_a_face_that_the_other_does_not_see_is_missed():
    assert match_faces([face(0)], []).missed == 1
    assert match_faces([face(0)], [face(200)]).missed == 1
    assert match_faces([], [face(0)]).missed == 0


def test_a_copy_of_a_package_is_as_good_as_the_original(exports, originals, tmp_path):
    artifact = exports[RECOGNIZER, "coreml", "float32"].artifact
    copy = shutil.copytree(artifact.path, tmp_path / artifact.path.name)
    assert check_parity(load_artifact(copy), originals(artifact)).passed
