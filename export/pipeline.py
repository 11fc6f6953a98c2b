"""Export a built model: convert, check the file, prove it on faces, and only then give it its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ..artifact import Artifact, atomic, load_artifact, sidecar_path, write_sidecar
from ..contract import ModelContract
from ..errors import ExportError
from ..evaluate.parity import Original, Parity, check_parity
from . import to_coreml, to_onnx, to_tflite
from .check import check_file
from .prepare import BuiltModel, Prepared, prepare, rebuild_model, training_graph
from .privacy import check_contents
from .quiet import quiet


class Converter(Protocol):
    """What a format's file must have: how its contract differs, and how to write it."""

    @property
    def SUFFIX(self) -> str:  # noqa: N802 - a module's constant
        """Of the file's name."""

    @property
    def PRECISIONS(self) -> Sequence[str]:  # noqa: N802
        """What it can be written in."""

    def contract_for(self, contract: ModelContract, precision: str) -> ModelContract:
        """The prepared contract, changed for this format."""

    def write(self, prepared: Prepared, contract: ModelContract, path: Path) -> None:
        """Write the file with the contract inside."""


#: Format name -> its converter. A new format is one file and one line here.
CONVERTERS: Mapping[str, Converter] = {"onnx": to_onnx, "tflite": to_tflite, "coreml": to_coreml}

#: What precisions are called in file names.
SHORT = {"float32": "fp32", "float16": "fp16"}


@dataclass(frozen=True)
class Exported:
    """A proven export.

    Attributes:
        artifact: the file and its contract.
        parity: how it was proven.

    """

    artifact: Artifact
    parity: Parity


def export_model(
    built: BuiltModel,
    folder: Path,
    *,
    formats: Sequence[str] = tuple(CONVERTERS),
    precisions: Sequence[str] | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> Iterator[Exported]:
    """Export to each format in each of its precisions, yielding every file as soon as it is proven.

    Args:
        built: network and weights.
        folder: where files ``NAME_SIZE_PRECISION.SUFFIX`` and their sidecars go; an older file of that name stands
            until the new one is proven.
        formats: of ``onnx``, ``tflite``, ``coreml``.
        precisions: only these; by default all that a format offers.
        progress: told in a few words what is being done.

    Raises:
        ExportError: a conversion failed.
        ParityError: an export departs from the network in training form by more than its tolerance.
        OutputError: the folder cannot be written to.

    """
    progress(f"folding {built.spec.name}")
    prepared = prepare(built)
    original = _original(prepared)
    for format in formats:
        for precision in CONVERTERS[format].PRECISIONS:
            if precisions is None or precision in precisions:
                yield _export(prepared, original, folder, format, precision, progress)


def original_of(artifact: Artifact, weights: Path | None = None) -> Original:
    """What an exported file is to be compared with: its network, built again from the contract.

    Raises:
        InvalidModel: its weights are needed and not given, or others were given.

    """
    return _original(prepare(rebuild_model(artifact.contract, weights)))


def _original(prepared: Prepared) -> Original:
    return Original(training_graph(prepared.built), prepared.graph)


def _export(
    prepared: Prepared,
    original: Original,
    folder: Path,
    format: str,
    precision: str,
    progress: Callable[[str], None],
) -> Exported:
    converter = CONVERTERS[format]
    contract = converter.contract_for(prepared.contract, precision)
    target = folder / f"{prepared.name}_{SHORT[precision]}{converter.SUFFIX}"
    with atomic(target) as temporary:
        progress(f"writing {target.name}")
        try:
            converter.write(prepared, contract, temporary)
        except (RuntimeError, ValueError, TypeError, NotImplementedError) as e:
            raise ExportError(f"{contract.model} cannot be converted to {format} {precision}: {e}") from e
        progress(f"proving {target.name} on faces")
        check_file(temporary)
        with quiet():
            written = load_artifact(temporary)
            check_contents(written)
            parity = check_parity(written, original).require()
        sidecar_path(target).unlink(missing_ok=True)  # so that an interrupt here leaves no sidecar of another file
    artifact = write_sidecar(target, contract)
    return Exported(artifact, replace(parity, artifact=artifact))
