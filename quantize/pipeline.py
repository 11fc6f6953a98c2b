"""Quantize a file: build it, look inside, judge it beside its parent, and only then give it its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..artifact import Artifact, atomic, sidecar_path, write_sidecar
from ..errors import ParityError
from ..evaluate.gate import Condition, broken
from ..export.check import check_file
from ..export.privacy import check_contents
from .decisions import split_gate
from .fidelity import Fidelity
from .job import Job
from .rescue import Rescue, rescue


@dataclass(frozen=True)
class Quantized:
    """A quantized file that met its gate.

    Attributes:
        artifact: the file and its contract.
        parent: the float file that it was made from.
        fidelity: how nearly it answers as its parent.
        layers: number of layers that are quantized.
        rescue: what was kept in float for the gate; None where that was not asked for.

    """

    artifact: Artifact
    parent: Artifact
    fidelity: Fidelity
    layers: int
    rescue: Rescue | None = None

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the layers that stayed in float."""
        how = self.artifact.contract.quantization
        return how.kept if how else ()


def quantize_artifact(job: Job, folder: Path, *, gate: Sequence[Condition] = (), rescuing: bool = False) -> Quantized:
    """Quantize a float file.

    Args:
        job: the file, the recipe, and the pictures.
        folder: where ``NAME_SIZE_RECIPE.SUFFIX`` and its sidecar go; an older file stands until the new one is proven.
        gate: what its figures must meet.
        rescuing: keep as few layers in float as it takes to meet the gate.

    Raises:
        ParityError: the gate is not met; nothing is left.
        ExportError: the format's quantizer fails, or leaves something in the file that does not belong there.
        OutputError: the folder cannot be written to.

    """
    target = folder / name_of(job)
    answers, _ = split_gate(gate, job.decisions is not None)
    with atomic(target) as temporary:
        rescued = rescue(job, answers) if rescuing else None
        job.progress(f"writing {target.name}")
        chosen = job.chosen(rescued.kept if rescued else ())
        made = job.build(chosen, temporary)
        check_file(temporary)
        check_contents(made)
        fidelity = job.judge.compare(made)
        if job.decisions:
            figures = fidelity.figures | job.decisions.compare([job.parent, made], job.progress)[1]
            fidelity = msgspec.structs.replace(fidelity, figures=figures)
        if faults := broken(gate, fidelity.figures):
            hint = "" if rescuing else "; --rescue keeps the layers in float that it takes"
            raise ParityError(f"{target.name} on {fidelity.engine}: {'; '.join(faults)}{hint}")
        sidecar_path(target).unlink(missing_ok=True)  # so that an interrupt here leaves no sidecar of another file
    artifact = write_sidecar(target, job.contract(chosen), job.parent.sha256)
    return Quantized(artifact, job.parent, fidelity, len([c for c in chosen if c.elements]), rescued)


def name_of(job: Job) -> str:
    """``facelivtv2_xs_112_fp32.onnx`` -> ``facelivtv2_xs_112_static_wi8_ai8.onnx``."""
    path = job.parent.path
    stem = path.stem.removesuffix("_fp32").removesuffix("_fp16")
    ends = "_qat" if job.rehearsal else ""
    ends += "_int8io" if job.recipe.io == "int8" else ""
    return f"{stem}_{job.recipe.name}{ends}{path.suffix}"
