"""The bundled forest loads, has its card, and prefers a large upright face to a tiny one seen from the side."""

from __future__ import annotations

import numpy as np

from pocketface.artifact import digest
from pocketface.runtime.detector import DetectedFace
from pocketface.runtime.forest import load_forest
from pocketface.weights import FOREST

UPRIGHT = np.array([[38, 52], [74, 52], [56, 72], [41, 92], [71, 92]], np.float32)


def face(points: np.ndarray, scale: float, score: float) -> DetectedFace:
    box = np.array([20, 18, 92, 112], np.float32)
    return DetectedFace(box * scale, score, (points * scale).astype(np.float32), None)


def test_the_bundled_forest_is_the_one_of_its_card() -> None:
    forest, card = load_forest(FOREST), FOREST.with_suffix(".md").read_text()
    assert digest(FOREST)[0] in card
    assert f"{len(forest.feature):,} nodes" in card
    assert FOREST.stat().st_size < 1e6


def test_it_prefers_large_faces_that_look_at_the_camera() -> None:
    forest = load_forest(FOREST)
    aside = UPRIGHT + np.array([[4, 0], [-12, 0], [-16, 0], [2, 0], [-14, 0]])
    good, small, turned = forest.judge([face(UPRIGHT, 1, 0.9), face(UPRIGHT, 0.15, 0.6), face(aside, 1, 0.9)])
    assert min(good, small, turned) >= 0
    assert max(good, small, turned) <= 1
    assert good > small + 0.1
    assert good > turned
