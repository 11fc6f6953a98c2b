"""MOS: score, box, five landmarks and head pose of every face in one pass. Source: arXiv 2110.10953.

From MOS come the three levels, the top-down neck, the task towers with cross-stitch units and the pose as a task
of the detector. Chosen anew, for a phone and for faces from 12 pixels in an input of 320 x 320:

- Plain convolutions where MOS has deformable ones, which no mobile format knows. The trunk is MobileOne's: depthwise,
  ReLU, 1 x 1, ReLU, with RepVGG's branches, which help training and cost nothing once folded. What is deployed is a
  chain of convolutions with two additions in all. ReLU, because it folds into the convolution in every engine and
  its range starts at zero, where 8 bits do not waste one on the sign.
- Arithmetic where small faces are. A face of 12 pixels is a cell and a half at stride 8, so a third of the work
  happens there; half of it lies behind the fusion, where detail of stride 8 meets the context from above. The same
  half at stride 4 would cost four times as much. Deeper stages have 5 x 5 kernels: there they cost little, and a
  face as large as the picture is seen whole.
- One prior per cell without anchor sizes: 2100 answers at 320 x 320 instead of 4200, and no sizes to tune.
- One logit per prior for how well its box fits, instead of a class and an objectness that are to be multiplied.
- Heads of their own for each level, as in MOS: deployed they take as long as shared ones and 3 % of the weights,
  and faces look different to a cell of 8 pixels and to one of 32.
- Head pose as six numbers, not three times 66 classes: ``rotation_from_6d``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InvalidImage
from .blocks import ConvBN
from .priors import STRIDES, Faces, Raw, decode
from .registry import ModelSpec, register_model
from .repvgg import RepVGGConv, SeparableUnit, kernel_of
from .stitch import CrossStitch

#: Share of priors that a network takes for faces before it has learned anything. Source: arXiv 1708.02002.
PRIOR_PROBABILITY = 0.01
#: What the tasks that are read off the towers directly answer before that: no face, and if one, of e strides.
START = {
    "score": [math.log(PRIOR_PROBABILITY / (1 - PRIOR_PROBABILITY))],
    "box": [0.0, 0.0, 1.0, 1.0],
    "landmarks": [0.0] * 10,
}
#: Of the depthwise convolutions at strides 4, 8, 16 and 32.
KERNELS = (3, 3, 5, 5)
#: Units behind the fusion at strides 8, 16 and 32; at 32 there is nothing to fuse.
MERGES = (2, 2, 1)

Four = tuple[int, int, int, int]


class Mos(nn.Module):
    """The detector.

    Args:
        stem: channels at stride 2.
        widths: channels at strides 4, 8, 16 and 32.
        depths: units there, besides the one that halves the resolution.
        neck: channels of the neck; equal to ``widths[1]``, it saves the convolution that would adapt them.
        pose: channels of the pose branch.
    """

    def __init__(self, stem: int, widths: Four, depths: Four, neck: int, pose: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(RepVGGConv(3, stem, stride=2), nn.ReLU())
        stages = zip((stem, *widths), widths, depths, KERNELS, strict=False)
        self.stages = nn.ModuleList(_stage(*stage) for stage in stages)
        self.neck = Neck(widths[1:], neck)
        self.heads = nn.ModuleList(Head(neck, pose) for _ in STRIDES)

    def forward(self, image: Tensor) -> Raw:
        """RGB (B, 3, H, W) in -1..1 to the raw answers of N = 21 H W / 1024 priors.

        Raises:
            InvalidImage: H or W is not a multiple of 32.
        """
        height, width = image.shape[2:]
        if height % STRIDES[-1] or width % STRIDES[-1]:
            raise InvalidImage(f"got {height} x {width} pixels; height and width must be multiples of {STRIDES[-1]}")
        x = self.stages[0](self.stem(image))
        levels = []
        for stage in self.stages[1:]:
            x = stage(x)
            levels.append(x)
        answers = [head(x).flatten(2) for head, x in zip(self.heads, self.neck(levels), strict=True)]
        flat = torch.cat(answers, 2)  # (B, 21, N)
        box, landmarks, pose = (part.transpose(1, 2) for part in flat[:, 1:].split([4, 10, 6], 1))
        return Raw(flat[:, 0], box, landmarks, pose)

    def answers(self) -> dict[nn.Module, tuple[float, float]]:
        """The convolutions that end in an answer, with the mean and the deviation that seeded answers shall have.

        They are relative to where training starts: a few scores pass the threshold and none is so near to 1 that
        float32 cannot rank it, and boxes keep a shape that a face can have.
        """
        found: dict[nn.Module, tuple[float, float]] = {}
        for head in self.heads:
            assert isinstance(head, Head)
            wanted = {"score": (4.3, 0.16), "box": (0.0, 0.02), "landmarks": (0.0, 0.04)}
            found |= {head.tasks.predictors[task]: answer for task, answer in wanted.items()}
            found[head.pose[-1]] = (0.0, 0.05)
        return found

    @staticmethod
    def decode(raw: Raw, height: int, width: int) -> Faces:
        """Raw answers to faces in pixels of an input of ``height`` x ``width``."""
        return decode(raw, height, width)


class Neck(nn.Module):
    """Brings the semantics of coarse levels down to fine ones: adapt the width, add what is above, refine."""

    def __init__(self, widths: Sequence[int], channels: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Identity() if w == channels else ConvBN(w, channels) for w in widths)
        self.merges = nn.ModuleList(
            nn.Sequential(*(SeparableUnit(channels, channels) for _ in range(units))) for units in MERGES
        )

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Three maps of strides 8, 16, 32 to three maps of the same strides and ``channels``."""
        x = [lateral(level) for lateral, level in zip(self.laterals, levels, strict=True)]
        x[2] = self.merges[2](x[2])
        for fine, coarse in ((1, 2), (0, 1)):
            x[fine] = self.merges[fine](x[fine] + F.interpolate(x[coarse], scale_factor=2.0))
        return x


