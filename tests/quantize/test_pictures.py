"""Pictures to calibrate on and to judge by: prepared as the contract says, told apart, and never too few."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from pocketface.errors import InvalidData
from pocketface.evaluate.data import Sample, open_images
from pocketface.evaluate.faces import bundled_portraits, inputs_for
from pocketface.quantize.pictures import bundled_pictures, drawn, open_pictures, require_apart
from pocketface.runtime.align import align_face
from pocketface.runtime.preprocess import letterbox

RECOGNIZER, DETECTOR = "facelivtv2_xs", "mos_xs"


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """40 aligned crops of 10 people, 4 each."""
    folder = tmp_path_factory.mktemp("data") / "crops"
    for i, portrait in enumerate(bundled_portraits()[:40]):
        (folder / f"p{i % 10}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(align_face(portrait.image, portrait.landmarks)).save(folder / f"p{i % 10}" / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def recognizer(exports):
    return exports[RECOGNIZER, "onnx", "float32"].artifact


@pytest.fixture(scope="module")
def detector(exports):
    return exports[DETECTOR, "onnx", "float32"].artifact


def test_aligned_crops_go_in_as_they_are_and_everyone_before_anyone_twice(crops, recognizer):
    found = open_pictures(crops, recognizer, aligned=True, count=34)
    assert found.inputs.shape == (34, 112, 112, 3)
    assert len(found.identities) == 10
    originals = {np.asarray(Image.open(file)).tobytes() for file in crops.rglob("*.png")}
    assert all(image.tobytes() in originals for image in found.inputs)
    again = open_pictures(crops, recognizer, aligned=True, count=34)
    assert again.fingerprint == found.fingerprint
    assert open_pictures(crops, recognizer, aligned=True, count=34, seed=1).fingerprint != found.fingerprint


def test_a_draw_is_stratified_over_people():
    samples = [
        Sample(f"{who}{i}", lambda: None, True, who) for who in "abc" for i in range({"a": 9, "b": 3, "c": 1}[who])
    ]
    order = [sample.identity for sample in drawn(samples, 0)]
    assert sorted(order[:3]) == ["a", "b", "c"]
    assert sorted(order[3:5]) == ["a", "b"]
    assert set(order[7:]) == {"a"}
    assert len(order) == 13


def test_photos_are_scaled_into_a_detector_s_input(tmp_path, detector):
    for i, portrait in enumerate(bundled_portraits()[:33]):
        Image.fromarray(portrait.image[:, : 200 + i]).save(tmp_path / f"{i:02}.png")
    found = open_pictures(tmp_path, detector, count=33)
    expected = {
        letterbox(p.image[:, : 200 + i], (320, 320))[0].tobytes() for i, p in enumerate(bundled_portraits()[:33])
    }
    assert {image.tobytes() for image in found.inputs} == expected


def test_photos_need_a_detector_for_a_recogniser(crops, recognizer):
    with pytest.raises(InvalidData, match="need a detector"):
        open_pictures(crops, recognizer)


def test_too_few_pictures_are_told_with_what_became_of_the_others(tmp_path, recognizer):
    for i in range(40):
        Image.new("RGB", (112, 112 if i < 31 else 100)).save(tmp_path / f"{i}.png")
    with pytest.raises(
        InvalidData, match=r"31 of its 40 pictures can be used, and at least 32.*9 pictures.*not square"
    ):
        open_pictures(tmp_path, recognizer, aligned=True)


def test_an_empty_folder_a_missing_one_and_pictures_without_faces_are_clear(tmp_path, recognizer, detector):
    from pocketface.runtime.backends import FakeBackend
    from pocketface.runtime.detector import Detector

    with pytest.raises(InvalidData, match="no picture in it"):
        open_pictures(tmp_path, recognizer, aligned=True)
    with pytest.raises(InvalidData, match="no such file or folder"):
        open_pictures(tmp_path / "none", recognizer, aligned=True)
    for i in range(33):
        Image.new("RGB", (64, 64), (i, i, i)).save(tmp_path / f"{i}.png")
    shapes = {"scores": (1, 1), "boxes": (1, 1, 4), "landmarks": (1, 1, 5, 2), "rotation": (1, 1, 3, 3)}
    blind = FakeBackend({name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    with pytest.raises(InvalidData, match=r"0 of its 33 pictures.*show no face that the detector finds"):
        open_pictures(tmp_path, recognizer, detector=Detector(detector, backend=blind))


def test_a_picture_saved_again_in_another_format_is_found_in_both_sets(crops, tmp_path, recognizer):
    for i, file in enumerate(sorted(crops.rglob("*.png"))[:33]):
        Image.open(file).save(tmp_path / f"copy{i}.bmp")
    calibration = open_pictures(crops, recognizer, aligned=True, count=40)
    judge = open_pictures(tmp_path, recognizer, aligned=True)
    with pytest.raises(InvalidData, match="share 33 pictures"):
        require_apart(calibration, judge)


def test_one_person_in_both_sets_is_found_however_the_name_is_spelt(crops, tmp_path, recognizer):
    for i, (a, b) in enumerate(pairwise(bundled_portraits()[:40])):
        (tmp_path / ("P3" if i == 5 else f"q{i}")).mkdir()
        blend = (align_face(a.image, a.landmarks) // 2) + (align_face(b.image, b.landmarks) // 2)
        Image.fromarray(blend).save(tmp_path / ("P3" if i == 5 else f"q{i}") / "x.png")
    judge = open_pictures(tmp_path, recognizer, aligned=True)
    with pytest.raises(InvalidData, match="share 1 people: p3"):
        require_apart(open_pictures(crops, recognizer, aligned=True), judge)


def test_the_bundled_portraits_cannot_judge_what_they_calibrated(recognizer, pictures_of):
    faces = bundled_portraits()
    judge = bundled_pictures(recognizer)
    np.testing.assert_array_equal(judge.inputs, inputs_for(recognizer.contract, faces))
    with pytest.raises(InvalidData, match="share 32 pictures"):
        require_apart(pictures_of(recognizer.contract, faces[:32]), judge)


def test_open_images_and_open_pictures_agree_on_what_is_there(crops, recognizer):
    assert len(open_images(crops, aligned=True)) == len(open_pictures(crops, recognizer, aligned=True)) == 40
