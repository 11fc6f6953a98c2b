"""The formats that can be quantized: a new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from ..artifact import Artifact
from ..errors import InvalidModel
from . import to_coreml, to_onnx, to_tflite
from .layers import Layer, Operation, group
from .ranges import Extremes, Range
from .recipe import Recipe


class Quantizer(Protocol):
    """What a format's file must have."""

    def operations(self, path: Path) -> list[Operation]:
        """The operations of a float file, in the order in which they run."""

    def extremes(self, path: Path, feeds: NDArray[Any], name: str) -> Extremes:
        """Least and greatest values of every tensor of a float file over pictures that go into the input ``name``."""

    def write(
        self, source: Path, recipe: Recipe, chosen: Collection[str], found: Mapping[str, Range], path: Path
    ) -> None:
        """Quantize the chosen operations of a float file."""


#: Format name -> its quantizer.
QUANTIZERS: Mapping[str, Quantizer] = {"onnx": to_onnx, "tflite": to_tflite, "coreml": to_coreml}


def layers_of(artifact: Artifact) -> tuple[Layer, ...]:
    """The layers of a float file in the order in which they run; the first is ``input``, the last ``output``.

    Raises:
        MissingExtra: the format's tools are not installed.
        InvalidModel: the file is damaged, or has no operation with weights.
    """
    found = group(QUANTIZERS[artifact.format].operations(artifact.path), artifact.contract.model)
    if len(found) < 3:
        raise InvalidModel(f"{artifact.path}: no operation with weights in it, so there is nothing to quantize")
    return found
