"""Cross-stitched task towers, the head of MOS: four linear towers in training, one 1 x 1 convolution when deployed.

Sources: MOS (arXiv 2110.10953) for the head, Misra et al. (arXiv 1604.03539) for the cross-stitch unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from .blocks import ConvBN
from .reparam import collapse_cross_stitch
from .repvgg import kernel_of

#: How much of its own tower, and of each other one, a task sees when training starts. Source: MOS.
OWN, OTHER = 0.9, 0.1


class CrossStitch(nn.Module):
    """Per task a 1 x 1 tower, a unit that mixes the towers channel by channel, and a 1 x 1 predictor.

    ``answer_t = P_t(sum_u w[c, t, u] * V_u(x)) + start_t``: each channel c has its own weight for each pair of tasks,
    so that training decides what the tasks share. No activation lies in between, so the whole is one affine map.
    """

    def __init__(self, channels: int, tasks: Mapping[str, Sequence[float]]) -> None:
        """Build the towers over a feature of ``channels``.

        ``tasks`` gives for each task what it answers before anything is learned, a number per channel of its answer.
        Training starts there, weight decay pulls towards it, and random weights stay around it.
        """
        super().__init__()
        self.towers = nn.ModuleDict({name: ConvBN(channels, channels) for name in tasks})
        unit = OTHER + (OWN - OTHER) * torch.eye(len(tasks))
        self.stitch = nn.Parameter(unit.repeat(channels, 1, 1))  # (C, T, T)
        self.predictors = nn.ModuleDict({name: nn.Conv2d(channels, len(start), 1) for name, start in tasks.items()})
        self.start = nn.Buffer(torch.tensor([number for start in tasks.values() for number in start]))
        for predictor in self.predictors.values():
            weight, bias = kernel_of(predictor)
            nn.init.normal_(weight, std=0.01)
            nn.init.zeros_(bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, answers, H, W): the answers of all tasks one after the other."""
        towers = torch.stack([tower(x) for tower in self.towers.values()])  # (T, B, C, H, W)
        stitched = torch.einsum("ctu,ubchw->tbchw", self.stitch, towers)
        answers = zip(self.predictors.values(), stitched, strict=True)
        return torch.cat([predict(feature) for predict, feature in answers], 1) + self.start[:, None, None]

    def fold(self) -> nn.Module:
        """One 1 x 1 convolution that gives all answers."""
        towers, predictors = ([kernel_of(conv) for conv in convs.values()] for convs in (self.towers, self.predictors))
        collapsed = collapse_cross_stitch(towers, self.stitch.permute(1, 2, 0), predictors)
        weight, bias = (torch.cat(parts) for parts in zip(*collapsed, strict=True))
        conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
        conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(bias + self.start)
        return conv
