"""Make 0.5 the score to go by: ``python -m pocketface.train.detect.calibrate --scenes DIR --weights IN --out FILE``.

A score learns the IoU of its box, and few boxes of small faces ever overlap a face by half and more, however sure it is
that there is one. So the logits are shifted: what was the score with the best balance of recall and precision on the
held-out scenes is 0.5 afterwards, the threshold of every contract. No order changes, so no average precision does.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ...evaluate.detection.matching import IGNORED, TRUE
from ...evaluate.detection.searched import Search
from ...models import create_model, reparameterize, save_weights
from ...models.mos import Head, Mos
from ...models.repvgg import kernel_of
from .judge import matching_of, search_held_out
from .report import on_torch
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


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="pocketface.train.detect.calibrate", description=__doc__)
    parser.add_argument("--scenes", type=Path, required=True, help="folder that pocketface.train.detect.labels made")
    parser.add_argument("--weights", type=Path, required=True, help="a checkpoint")
    parser.add_argument("--name", default="mos_xs", help="the network that it is of")
    parser.add_argument("--out", type=Path, required=True, help="the .safetensors to write")
    options = parser.parse_args(arguments)
    network = create_model(options.name, weights=options.weights)
    assert isinstance(network, Mos)
    deployed = reparameterize(network)
    assert isinstance(deployed, Mos)
    found = search_held_out(on_torch(deployed), SceneStore(options.scenes))
    score = balanced_score([search for _, search in found])
    shift_scores(network, score)
    save_weights(network, options.out)
    print(f"{score:.4f} is now 0.5: {options.out}")


if __name__ == "__main__":
    main()
