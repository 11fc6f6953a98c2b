from __future__ import annotations

import numpy as np
import pytest

from pocketface.demo import DEFAULTS
from pocketface.demo.photographs import GATE, SIDES, WIDTH, faces_section, gate_section, people_section, wall
from pocketface.draw import similarity_matrix
from pocketface.evaluate.faces import bundled_people, bundled_portraits
from pocketface.runtime.preprocess import letterbox


def test_every_place_on_the_wall_shows_its_portrait():
    image, places = wall()
    assert image.shape == (sum(SIDES), WIDTH, 3)
    assert len(places) == sum(WIDTH // side for side in SIDES)
    for i, (left, top, side) in enumerate(places):
        portrait = bundled_portraits()[i % 48].image
        assert np.array_equal(image[top : top + side, left : left + side], letterbox(portrait, (side, side))[0])


def test_there_are_three_pictures_of_each_person():
    names = [name for name, _ in bundled_people()]
    assert names == [f"person_{who}_{i}" for who in "abcde" for i in (1, 2, 3)]
    assert all(image.shape == (256, 256, 3) for _, image in bundled_people())


def test_the_matrix_is_darker_where_faces_are_more_alike():
    thumbnails = [np.full((112, 112, 3), 90 * i, np.uint8) for i in range(2)]
    drawn = similarity_matrix(thumbnails, np.array([[1.0, 0.0], [0.0, 1.0]], np.float32), cell=40).astype(int)
    assert drawn.shape == (120, 120, 3)
    middle = {(i, j): drawn[40 * i + 5, 40 * j + 5].sum() for i in (1, 2) for j in (1, 2)}
    assert middle[1, 1] == middle[2, 2] < middle[1, 2] == middle[2, 1]


@pytest.fixture(scope="module")
def trained(bundled_exports):
    """The ONNX exports of the bundled detector and recogniser."""
    files = [bundled_exports[name, "onnx", "float32"].artifact for name in DEFAULTS]
    assert all(file.contract.trained for file in files)
    return files


def test_faces_on_the_wall_are_found(trained):
    found = {row["face"]: row["found"] / row["of"] for row in faces_section(*trained).rows}
    assert found["240 px"] == 1
    assert found["120 px"] > 0.8


def test_the_gate_tells_a_sharp_face_from_a_distant_one(trained):
    rows = {row["picture"]: row for row in gate_section(*trained).rows}
    assert rows["as it is"]["verdict"] == "passes"
    assert rows["far away"]["verdict"].startswith("refused")
    assert rows["as it is"]["quality"] > GATE.quality > rows["blur: 4.5 sigma in pixels"]["quality"]


def test_pictures_of_one_person_resemble_each_other(trained):
    one, two = people_section(*trained).rows
    assert (one["count"], two["count"]) == (15, 90)
    assert one["mean"] > two["mean"] + 0.2
    assert one["lowest"] > two["mean"]
