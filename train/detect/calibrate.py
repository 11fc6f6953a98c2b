"""Make 0.5 the score to go by: ``pocketface scenes calibrate``.

A score learns the IoU of its box, and few boxes of small faces ever overlap a face by half and more, however sure it is
that there is one. So the logits are shifted: what was the score with the best balance of recall and precision on the
held-out scenes is 0.5 afterwards, the threshold of every contract. No order changes, so no average precision does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ...errors import InvalidData
from ...evaluate.detection.matching import IGNORED, TRUE
from ...evaluate.detection.searched import Search
from ...models import reparameterize, save_weights
from ...models.mos import Head, Mos
from ...models.repvgg import kernel_of
from .judge import Progress, find_held_out, matching_of, search_of, unseen
from .report import detector_of, on_torch
from .scenes import SceneStore


def balanced_score(searches: Sequence[Search]) -> float:
    """The score from which on the harmonic mean of recall and precision is highest."""
    scores = np.concatenate([one.scores for one in searches])
    outcome = np.concatenate([matching_of(one).outcome for one in searches])
    faces = sum(int((~one.picture.ignore).sum()) for one in searches)
    order = np.argsort(-scores, kind="stable")
    order = order[outcome[order] != IGNORED]
    found, proposed = np.cumsum(outcome[order] == TRUE), np.arange(1, len(order) + 1)
    return float(scores[order][np.argmax(2 * found / (faces + proposed))])


@torch.no_grad()
def shift_scores(network: Mos, score: float) -> None:
    """Shift the logits so that ``score`` becomes 0.5; in place."""
    for head in network.heads:
        assert isinstance(head, Head)
        kernel_of(head.tasks.predictors["score"])[1].sub_(math.log(score / (1 - score)))


def calibrated(weights: Path, name: str, store: SceneStore, out: Path, progress: Progress = unseen) -> float:
    """Write the weights of the network ``name`` with shifted scores; returns the score that is 0.5 now.

    Raises:
        InvalidData: no scene is held out, or the network is no detector of ours.
        InvalidModel: weights of another network.
        OutputError: the file cannot be written.
    """
    network = detector_of(weights, name)
    deployed = reparameterize(network)
    assert isinstance(deployed, Mos)
    found = find_held_out(on_torch(deployed), store, progress)
    if not found:
        raise InvalidData("no scene with boxes is held out, so there is nothing to calibrate on; label more pictures")
    score = balanced_score([search_of(one, faces) for one, faces in found])
    shift_scores(network, score)
    save_weights(network, out)
    return score
