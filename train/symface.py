"""SymFace: the two halves of a frontal face belong to one person, so their embeddings should agree.

Source: arXiv 2409.11816. The paper leaves its constants open; here the nose's distance from the middle between the
eyes is measured in eye distances, a face counts as frontal below 0.1 of one, and each half stands alone on black, the
right one mirrored onto the left one's place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import InvalidGeometry

#: Faces of at least this frontness are split.
FRONTAL = 0.9
_BLACK = -1.0  # as networks see it, and as alignment fills what lies outside of a picture


def frontness(landmarks: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """How frontal faces are: 1 less the nose's sideways distance from the middle of the eyes, in eye distances.

    Sideways is along the line through the eyes, so turning the picture changes nothing; nor does mirroring it.

    Args:
        landmarks: (N, 5, 2): the eyes first, then the nose.

    Returns:
        (N,) in 0..1.

    Raises:
        InvalidGeometry: another shape, or eyes that coincide or are not finite.
    """
    if landmarks.ndim != 3 or landmarks.shape[1:] != (5, 2):
        raise InvalidGeometry(f"expected landmarks (N, 5, 2), got {landmarks.shape}")
    left, right, nose = landmarks[:, :3].astype(np.float64).swapaxes(0, 1)
    along = right - left
    squared = (along**2).sum(1)
    offset = np.abs(((nose - (left + right) / 2) * along).sum(1)) / np.where(squared > 0, squared, np.nan)
    if not np.isfinite(offset).all():
        raise InvalidGeometry(
            f"faces {np.flatnonzero(~np.isfinite(offset))[:10]} have eyes that coincide, or no numbers"
        )
    return np.asarray(1 - offset.clip(0, 1))


def halves(image: Tensor) -> Tensor:
    """Aligned crops cut down the middle: (B, 3, H, W) in -1..1 -> (2 B, 3, H, W), all left halves, then all right ones.

    W is even. The right halves are mirrored, so both kinds fill the left side of a black picture.
    """
    middle = image.shape[3] // 2
    both = torch.cat([image[..., :middle], image[..., middle:].flip(3)])
    return F.pad(both, (0, middle), value=_BLACK)


def symmetry_loss(embedding: Tensor) -> Tensor:
    """``mean(1 - cos)`` of (2 B, D) embeddings of :func:`halves`; 0 for none."""
    left, right = embedding.chunk(2) if len(embedding) else (embedding, embedding)
    return (1 - F.cosine_similarity(left, right)).sum() / max(len(left), 1)


@contextlib.contextmanager
def statistics_kept(network: nn.Module) -> Iterator[None]:
    """Within, BatchNorm does not learn its running statistics, which are to be those of whole faces."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    before = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum
