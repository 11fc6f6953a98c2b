"""A recogniser that also says how far a face can be recognised, at next to no cost.

Source: Deng et al., "Harnessing Unrecognizable Faces for Improving Face Recognition" (VLRFR, CVPR 2023, arXiv
2304.10066). The index is read from the last map of the recogniser, where it is looked at through a perceptibility
attention; what teaches both is in ``train.recognizability`` and does not ship.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .checkpoint import load_weights
from .facelivtv2 import DIMS
from .registry import create_model, model_spec, register_model
from .trunk import BNLinear, FaceLiVT

#: Channel groups of the attention: each looks at cells of its own.
GROUPS = 8
#: Width of the layer below the index.
HIDDEN = 64


class PerceptibilityAttention(nn.Module):
    """The mean over the cells of a map, each group of channels weighted by what it takes to be perceptible.

    As one convolution scores the cells and a softmax makes the scores weights, a face that is hidden in places is
    judged by the others.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, GROUPS, 1, bias=False)  # a softmax sees no bias

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C)."""
        share = torch.softmax(self.score(x).flatten(2), dim=2).unsqueeze(2)  # (B, groups, 1, H*W)
        parts = x.reshape(x.shape[0], GROUPS, x.shape[1] // GROUPS, -1)  # (B, groups, C/groups, H*W)
        return (parts * share).sum(3).flatten(1)


class RecognizabilityIndex(nn.Module):
    """(B, C, H, W), the last map of a recogniser -> (B, 1) in 0..1; 1 is a face that is recognised with ease."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = PerceptibilityAttention(channels)
        self.hidden = BNLinear(channels, HIDDEN)
        self.index = nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Attend, and judge."""
        return self.judge(self.attention(x))

    def judge(self, seen: Tensor) -> Tensor:
        """(B, C) that the attention gives -> (B, 1)."""
        return torch.sigmoid(self.index(F.gelu(self.hidden(seen))))


class Recognizable(nn.Module):
    """A recogniser with a recognizability index on its last map.

    Called, it gives the embedding alone, as any recogniser does, so it can stand wherever one is expected.
    """

    def __init__(self, trunk: FaceLiVT, channels: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.quality = RecognizabilityIndex(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 112, 112) in -1..1 RGB -> (B, embedding_size), not normalised."""
        return self.trunk(x)  # type: ignore[no-any-return]

    def judged(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The same, and the recognizability (B, 1) in 0..1 beside it."""
        last = self.trunk.last_map(x)
        return self.trunk.embed(last), self.quality(last)


@register_model(
    replace(
        model_spec("facelivtv2_xs"),
        name="facelivtv2_xs_ri",
        summary="FaceLiVTv2-XS that also says how far a face can be recognised",
        source="arXiv 2604.09127 and 2304.10066, github.com/novendrastywn/FaceLiVT",
        trunk="facelivtv2_xs",
    )
)
def _build() -> nn.Module:
    trunk = create_model("facelivtv2_xs")
    assert isinstance(trunk, FaceLiVT)
    return Recognizable(trunk, DIMS["xs"][-1])


def load_trunk(model: Recognizable, path: Path) -> None:
    """Load a checkpoint of the recogniser without the index, so that the index can be trained on it.

    Raises:
        InvalidModel: the file cannot be read, or is none of this trunk.
    """
    load_weights(model.trunk, path)
