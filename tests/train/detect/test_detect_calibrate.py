"""The score with the best balance becomes 0.5, and nothing else changes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from pocketface.cli import cli
from pocketface.evaluate.detection.annotations import AnnotatedPicture
from pocketface.evaluate.detection.searched import Search
from pocketface.models import create_model, save_weights
from pocketface.models.mos import Mos
from pocketface.train.detect.calibrate import balanced_score, shift_scores
from pocketface.train.detect.holdout import held_out
from pocketface.train.detect.report import finder
from pocketface.train.detect.scenes import scene, write_scenes

FACE, ELSEWHERE, SMALL = (0.0, 0, 20, 20), (50.0, 50, 70, 70), (80.0, 80, 84, 84)


def searched(*found: tuple[tuple[float, ...], float]) -> Search:
    """A picture with one face to be found and one that need not be."""
    truth, ignore = np.array([FACE, SMALL]), np.array([False, True])
    picture = AnnotatedPicture("a", Path("a"), truth, ignore)
    boxes, scores = (np.array(part, np.float64) for part in zip(*found, strict=True))
    return Search(picture, boxes.reshape(-1, 4), scores, np.zeros((len(found), 5, 2)), 1.0)


def test_the_score_with_the_best_balance() -> None:
    searches = [
        searched((FACE, 0.7), (SMALL, 0.65)),
        searched((FACE, 0.4), (ELSEWHERE, 0.35)),
        searched((ELSEWHERE, 0.3), (FACE, 0.2)),
    ]

    def balance(threshold: float) -> float:
        shown = [
            (box == FACE, box == SMALL)
            for one in searches
            for box, score in zip(map(tuple, one.boxes.tolist()), one.scores.tolist(), strict=True)
            if score >= threshold
        ]
        found, counted = sum(right for right, _ in shown), sum(not small for _, small in shown)
        return 2 * found / (3 + counted)

    best = balanced_score(searches)
    assert best == 0.4
    assert balance(best) == max(balance(score) for score in (0.7, 0.65, 0.4, 0.35, 0.3, 0.2))


@torch.no_grad()
def test_that_score_becomes_a_half_and_nothing_else_changes() -> None:
    network = create_model("mos_xs", seed=0)
    assert isinstance(network, Mos)
    image = torch.randn(1, 3, 64, 64)
    before = network(image)
    shift_scores(network, 0.3)
    after = network(image)
    torch.testing.assert_close(after.score, before.score + 0.8472979, rtol=0, atol=1e-4)
    for name in ("box", "landmarks", "pose"):
        assert torch.equal(getattr(after, name), getattr(before, name))


def test_the_command_writes_shifted_weights(tmp_path: Path) -> None:
    """The best-scored box of each picture is made its face, so that there is something to balance."""
    weights, network = tmp_path / "w.safetensors", create_model("mos_xs", seed=0)
    assert isinstance(network, Mos)
    save_weights(network, weights)
    find, made = finder(weights, "mos_xs"), []
    for i in range(60):
        image = np.random.default_rng(i).integers(0, 256, (64, 64, 3), np.uint8)
        if held_out(f"{i}.jpg"):
            made.append(scene(f"{i}.jpg", "crowd", image, [find(image, 0.0)[0].box]))
    write_scenes(tmp_path / "scenes", made)
    command = ["scenes", "calibrate", str(tmp_path / "scenes"), str(weights), "--out", str(tmp_path / "o.safetensors")]
    told = json.loads(CliRunner().invoke(cli, [*command, "--json"]).stdout)
    first, shifted = made[0].image, finder(tmp_path / "o.safetensors", "mos_xs")
    logit = lambda p: math.log(p / (1 - p))  # noqa: E731
    before, after = find(first, 0.0)[0].score, shifted(first, 0.0)[0].score
    assert logit(after) == pytest.approx(logit(before) - logit(told["was"]), abs=1e-3)
    write_scenes(tmp_path / "none", [replace(made[0], name="trained on.jpg")])
    refused = CliRunner().invoke(cli, [*command[:2], str(tmp_path / "none"), *command[3:]])
    assert refused.exit_code == 1
    assert "nothing to calibrate on" in refused.stderr
