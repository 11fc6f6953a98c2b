"""From a cosine to a decision that can be stood by: "the same person, at a FAR of 1 in 1000"."""

from __future__ import annotations

from dataclasses import dataclass

from ..contract import Recognition


@dataclass(frozen=True)
class Decision:
    """What two faces' cosine means for the file that embedded them. As text, one plain sentence.

    Attributes:
        cosine: -1..1.
        far: the strictest FAR at whose threshold they pass for one person; None if they pass at none.
        threshold: that threshold; if they pass at none, the most lenient one; None for a file without thresholds.
        lenient: the most lenient FAR that the file has a threshold for; None for a file without.
    """

    cosine: float
    far: float | None = None
    threshold: float | None = None
    lenient: float | None = None

    @property
    def calibrated(self) -> bool:
        """Whether the file has thresholds; without them a cosine says nothing."""
        return self.lenient is not None

    def same_at(self, far: float) -> bool:
        """Whether they pass for one person at this FAR, as far as the file's thresholds say: in doubt not."""
        return self.far is not None and self.far <= far

    def __str__(self) -> str:
        if not self.calibrated:
            return (
                f"cosine {self.cosine:.4f}; the model is not calibrated, so no threshold says whether that is one "
                "person: run `pocketface calibrate`"
            )
        if self.far is None:
            return f"not the same person: cosine {self.cosine:.4f} < {self.threshold:.4f}, at FAR {_rate(self.lenient)}"
        return f"same person at FAR {_rate(self.far)}: cosine {self.cosine:.4f} >= {self.threshold:.4f}"


def decide(cosine: float, task: Recognition) -> Decision:
    """Hold a cosine against the thresholds of the file that embedded both faces."""
    if not task.calibration:
        return Decision(cosine)
    thresholds = task.calibration.thresholds  # from lenient to strict
    passed = [entry for entry in thresholds if cosine >= entry.score]
    reached = passed[-1] if passed else thresholds[0]
    return Decision(cosine, reached.far if passed else None, reached.score, thresholds[0].far)


def _rate(far: float | None) -> str:
    """0.001 as ``1e-3``."""
    return f"{far:.0e}".replace("e-0", "e-") if far else "0"
