"""Write the thresholds of a file into it: which cosine means "the same person" at a stated false accept rate.

They belong to one file: another precision or engine of the same network has its own scores. A FAR that the data cannot
support is not written, for whoever read it would take it for known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from ..artifact import Artifact, replace_contract
from ..contract import Calibration, Recognition, Threshold
from ..errors import InvalidContract, InvalidData
from .verification import AtFar, Data, Verification, fingerprint_of, images_of

#: What a file gets thresholds for.
CALIBRATED_FARS = (1e-2, 1e-3, 1e-4)


def calibration_of(data: Data, result: Verification, backend: str) -> tuple[Calibration, tuple[str, ...]]:
    """The thresholds that a result supports, and a sentence for each FAR that it does not.

    Raises:
        InvalidData: it supports none.
    """
    supported = [entry for entry in result.at_far if not entry.note and entry.threshold_interval]
    refused = tuple(entry.note for entry in result.at_far if entry.note)
    if not supported:
        raise InvalidData(f"{images_of(data).name} supports no threshold; {'; '.join(e.note for e in result.at_far)}")
    calibration = Calibration(
        thresholds=tuple(_threshold(entry) for entry in sorted(supported, key=lambda entry: -entry.far)),
        data=images_of(data).name,
        data_fingerprint=fingerprint_of(data),
        genuine=result.genuine,
        impostors=result.impostors,
        identities=result.units if result.unit == "identity" else 0,
        backend=backend,
    )
    return calibration, refused


def write_calibration(artifact: Artifact, calibration: Calibration) -> Artifact:
    """Put thresholds into a file's contract, inside and beside it, in place of older ones.

    Raises:
        InvalidContract: not a recogniser's.
        InvalidModel, OutputError: see :func:`replace_contract`.
    """
    return _with(artifact, calibration=calibration)


def write_compatible(artifact: Artifact, precisions: Sequence[str]) -> Artifact:
    """Add precisions whose embeddings were shown to decide alike with this file's; its own needs no mention.

    Raises:
        InvalidContract: not a recogniser's.
        InvalidModel, OutputError: see :func:`replace_contract`.
    """
    known = tuple(_task(artifact).compatible or ())
    wanted = tuple(sorted({*known, *precisions} - {artifact.contract.precision}))
    return artifact if wanted == known else _with(artifact, compatible=wanted)


def _with(artifact: Artifact, **changes: object) -> Artifact:
    contract = msgspec.structs.replace(artifact.contract, task=msgspec.structs.replace(_task(artifact), **changes))
    return artifact if contract == artifact.contract else replace_contract(artifact, contract)


def _task(artifact: Artifact) -> Recognition:
    if not isinstance(artifact.contract.task, Recognition):
        raise InvalidContract(f"{artifact.path}: a model for {artifact.contract.task_name}, expected a recogniser")
    return artifact.contract.task


def _threshold(entry: AtFar) -> Threshold:
    assert entry.threshold is not None
    assert entry.threshold_interval is not None
    assert entry.tar is not None
    low, high = (min(max(round(bound, 6), -1.0), 1.0) for bound in entry.threshold_interval)
    return Threshold(far=entry.far, score=_up(entry.threshold), score_interval=(low, high), tar=entry.tar)


def _up(score: float) -> float:
    """To six places, upwards: no more impostors pass at the rounded threshold."""
    return min(max(math.ceil(score * 1e6) / 1e6, -1.0), 1.0)
