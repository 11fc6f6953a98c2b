"""The task of finding faces: what :func:`pocketface.train.loop.run` drives."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...models.mos import Mos
from ...models.priors import Faces, Raw, decode, priors
from ..speed import quicken
from .assign import Assignment, assign
from .batches import Batches
from .feedback import Feedback
from .losses import Uncertainty, box_loss, landmark_loss, pose_loss, quality_focal
from .recipe import WORTH

#: Sides of faces in pixels from which on landmarks and pose count in full; smaller ones show less.
DETAILED = 48.0
#: Losses after the first minutes of training: where their learnt variances start.
TYPICAL = {"score": 0.5, "box": 0.3, "landmarks": 0.08, "pose": 0.3}


class Learner(nn.Module):
    """The detector with all that only training needs: the weights of its losses and the feedback.

    Args:
        detector: a network of ``models`` that answers with ``Raw``.
        worth: of the tasks.
        compiled: whether torch compiles it, which takes minutes and then saves a quarter of the time on a CPU.
    """

    def __init__(self, detector: Mos, worth: Mapping[str, float] = WORTH, *, compiled: bool = False) -> None:
        super().__init__()
        self.detector = quicken(detector)
        self._run = torch.compile(self.detector.forward) if compiled else self.detector.forward
        self.uncertainty = Uncertainty(worth, TYPICAL)
        self.feedback = Feedback()

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A batch of :func:`collate` to its losses; ``positive`` and ``iou`` are for the log."""
        images = batch["image"]
        raw = self._run((images.contiguous().float() - 127.5) / 127.5)
        with torch.autocast(images.device.type, enabled=False):
            return self._losses(Raw(*(answer.float() for answer in raw)), batch)

    def _losses(self, raw: Raw, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        height, width = batch["image"].shape[2:]
        points, strides = priors(height, width, raw.box)
        found = decode(raw, height, width)
        wanted = torch.nonzero(~batch["ignore"])[:, 0]
        faces, picture = batch["boxes"][wanted], batch["picture"][wanted]
        given = assign(raw.score.detach(), found.boxes.detach(), points, strides, faces, picture)
        counted = given.positive | ~_covered(points, batch)
        amount = given.quality.sum().clamp(min=1.0)
        losses = {"score": (quality_focal(raw.score, given.quality) * counted).sum() / amount}
        losses |= self._of_faces(found, given, faces, {k: batch[k][wanted] for k in ("landmarks", "rotations")})
        self._feed_back(batch, found, given)
        mean_iou = given.quality.sum() / given.positive.sum().clamp(min=1)
        extra = {"positive": given.positive.sum().float(), "iou": mean_iou, "small": self.feedback.share.clone()}
        return {"loss": self.uncertainty(losses), **losses, **extra}

    def _of_faces(
        self, found: Faces, given: Assignment, faces: Tensor, known: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Losses of the priors that answer for a face, weighted by how well they do: the best ones are shown."""
        at, weight = given.face[given.positive], given.quality[given.positive].clamp(min=0.05)
        if not len(at):
            return {}
        side = (faces[:, 2:] - faces[:, :2]).prod(1).sqrt().clamp(min=1.0)[at]
        boxes = box_loss(found.boxes[given.positive], faces[at])
        self.feedback.weigh((boxes * weight).detach(), side)
        losses = {"box": (boxes * weight).sum() / weight.sum()}
        marked, turned = known["landmarks"][at], known["rotations"][at]
        for name, labelled in (("landmarks", marked), ("pose", turned)):
            there = labelled.flatten(1).isfinite().all(1)
            if there.any():
                if name == "pose":
                    cost = pose_loss(found.rotation[given.positive][there], labelled[there])
                else:
                    cost = landmark_loss(found.landmarks[given.positive][there], labelled[there], side[there])
                detail = weight[there] * (side[there] / DETAILED).clamp(max=1.0)
                losses[name] = (cost * detail).sum() / detail.sum()
        return losses

    @torch.no_grad()
    def _feed_back(self, batch: Mapping[str, Tensor], found: Faces, given: Assignment) -> None:
        likely = (found.scores > 0.5) & ~given.positive
        clean = likely & ~_touching(found.boxes, batch)
        self.feedback.remember(batch["image"], found.scores, found.boxes, clean)


@torch.no_grad()
def _covered(points: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
    """(B, N) bool: priors in an ignored box, where nothing is wrong."""
    hidden = torch.zeros(len(batch["image"]), points.shape[1], dtype=torch.bool, device=points.device)
    boxes = batch["boxes"][batch["ignore"]][..., None]
    inside = ((points > boxes[:, :2] - 4) & (points < boxes[:, 2:] + 4)).all(1)
    face, prior = torch.nonzero(inside, as_tuple=True)
    hidden[batch["picture"][batch["ignore"]][face], prior] = True
    return hidden


def _touching(boxes: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
    """(B, N) bool: boxes that meet a face's, known or ignored."""
    own = boxes[batch["picture"]]
    faces = batch["boxes"][:, None]
    meets = ((own[..., :2] < faces[..., 2:]) & (own[..., 2:] > faces[..., :2])).all(-1)
    touched = torch.zeros(boxes.shape[:2], device=boxes.device)
    return touched.index_add(0, batch["picture"], meets.to(touched.dtype)) > 0


class Detection:
    """The task, see :class:`pocketface.train.loop.Task`.

    Args:
        detector: the network to train.
        batches: what it is trained on; give them ``network.feedback`` for online feedback sampling.
    """

    def __init__(self, learner: Learner, batches: Batches) -> None:
        self.network: nn.Module = learner
        self._learner, self._batches = learner, batches

    def batch(self, step: int) -> dict[str, Tensor]:
        """See :func:`collate`."""
        return self._batches(step)

    def weights(self) -> nn.Module:
        """The detector alone."""
        return self._learner.detector

    def observe(self, step: int, losses: Mapping[str, float]) -> None:
        """Nothing: the feedback is taken where the losses are computed, prior by prior."""
