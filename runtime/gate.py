"""A gate before comparison: faces that are too small or too bad to be compared are refused, and told why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .analyzer import Face


@dataclass(frozen=True)
class Gate:
    """What a face must have to be compared.

    What quality to ask for depends on the recogniser: its card says which share of pictures each value refuses, and
    which errors that avoids.

    Attributes:
        quality: the least, 0..1; a face whose quality is not known passes.
        side_px: the least length of the shorter side of its box, in pixels of the picture.

    >>> gate = Gate(quality=0.4, side_px=40)
    >>> kept = [face for face in faces if gate.refusal(face) is None]  # doctest: +SKIP
    """

    quality: float = 0.0
    side_px: float = 0.0

    def refusal(self, face: Face) -> str | None:
        """Why a face is refused, in a few words; None if it may pass."""
        side = float(np.min(face.box[2:] - face.box[:2]))
        if not side >= self.side_px:
            return f"too small: {side:.1f} px, expected at least {self.side_px:g} px"
        if face.quality is not None and not face.quality >= self.quality:
            return f"too hard to recognise: quality {face.quality:.2f}, expected at least {self.quality:g}"
        return None
