"""What ``pocketface train qat_xs`` learnt, as the float file that is quantized in its parent's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..artifact import Artifact, digest
from ..contract import Rehearsal
from ..errors import InvalidData
from ..export.prepare import prepare, rebuild_model
from ..models.checkpoint import load_weights
from ..train.record import Record, open_record
from ..weights import find_bundled
from .carried import carried
from .pictures import Pictures, plain
from .ranges import Range
from .source import write_source

#: Name of the weights in the folder of a run.
_WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Trained:
    """A file to quantize, and what it rests on.

    Attributes:
        source: the float file with the weights that were trained.
        ranges: tensor of that file -> the range that it had in training.
        rehearsal: for the contract.
        pictures: that it was trained on, by their digests alone: no set that judges may share any.
    """

    source: Artifact
    ranges: Mapping[str, Range]
    rehearsal: Rehearsal
    pictures: Pictures


def trained_source(parent: Artifact, run: Path, folder: Path, weights: Path | None = None) -> Trained:
    """Export the weights of a run as the float file was exported.

    Args:
        parent: the float file that the run's weights shall stand in for.
        run: the folder of the run.
        folder: where the new file goes.
        weights: the checkpoint of the float file, unless it comes with the package.

    Raises:
        InvalidModel: the float file's weights are needed and not given, or others were given; damaged weights.
        InvalidData: no record of a run, or of one that began elsewhere or is of another version.
    """
    record, file = open_record(run), run / _WEIGHTS
    prepared = prepare(rebuild_model(parent.contract, weights))
    _require_begun(parent, record, weights, run)
    load_weights(prepared.graph.network, file)
    source = write_source(parent, prepared, prepared.graph.network, folder)
    ranges = carried(source, prepared, record.ranges)
    rehearsal = Rehearsal(
        weights=digest(file)[0],
        data=record.data,
        pictures=len(record.digests),
        steps=record.steps,
        ranges=len(ranges),
    )
    side = parent.contract.input
    nothing = np.empty((0, side.height, side.width, 3), np.uint8)
    people = frozenset(plain(name) for name in record.people)
    return Trained(source, ranges, rehearsal, Pictures(f"the training in {run.name}", nothing, record.digests, people))


def _require_begun(parent: Artifact, record: Record, weights: Path | None, run: Path) -> None:
    """Refuse a run that began from other weights than those of the float file."""
    bundled = find_bundled(parent.contract.model)
    began = weights or (bundled.path if bundled else None)
    if record.network != parent.contract.model or began is None or digest(began)[0] != record.began:
        raise InvalidData(
            f"{run}: a run of {record.network} that began from weights with SHA-256 {record.began[:12]}, "
            f"but {parent.path.name} is {parent.contract.model} from {parent.contract.weights}; train from those"
        )
