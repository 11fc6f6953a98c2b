"""A float file that answers as another one does, with channels of like ranges: the kinder one to quantize."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from ..artifact import Artifact
from ..errors import ExportError
from ..export.prepare import prepare, rebuild_model
from ..models.equalize import equalize
from .fidelity import Judge
from .pictures import Pictures
from .source import write_source

#: What must hold between the two files, by figure: the change is exact but for the last digits.
_EXACT: Mapping[str, tuple[float, float]] = {
    "float32": (0.99999, 0.999),
    "float16": (0.999, 0.98),
}


def equalized_source(parent: Artifact, calibration: Pictures, folder: Path, weights: Path | None = None) -> Artifact:
    """Build a float file's network again, equalise it on the calibration pictures, and export it in the same format.

    Args:
        parent: the float file.
        calibration: to see the ranges on.
        folder: where the new file goes.
        weights: the checkpoint, unless the weights were seeded or come with the package.

    Raises:
        InvalidModel: its weights are needed and not given, or others were given.
        ExportError: the new file does not answer as the old one.
    """
    prepared = prepare(rebuild_model(parent.contract, weights))
    images = torch.from_numpy(calibration.inputs).permute(0, 3, 1, 2).float()
    network = equalize(prepared.graph.network, prepared.graph.normalize(images))
    made = write_source(parent, prepared, network, folder)
    require_same(parent, made, calibration)
    return made


def require_same(parent: Artifact, made: Artifact, calibration: Pictures) -> None:
    """Refuse a file that departs from another one by more than the last digits.

    Raises:
        ExportError: it does.
    """
    figures = Judge(parent, calibration.inputs[:16]).compare(made).figures
    cosine, overlap = _EXACT[parent.contract.precision]
    if figures.get("cosine_min", 1.0) < cosine or figures.get("box_iou", 1.0) < overlap:
        told = ", ".join(f"{name} {value:.6f}" for name, value in figures.items())
        raise ExportError(f"{parent.path.name}: equalising changed its answers ({told}); quantize it without")