class Head(nn.Module):
    """All tasks of one level.

    The towers of score, box and landmarks end in a 1 x 1 convolution and fold to one. The pose sees its neighbourhood
    through a 3 x 3 and one ReLU more: it is not linear in what a box needs to know.
    """

    def __init__(self, channels: int, pose: int) -> None:
        super().__init__()
        self.tasks = CrossStitch(channels, {**START, "pose": [0.0] * pose})
        self.pose = nn.Sequential(RepVGGConv(pose, pose, depthwise=True), nn.ReLU(), nn.Conv2d(pose, 6, 1))
        weight, bias = kernel_of(self.pose[-1])
        nn.init.normal_(weight, std=0.01)
        bias.data = torch.tensor([1.0, 0, 0, 0, 1, 0])  # heads that look straight ahead

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 21, H, W): score, box, landmarks and pose."""
        answers = self.tasks(x)
        direct = sum(len(start) for start in START.values())
        return torch.cat([answers[:, :direct], self.pose(answers[:, direct:])], 1)


def _stage(in_channels: int, out_channels: int, depth: int, kernel: int) -> nn.Sequential:
    deeper = (SeparableUnit(out_channels, out_channels, kernel) for _ in range(depth))
    return nn.Sequential(SeparableUnit(in_channels, out_channels, kernel, stride=2), *deeper)


def _spec(name: str, summary: str) -> ModelSpec:
    return ModelSpec(name, "detection", (320, 320), None, summary, "MOS, arXiv 2110.10953")


@register_model(_spec("mos_xs", "faces, landmarks and pose in one pass; for video on a phone"))
def mos_xs() -> Mos:
    """0.12 M parameters and 70 M MACs at 320 x 320 as deployed."""
    return Mos(stem=16, widths=(32, 48, 96, 128), depths=(1, 2, 2, 2), neck=48, pose=16)


@register_model(_spec("mos_s", "the same with twice the width, for small and difficult faces"))
def mos_s() -> Mos:
    """0.51 M parameters and 296 M MACs at 320 x 320 as deployed."""
    return Mos(stem=32, widths=(64, 96, 192, 256), depths=(2, 3, 3, 2), neck=96, pose=32)
