"""What the losses say about the next batch: too little learned of small faces, and places that are mistaken for faces.

MOS (arXiv 2110.10953) draws such a feedback without saying how it works. Here: mosaics after Stitcher
(arXiv 2004.12432), whose rule is a share of the loss below 0.1, and a queue of wrong detections that are pasted into
other pictures. Its state is part of the network's, so that a run that is taken up again goes on with it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .scenes import Scene

#: Faces with a smaller side in the input are small ones.
SMALL = 16.0
#: Mosaics are made while small faces have less than this share of the boxes' loss.
SHARE = 0.1
#: Weight of the newest share in the running one.
NEWEST = 0.05
#: A wrong detection is kept from this score on, as a square of so many pixels, and the queue holds so many.
WRONG, SIDE, LENGTH = 0.5, 48, 64
#: Share of crops that get one of them, once there are some.
PASTED = 0.1


_STATE = ("share", "count", "queue")


class Feedback(nn.Module):
    """The state: a running share, and a ring of squares.

    They are no buffers, since they stay in the memory that is shared with the processes that make batches, whatever
    device the network goes to; but they are in the state of the network.
    """

    def __init__(self) -> None:
        super().__init__()
        self.share = torch.ones(()).share_memory_()
        self.count = torch.zeros((), dtype=torch.int64).share_memory_()
        self.queue = torch.zeros(LENGTH, 3, SIDE, SIDE, dtype=torch.uint8).share_memory_()

    def get_extra_state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {name: getattr(self, name).clone() for name in _STATE}

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        """Take it up again."""
        for name in _STATE:
            getattr(self, name).copy_(state[name])

    @property
    def wants_small(self) -> bool:
        """Whether the next batch should be of mosaics."""
        return float(self.share) < SHARE

    @torch.no_grad()
    def weigh(self, loss: Tensor, side: Tensor) -> None:
        """Take in the loss (P,) of each prior that answers for a face, and the side (P,) of that face."""
        total = loss.sum()
        if float(total) > 0:
            self.share.lerp_(((loss * (side < SMALL)).sum() / total).to(self.share), NEWEST)

    @torch.no_grad()
    def remember(self, images: Tensor, scores: Tensor, boxes: Tensor, clean: Tensor) -> None:
        """Keep the best-scoring wrong detection of each picture.

        Args:
            images: (B, 3, H, W) uint8.
            scores: (B, N) in 0..1.
            boxes: (B, N, 4) xyxy.
            clean: (B, N) bool: those whose box touches no face, known or ignored.
        """
        best, at = (scores * clean).max(1)
        for i in torch.nonzero(best >= WRONG)[:, 0].tolist():
            middle = (boxes[i, at[i], :2] + boxes[i, at[i], 2:]) / 2
            left, top = (int(v) - SIDE // 2 for v in middle.round().tolist())
            part = images[i, :, max(top, 0) : top + SIDE, max(left, 0) : left + SIDE]
            if part.shape[1:] == (SIDE, SIDE):
                self.queue[int(self.count) % LENGTH] = part
                self.count += 1

    def pasted(self, scene: Scene, rng: np.random.Generator) -> Scene:
        """The scene, perhaps with a wrong detection pasted where no face is."""
        known = min(int(self.count), LENGTH)
        size = scene.image.shape[0]
        if not known or rng.random() >= PASTED or size <= SIDE:
            return scene
        left, top = (int(v) for v in rng.integers(0, size - SIDE, 2))
        if _touched(scene.boxes, left, top):
            return scene
        image = scene.image.copy()
        image[top : top + SIDE, left : left + SIDE] = self.queue[int(rng.integers(known))].permute(1, 2, 0).numpy()
        return replace(scene, image=image)


def _touched(boxes: NDArray[np.float32], left: int, top: int) -> bool:
    apart = (boxes[:, 0] > left + SIDE) | (boxes[:, 2] < left) | (boxes[:, 1] > top + SIDE) | (boxes[:, 3] < top)
    return not bool(apart.all())
