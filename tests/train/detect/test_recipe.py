"""A recipe trains, goes on where it stopped, and goes through JSON."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from pocketface.cli import cli
from pocketface.errors import InvalidData
from pocketface.models.checkpoint import read_state
from pocketface.train.detect.recipe import DETECT_PRESETS, Detect
from pocketface.train.detect.scenes import scene, write_scenes
from pocketface.train.detect.start import train_detector
from pocketface.train.settings import Settings
from pocketface.train.start import train

TINY = Detect(
    network="mos_xs", settings=Settings(steps=4, learning_rate=1e-3, save_every=2, average=0.5), batch=2, side=64
)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(12, 80, 90, 3), dtype=np.uint8)
    write_scenes(tmp_path / "scenes", [scene(f"{i}.jpg", "a", im, [(20, 20, 60, 60)]) for i, im in enumerate(images)])
    return tmp_path / "scenes"


def test_a_run_that_was_stopped_ends_at_the_same_weights(scenes: Path, tmp_path: Path) -> None:
    whole = train_detector(TINY, scenes, tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop(step: int, losses: object) -> None:
        if step == 3:  # one step after the checkpoint
            raise Stop

    with pytest.raises(Stop):
        train_detector(TINY, scenes, tmp_path / "stopped", progress=stop)
    again = train_detector(TINY, scenes, tmp_path / "stopped")
    one, other = read_state(whole), read_state(again)
    assert all((one[key] == other[key]).all() for key in one)


def test_recipes_go_through_json() -> None:
    preset = DETECT_PRESETS["detect_xs"]
    assert msgspec.json.decode(msgspec.json.encode(preset), type=Detect) == preset


def test_only_detectors(scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="mos_xs"):
        train_detector(msgspec.structs.replace(TINY, network="facelivtv2_xs"), scenes, tmp_path / "run")


def test_the_command(scenes: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.json").write_bytes(msgspec.json.encode(TINY))
    arguments = ["train", str(tmp_path / "tiny.json"), "--data", str(scenes), "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(cli, [*arguments, "--set", "settings.steps=1", "--json"])
    assert done.exit_code == 0, done.output
    assert Path(json.loads(done.stdout)["weights"]).is_file()
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["settings"]["steps"] == 1
    with pytest.raises(InvalidData, match="2 folders"):
        train(TINY, [scenes, scenes], tmp_path / "other")
