"""The judgement: perfect answers are perfect, errors are measured as what they are, training scenes do not count."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pocketface.cli import cli
from pocketface.evaluate.headpose import rotation_of
from pocketface.models import create_model, save_weights
from pocketface.runtime.detector import DetectedFace
from pocketface.train.detect.holdout import held_out
from pocketface.train.detect.judge import judge
from pocketface.train.detect.scenes import Scene, scene, write_scenes
from pocketface.train.detect.sources import PORTRAITS

FIVE = np.array([[50.0, 60], [90, 60], [70, 80], [55, 100], [85, 100]], np.float32)


@pytest.fixture
def scenes() -> list[Scene]:
    """160 pictures told apart by their middle: some held out, half of them portraits."""
    made = []
    for i in range(160):
        image = np.zeros((160, 160, 3), np.uint8)
        image[75:85, 75:85] = i
        turned = rotation_of(np.array([i / 2, 0.0, 0.0]))[None]
        source = PORTRAITS if i % 2 else "crowd"
        boxes = [(40, 40, 100, 120)] if i % 2 else [(40, 40, 100, 120), (5, 5, 9, 9)]  # 8 pixels in the input
        five = np.stack([FIVE] * len(boxes))
        made.append(scene(f"{i}.jpg", source, image, boxes, None, five, np.repeat(turned, len(boxes), 0)))
    assert {one.source for one in made if held_out(one.name)} == {PORTRAITS, "crowd"}
    return made


class Oracle:
    """Finds the large face, moved and turned as it is told to, and remembers what it was shown."""

    def __init__(self, scenes: Sequence[Scene], shift: float = 0.0, turn: float = 0.0) -> None:
        self.scenes, self.shift, self.turn, self.shown = scenes, shift, turn, set[str]()

    def __call__(self, image: np.ndarray, lowest: float) -> list[DetectedFace]:
        one = self.scenes[number := int(image[80, 80, 0])]
        self.shown.add(one.name)
        rotation = rotation_of(np.array([number / 2 + self.turn, 0.0, 0.0]))
        moved = one.landmarks[0] + np.float32([self.shift, 0])
        return [DetectedFace(one.boxes[0], 0.45, moved, rotation)]


def mirrored(face: DetectedFace) -> DetectedFace:
    assert face.rotation is not None
    return replace(face, rotation=face.rotation.T)


def test_a_perfect_detector(scenes: list[Scene]) -> None:
    oracle = Oracle(scenes)
    found = judge(oracle, scenes)
    assert [(ap.subset, ap.ap) for ap in found.precisions] == [("all", 1.0), ("crowd", 1.0)]
    assert [(at.threshold, at.recall) for at in found.operations] == [(0.3, 1.0), (0.4, 1.0), (0.5, 0.0)]
    upright = found.portraits[0]
    assert (upright.turned_deg, upright.nme) == (0, 0)
    assert upright.geodesic_deg == pytest.approx(0, abs=1e-5)
    assert oracle.shown == {one.name for one in scenes if held_out(one.name)}
    assert upright.portraits == sum(one.source == PORTRAITS and held_out(one.name) for one in scenes)


def test_poses_that_follow_and_poses_that_do_not(scenes: list[Scene]) -> None:
    crowd = sum(one.source != PORTRAITS and held_out(one.name) for one in scenes)
    good = judge(Oracle(scenes, turn=9.0), scenes).poses
    assert (good.faces, good.found) == (2 * crowd, crowd)  # the small one is never found
    assert (good.yaw_r, good.yaw_deg) == (pytest.approx(1), pytest.approx(9, abs=1e-3))
    contrary = judge(lambda image, lowest: [mirrored(face) for face in Oracle(scenes)(image, lowest)], scenes).poses
    assert contrary.yaw_r == pytest.approx(-1)


@pytest.mark.parametrize("angle", [15.0, 30.0])
def test_a_detector_that_takes_all_heads_for_upright(scenes: list[Scene], angle: float) -> None:
    (found,) = [one for one in judge(Oracle(scenes), scenes).portraits if one.turned_deg == angle]
    from_middle = np.linalg.norm(FIVE - 79.5, axis=1)
    assert found.nme == pytest.approx(2 * np.sin(np.radians(angle / 2)) * from_middle.mean() / 40, rel=1e-4)
    assert found.geodesic_deg == pytest.approx(angle, abs=1e-3)
    assert found.portraits == 2 * sum(one.source == PORTRAITS and held_out(one.name) for one in scenes)


def test_errors_are_measured_as_what_they_are(scenes: list[Scene]) -> None:
    found = judge(Oracle(scenes, shift=4.0, turn=9.0), scenes).portraits[0]
    assert found.nme == pytest.approx(0.1)  # 4 of 40 pixels between the eyes
    assert (found.yaw_deg, found.mean_deg) == (pytest.approx(9, abs=1e-4), pytest.approx(3, abs=1e-4))
    assert found.geodesic_deg == pytest.approx(9, abs=1e-4)


def test_a_blind_detector(scenes: list[Scene]) -> None:
    found = judge(lambda image, lowest: [], scenes)
    assert found.precisions[0].ap == 0
    assert all((one.found, np.isnan(one.nme)) == (0, True) for one in found.portraits)
    assert (found.poses.found, np.isnan(found.poses.pitch_r)) == (0, True)


def test_small_faces_need_not_be_found_and_are_not_wrong(scenes: list[Scene]) -> None:
    crowd = [replace(one, boxes=one.boxes[::-1]) for one in scenes if one.source == "crowd"]
    found = judge(lambda image, lowest: Oracle(scenes)(image, lowest)[:1], crowd)
    assert found.precisions[0].ap == 1
    assert found.precisions[0].faces == sum(held_out(one.name) for one in crowd)


def test_the_command_judges_a_checkpoint(scenes: list[Scene], tmp_path: Path) -> None:
    write_scenes(tmp_path / "scenes", scenes)
    save_weights(create_model("mos_xs", seed=0), tmp_path / "a.safetensors")
    command = ["scenes", "report", str(tmp_path / "scenes"), "--model", str(tmp_path / "a.safetensors")]
    told = CliRunner().invoke(cli, [*command, "--json"])
    (facts,) = json.loads(told.stdout).values()
    assert 0 <= facts["precisions"][0]["ap"] <= 1
    assert facts["portraits"][0]["portraits"] == sum(s.source == PORTRAITS and held_out(s.name) for s in scenes)
    assert "Average precision" in CliRunner().invoke(cli, command).stdout
    refused = CliRunner().invoke(cli, [*command, "--name", "facelivtv2_xs"])
    assert (refused.exit_code, refused.stderr.count("pocketface: ")) == (1, 1)
