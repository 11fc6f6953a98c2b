"""Head pose with synthetic annotations and a detector of known answers, against scipy's rotations."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from pocketface.artifact import Artifact
from pocketface.cli import cli
from pocketface.contract import Detection, InputSpec, ModelContract
from pocketface.errors import InvalidData, UnsupportedModel
from pocketface.evaluate.headpose import evaluate_pose, pose_errors, read_aflw2000, rotation_of
from pocketface.evaluate.headpose_table import pose_facts, pose_section
from pocketface.runtime.backends import FakeBackend
from pocketface.runtime.pose import euler_angles

Write = Callable[..., Path]
SIDE = 64
FACE, FAR = (10.0, 12.0, 40.0, 50.0), (44.0, 2.0, 60.0, 10.0)


def angles(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-85, 85, (count, 3))


def test_a_rotation_is_scipys_and_gives_its_angles_back() -> None:
    degrees = angles(0, 200)
    expected = Rotation.from_euler("ZYX", degrees[:, [2, 0, 1]], degrees=True).as_matrix()
    np.testing.assert_allclose(rotation_of(degrees), expected, atol=1e-12)
    np.testing.assert_allclose(euler_angles(rotation_of(degrees)), degrees, atol=1e-9)


def test_errors_are_those_of_the_angles_and_of_scipys_rotations() -> None:
    truth, guess = angles(1, 300), angles(2, 300)
    everything, *parts = pose_errors(truth, rotation_of(guess))
    around = np.abs(truth - guess)
    expected = np.minimum(around, 360 - around).mean(axis=0)
    found = (everything.yaw_deg, everything.pitch_deg, everything.roll_deg)
    np.testing.assert_allclose(found, expected)
    assert everything.mean_deg == pytest.approx(expected.mean())
    a, b = (Rotation.from_matrix(rotation_of(x)) for x in (truth, guess))
    assert everything.geodesic_deg == pytest.approx(np.degrees((a.inv() * b).magnitude()).mean())
    assert sum(part.pictures for part in parts) == 300
    assert [part.group for part in parts] == ["|yaw| 0–30°", "|yaw| 30–60°", "|yaw| 60–99°"]
    inside = np.abs(truth[:, 0]) < 30
    assert parts[0].yaw_deg == pytest.approx(around[inside, 0].mean())


def test_a_yaw_of_exactly_99_degrees_is_in_a_range() -> None:
    everything, last = pose_errors(np.array([[99.0, 0, 0]]), rotation_of(np.array([[80.0, 0, 0]])))
    assert everything.pictures == last.pictures == 1
    assert last.yaw_deg == pytest.approx(19)


def test_what_was_not_detected_has_no_error_and_is_counted() -> None:
    truth = np.array([[0.0, 0, 0], [10, 0, 0]])
    rotations = np.stack([np.full((3, 3), np.nan), rotation_of(np.array([13.0, 0, 0]))])
    everything, *_ = pose_errors(truth, rotations)
    assert (everything.pictures, everything.detected) == (2, 1)
    assert everything.yaw_deg == pytest.approx(3)
    nobody, *_ = pose_errors(truth[:1], rotations[:1])
    assert (nobody.pictures, nobody.detected) == (1, 0)
    assert math.isnan(nobody.mean_deg)
    assert math.isnan(nobody.geodesic_deg)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """``write(name, shade, (yaw, pitch, roll))``: a picture of one shade and its .mat, as AFLW2000-3D has them."""

    def make(name: str, shade: int, angles_deg: tuple[float, ...], **changes: object) -> Path:
        Image.fromarray(np.full((SIDE, SIDE, 3), shade, np.uint8)).save(tmp_path / f"{name}.jpg", "PNG")
        yaw, pitch, roll = np.radians(angles_deg)
        x, y = np.linspace(FACE[0], FACE[2], 68), np.linspace(FACE[1], FACE[3], 68)
        lists = {
            "Pose_Para": np.array([[pitch, yaw, roll, 5, 6, 7, 1e-3]], np.float32),
            "pt3d_68": np.stack([x, y, np.zeros(68)]),
            **changes,
        }
        savemat(tmp_path / f"{name}.mat", {k: v for k, v in lists.items() if v is not None})
        return tmp_path

    return make


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    contract = ModelContract(
        model="fake",
        task=Detection(score_threshold=0.5, nms_iou=0.5),
        input=InputSpec(name="image", layout="NCHW", height=SIDE, width=SIDE),
        outputs={n: n for n in ("scores", "boxes", "landmarks", "rotation")},
        fingerprint="ab" * 32,
        weights="by hand",
        trained=False,
    )
    return Artifact(tmp_path / "fake.onnx", contract, "0" * 64, 0)


def knows(heads: dict[int, list[tuple[float, tuple[float, ...], tuple[float, ...]]]]) -> FakeBackend:
    """Shade of a picture -> (score, box, (yaw, pitch, roll)) of each face."""

    def answer(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = heads[int(feeds["image"][0, 0, 0, 0])]
        return {
            "scores": np.array([[score for score, _, _ in found]], np.float32),
            "boxes": np.array([box for _, box, _ in found], np.float32).reshape(1, -1, 4),
            "landmarks": np.zeros((1, len(found), 5, 2), np.float32),
            "rotation": rotation_of(np.array([a for *_, a in found]).reshape(-1, 3))[None].astype(np.float32),
        }

    return FakeBackend(answer)


def test_the_face_on_the_landmarks_counts_not_the_surest(write: Write, artifact: Artifact) -> None:
    write("one", 1, (20, -10, 5))
    write("two", 2, (-40, 0, 0))
    folder = write("three", 3, (0, 0, 0))
    told = {
        1: [(0.9, FAR, (-70, 0, 0)), (0.6, FACE, (23, -8, 4))],
        2: [(0.9, FACE, (-46, 0, 0))],
        3: [(0.9, FAR, (0, 0, 0))],
    }
    result = evaluate_pose(artifact, read_aflw2000(folder), backend=knows(told))
    everything = result.errors[0]
    assert (everything.pictures, everything.detected) == (3, 2)
    errors = (everything.yaw_deg, everything.pitch_deg, everything.roll_deg, everything.mean_deg)
    np.testing.assert_allclose(errors, [4.5, 1, 0.5, 2], atol=1e-4)
    assert 3 < everything.geodesic_deg < 6
    assert "not found" not in pose_section([result]).notes[0]
    assert json.dumps(pose_facts(result)["errors"][0]["detected"]) == "2"


def test_angles_are_read_in_the_order_of_the_file(write: Write) -> None:
    (picture,) = read_aflw2000(write("one", 1, (20, -10, 5))).pictures
    np.testing.assert_allclose(picture.angles_deg, [20, -10, 5], atol=1e-5)
    np.testing.assert_allclose(picture.box, FACE)


def test_beyond_99_degrees_is_left_out_and_counted(write: Write, artifact: Artifact) -> None:
    write("in", 1, (98.9, 0, 0))
    write("side", 1, (99.1, 0, 0))
    data = read_aflw2000(write("up", 1, (0, -120, 0)))
    assert [p.path.stem for p in data.pictures] == ["in"]
    assert data.beyond == 2
    assert "2 pictures" in pose_section([evaluate_pose(artifact, data, backend=knows({1: []}))]).notes[1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Pose_Para": None}, "no variable Pose_Para"),
        ({"Pose_Para": np.array([[0.1, np.nan, 0]])}, "NaN"),
        ({"Pose_Para": np.zeros((1, 2))}, "Pose_Para"),
        ({"Pose_Para": "text"}, "Pose_Para"),
        ({"pt3d_68": np.zeros((3, 0))}, "pt3d_68"),
        ({"pt3d_68": np.array([1.0])}, "pt3d_68"),
    ],
)
def test_a_damaged_list_is_a_problem_and_strict_stops(write: Write, changes: dict[str, object], words: str) -> None:
    write("good", 1, (0, 0, 0))
    folder = write("bad", 1, (0, 0, 0), **changes)
    data = read_aflw2000(folder)
    assert len(data.pictures) == 1
    assert words in data.problems[0]
    assert "bad.mat" in data.problems[0]
    with pytest.raises(InvalidData, match=words):
        read_aflw2000(folder, strict=True)


def test_missing_and_damaged_pictures_are_named(write: Write, artifact: Artifact) -> None:
    write("good", 1, (0, 0, 0))
    write("gone", 1, (0, 0, 0))
    folder = write("broken", 1, (0, 0, 0))
    (folder / "gone.jpg").unlink()
    (folder / "broken.jpg").write_bytes(b"no picture")
    result = evaluate_pose(artifact, read_aflw2000(folder), backend=knows({1: [(0.9, FACE, (0, 0, 0))]}))
    assert result.errors[0].pictures == 1
    assert any("gone" in problem for problem in result.problems)
    assert any("broken.jpg" in problem for problem in result.problems)


def test_nothing_to_measure_is_an_error(tmp_path: Path, write: Write, artifact: Artifact) -> None:
    with pytest.raises(InvalidData, match=r"no picture with a \.mat"):
        read_aflw2000(tmp_path)
    with pytest.raises(InvalidData, match="1 are beyond"):
        read_aflw2000(write("up", 1, (0, 120, 0)))
    data = read_aflw2000(write("good", 1, (0, 0, 0)))
    data.pictures[0].path.write_bytes(b"")
    with pytest.raises(InvalidData, match="not one of its 1"):
        evaluate_pose(artifact, data, backend=knows({1: []}))


def test_a_detector_without_pose_is_refused(write: Write, artifact: Artifact) -> None:
    outputs = {n: n for n in ("scores", "boxes", "landmarks")}
    contract = ModelContract(
        model="fake",
        task=artifact.contract.task,
        input=artifact.contract.input,
        outputs=outputs,
        fingerprint="ab" * 32,
        weights="by hand",
        trained=False,
    )
    plain = Artifact(artifact.path, contract, artifact.sha256, 0)
    with pytest.raises(UnsupportedModel, match="no head pose"):
        evaluate_pose(plain, read_aflw2000(write("one", 1, (0, 0, 0))), backend=knows({1: []}))


def test_the_command_in_json_and_as_a_table(write: Write, artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(write("one", 1, (20, -10, 5)))
    monkeypatch.setattr("pocketface.artifact.load_artifact", lambda path: artifact)
    monkeypatch.setattr("pocketface.runtime.session.open_backend", lambda *_: knows({1: [(0.9, FACE, (23, -10, 5))]}))
    (facts,) = json.loads(run(folder, "--model", "a.onnx", "--json"))["results"]
    assert facts["errors"][0]["yaw_deg"] == pytest.approx(3, abs=1e-3)
    assert facts["beyond"] == 0
    shown = run(folder, "--model", "a.onnx")
    assert "3.00" in shown
    assert "|yaw| 0–30°" in shown


def run(*arguments: str) -> str:
    done = CliRunner().invoke(cli, ["evaluate", "pose", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["evaluate", "pose", str(tmp_path), "--model", "none.onnx"])
    assert done.exit_code == 1
    assert "no picture with a .mat" in done.output
