"""How parity is shown: the columns of its table, and one row of it."""

from __future__ import annotations

from ..report import Column, Row
from .agreement import Parity

PARITY_COLUMNS = (
    Column(key="file", name="file"),
    Column(key="format", name="format"),
    Column(key="precision", name="precision"),
    Column(key="backend", name="engine"),
    Column(key="faces", name="faces", kind="number"),
    Column(key="cosine", name="cosine", kind="number", spec=".7f"),
    Column(key="max_abs", name="max |Δ|", kind="number", spec=".1e"),
    Column(key="quality", name="quality |Δ|", kind="number", spec=".1e"),
    Column(key="box_iou", name="box IoU", kind="number", spec=".4f"),
    Column(key="landmarks_px", name="landmarks", unit="px", kind="number", spec=".3f"),
    Column(key="passed", name="verdict", kind="verdict"),
)


def parity_row(parity: Parity) -> Row:
    """A row of numbers; JSON shows all of them, the table those that have a column."""
    return {
        "file": parity.artifact.path.name,
        "format": parity.artifact.format,
        "precision": parity.artifact.contract.precision,
        "backend": parity.backend,
        "faces": parity.faces,
        "detections": parity.detections,
        "cosine": parity.cosine,
        "max_abs": parity.max_abs,
        "quality": parity.quality,
        "box_iou": parity.box_iou,
        "landmarks_px": parity.landmarks_px,
        "passed": parity.passed,
        "failures": "; ".join(parity.failures) or None,
        "departure": str(parity.departure) if parity.departure else None,
        "sha256": parity.artifact.sha256,
    }
