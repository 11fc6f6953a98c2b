"""An embedding that knows which network made it, and the one comparison that embeddings are made for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import EmbeddingMismatch


@dataclass(frozen=True, eq=False)
class Embedding:
    """A face as a direction in the space of one network.

    Attributes:
        vector: ``(D,) float32`` of length 1.
        fingerprint: of the network, from its contract.
    """

    vector: NDArray[np.float32]
    fingerprint: str


def compare(a: Embedding, b: Embedding) -> float:
    """Cosine of two embeddings, -1..1; the higher, the more likely they show one person.

    Raises:
        EmbeddingMismatch: different networks made them.
    """
    if a.fingerprint != b.fingerprint:
        raise EmbeddingMismatch(
            f"embeddings of networks {a.fingerprint[:12]} and {b.fingerprint[:12]} cannot be compared; "
            "embed both pictures with one network"
        )
    return float(np.clip(a.vector @ b.vector, -1, 1))
