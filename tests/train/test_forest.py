"""A forest of landmarks: what its features are, that numpy, scikit-learn and ONNX agree, and that it learns size."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from sklearn.ensemble import RandomForestRegressor

from pocketface.errors import InvalidModel
from pocketface.export.forest_onnx import write_forest
from pocketface.runtime.detector import DetectedFace
from pocketface.runtime.forest import Forest, load_forest
from pocketface.runtime.landmark_features import FEATURES, landmark_features
from pocketface.train.forest import SCENE, Screened, flatten, grow, scene_of

UPRIGHT = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)


def face(points: np.ndarray = UPRIGHT, box: tuple[float, ...] = (10, 10, 90, 110), score: float = 0.9) -> DetectedFace:
    return DetectedFace(np.array(box, np.float32), score, points.astype(np.float32), None)


def named(one: DetectedFace) -> dict[str, float]:
    return dict(zip(FEATURES, landmark_features(one).tolist(), strict=True))


def test_features_of_a_face_drawn_on_squared_paper() -> None:
    got = named(face())
    assert got["left_eye_x"] == pytest.approx(20 / 80)
    assert got["left_eye_y"] == pytest.approx(30 / 100)
    assert got["right_mouth_y"] == pytest.approx(70 / 100)
    assert got["eyes_px"] == pytest.approx(40)
    assert got["eyes_share"] == pytest.approx(0.5)
    assert got["roll_rad"] == pytest.approx(0)
    assert got["yaw"] == pytest.approx(0, abs=1e-6)
    assert got["pitch"] == pytest.approx(0.5)
    assert got["eye_nose_ratio"] == pytest.approx(0.5)
    assert got["mouth_share"] == pytest.approx(30 / 40)
    assert got["side_px"] == pytest.approx(math.sqrt(8000), rel=1e-6)
    assert got["aspect"] == pytest.approx(0.8)
    assert got["score"] == pytest.approx(0.9)


def test_pose_is_told_whatever_the_roll_and_the_size() -> None:
    aside = UPRIGHT + np.array([[0, 0], [0, 0], [10, 0], [0, 0], [0, 0]])
    turn = 0.4
    turned = 2 * aside @ np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    one, other = named(face(aside)), named(face(turned))
    assert one["yaw"] == pytest.approx(10 / 40)
    assert one["eye_nose_ratio"] > 0.5
    for name in ("yaw", "pitch", "eye_nose_ratio", "mouth_share"):
        assert other[name] == pytest.approx(one[name], rel=1e-5), name
    assert other["roll_rad"] == pytest.approx(turn, rel=1e-5)
    assert other["eyes_px"] == pytest.approx(2 * one["eyes_px"], rel=1e-5)


def test_landmarks_in_one_place_are_still_numbers() -> None:
    assert np.isfinite(landmark_features(face(np.full((5, 2), 7.0)))).all()
    assert np.isfinite(landmark_features(face(box=(5, 5, 5, 5)))).all()


@pytest.fixture(scope="module")
def grown() -> tuple[RandomForestRegressor, Forest, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, len(FEATURES))).astype(np.float32)
    x[:, 3] = rng.integers(0, 4, 600) / 4  # many ties, on thresholds too
    y = np.tanh(x[:, 0]) + (x[:, 3] > 0.4) * x[:, 5] + 0.1 * rng.normal(size=600)
    model = RandomForestRegressor(20, max_depth=7, min_samples_leaf=3, random_state=0).fit(x, y)
    return model, flatten(model), x


def test_numpy_scikit_learn_and_onnx_agree(
    grown: tuple[RandomForestRegressor, Forest, np.ndarray], tmp_path: Path
) -> None:
    model, forest, x = grown
    thresholds = forest.threshold[forest.feature >= 0]
    on_edge = np.resize(thresholds, (300, x.shape[1])).astype(np.float32)  # equal to thresholds, to the bit
    beside = np.nextafter(on_edge, np.float32(np.inf))
    probe = np.concatenate([x, np.random.default_rng(1).normal(size=(400, x.shape[1])) * 3, on_edge, beside])
    probe = probe.astype(np.float32)
    expected = model.predict(probe)
    np.testing.assert_allclose(forest.predict(probe), expected, atol=1e-6)
    write_forest(forest, tmp_path / "forest.onnx")
    session = ort.InferenceSession(str(tmp_path / "forest.onnx"), providers=["CPUExecutionProvider"])
    (quality,) = session.run(["quality"], {"features": probe})
    assert quality.shape == (len(probe), 1)
    np.testing.assert_allclose(quality[:, 0], expected, atol=1e-5)
    assert session.get_modelmeta().custom_metadata_map["features"].split(",") == list(FEATURES)


def test_a_threshold_matters(grown: tuple[RandomForestRegressor, Forest, np.ndarray]) -> None:
    model, forest, x = grown
    moved = Forest(forest.roots, forest.feature, forest.threshold + np.float32(0.2), forest.right, forest.value)
    assert np.abs(moved.predict(x) - model.predict(x)).max() > 0.05


def test_a_forest_comes_back_from_its_file(
    grown: tuple[RandomForestRegressor, Forest, np.ndarray], tmp_path: Path
) -> None:
    _, forest, x = grown
    forest.save(tmp_path / "a.npz")
    again = load_forest(tmp_path / "a.npz")
    np.testing.assert_array_equal(again.predict(x), forest.predict(x))
    assert again.predict(x[:0]).shape == (0,)
    assert again.judge([]).shape == (0,)
    np.testing.assert_array_equal(again.judge([face()]), again.predict(landmark_features(face())[None]))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda a: a.pop("right"), "not a forest"),
        (lambda a: a.update(names=a["names"][:-1]), "asks for 19 features"),
        (lambda a: a.update(value=a["value"].astype(np.float64)), "value of another type"),
        (lambda a: a.update(value=a["value"][:-1]), "different lengths"),
        (lambda a: a["right"].__setitem__(0, 0), "not behind its parent"),
        (lambda a: a["right"].__setitem__(0, 10**6), "not behind its parent"),
        (lambda a: a["feature"].__setitem__(0, 99), "that there is not"),
        (lambda a: a["feature"].__setitem__(-1, 2), "not behind its parent"),
        (lambda a: a["roots"].__setitem__(0, -1), "that there is not"),
        (lambda a: a["value"].__setitem__(-1, np.nan), "no number"),
        (lambda a: a.update(names=np.array([object()], object)), "not a forest"),
    ],
)
def test_a_damaged_file_is_refused(
    grown: tuple[RandomForestRegressor, Forest, np.ndarray], tmp_path: Path, spoil: object, said: str
) -> None:
    file = tmp_path / "a.npz"
    grown[1].save(file)
    with np.load(file) as whole:
        arrays = {name: whole[name].copy() for name in whole.files}
    spoil(arrays)
    np.savez(file, **arrays)
    with pytest.raises(InvalidModel, match=said):
        load_forest(file)


def test_what_is_no_npz_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"PK\3\4 no archive", b"nothing"):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(InvalidModel, match="not a forest"):
            load_forest(tmp_path / "a.npz")
    with pytest.raises(InvalidModel, match="not a forest"):
        load_forest(tmp_path / "none.npz")


def test_a_forest_learns_that_small_faces_are_useless() -> None:
    rng = np.random.default_rng(0)
    sides = rng.uniform(10, 120, 800)
    faces = [face(UPRIGHT * (s / 80), (10 * s / 80, 10 * s / 80, 90 * s / 80, 110 * s / 80)) for s in sides]
    utility = (1 / (1 + np.exp(-(sides - 40) / 8)) + 0.02 * rng.normal(size=800)).clip(0, 1).astype(np.float32)
    forest = grow(Screened(np.stack([landmark_features(one) for one in faces]), utility, np.arange(800)), trees=16)
    said = forest.judge(faces)
    assert np.corrcoef(said, utility)[0, 1] > 0.98


def test_scenes_have_faces_of_all_sizes_in_all_places() -> None:
    crop = np.full((128, 128, 3), 200, np.uint8)
    crop[:, :64] = 30  # half dark: it stands out from its own mean
    scenes = [scene_of(crop, np.random.default_rng(i)) for i in range(40)]
    assert {scene.shape for scene in scenes} == {(SCENE, SCENE, 3)}
    sides = []
    for scene in scenes:
        differs = np.abs(scene.astype(int) - np.median(scene.reshape(-1, 3), 0)).max(2) > 25
        sides.append(np.count_nonzero(differs.any(0)))
    assert min(sides) < 40 < 90 < max(sides)
    assert np.array_equal(scenes[3], scene_of(crop, np.random.default_rng(3)))
