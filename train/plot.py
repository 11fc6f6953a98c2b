"""The losses of a run as a picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..artifact import atomic
from ..errors import InvalidData
from ..evaluate.plots import Curve, curve_plot

_NOT_LOSSES = ("step", "seconds_per_step")


def plot_losses(out: Path) -> Path:
    """Draw ``log.jsonl`` of a run's folder as ``loss.png`` beside it: every loss over the steps, smoothed.

    Raises:
        InvalidData: no log there.
        MissingExtra: matplotlib is not installed.
    """
    try:
        rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        steps = np.array([row["step"] for row in rows], float)
        curves = [
            Curve(name, steps, smooth(np.array([row.get(name, np.nan) for row in rows], float)))
            for name in rows[0]
            if name not in _NOT_LOSSES
        ]
    except (OSError, ValueError, KeyError, IndexError) as e:
        raise InvalidData(f"{out}: no log of a training: {e}") from e
    file = out / "loss.png"
    with atomic(file) as temporary:
        temporary.write_bytes(curve_plot(curves, x="step", y="loss"))
    return file


def smooth(
    values: np.ndarray[tuple[int], np.dtype[np.float64]], share: float = 0.9
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Exponential mean over what came before, each value of it corrected for its short past."""
    mean, weight, out = 0.0, 0.0, np.empty_like(values)
    for i, value in enumerate(values):
        mean, weight = share * mean + (1 - share) * value, share * weight + (1 - share)
        out[i] = mean / weight
    return out
