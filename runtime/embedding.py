"""An embedding that knows which network made it, and in which precision, and the comparison that it is made for."""

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
        precision: of the file that made it, from its contract.
        compatible: other precisions that this file's embeddings were shown to decide alike with.
    """

    vector: NDArray[np.float32]
    fingerprint: str
    precision: str = "float32"
    compatible: tuple[str, ...] = ()


def compare(a: Embedding, b: Embedding) -> float:
    """Cosine of two embeddings, -1..1; the higher, the more likely they show one person.

    Raises:
        EmbeddingMismatch: different networks made them, or one network in two precisions that nobody has shown to
            decide alike (`pocketface evaluate verification` with --gate and --record does).
    """
    if a.fingerprint != b.fingerprint:
        raise EmbeddingMismatch(
            f"embeddings of networks {a.fingerprint[:12]} and {b.fingerprint[:12]} cannot be compared; "
            "embed both pictures with one network"
        )
    if a.precision != b.precision and a.precision not in b.compatible and b.precision not in a.compatible:
        raise EmbeddingMismatch(
            f"embeddings in {a.precision} and {b.precision} were not shown to decide alike; embed both pictures with "
            "one file, or prove the files with `pocketface evaluate verification --gate ... --record`"
        )
    return float(np.clip(a.vector @ b.vector, -1, 1))
