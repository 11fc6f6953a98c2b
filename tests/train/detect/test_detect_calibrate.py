"""The score with the best balance becomes 0.5, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from pocketface.evaluate.detection.annotations import AnnotatedPicture
from pocketface.evaluate.detection.searched import Search
from pocketface.models import create_model
from pocketface.models.mos import Mos
from pocketface.train.detect.calibrate import balanced_score, shift_scores

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
