"""Core ML through coremltools. Only macOS has Core ML itself, so only there can this engine run."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from PIL import Image

from ...artifact import Artifact
from ...errors import InvalidContract, MissingExtra, UnsupportedModel
from .tensors import Array, Feeds


def load_coreml(artifact: Artifact, threads: int | None = None) -> CoreMLBackend:
    """Open an ``.mlpackage`` with Core ML, which chooses the processor and the number of threads itself.

    Raises:
        MissingExtra: coremltools is not installed.
        UnsupportedModel: this is not macOS, or its Core ML refuses the file.
    """
    if sys.platform != "darwin":
        raise UnsupportedModel(
            f"{artifact.path}: Core ML runs on macOS only, this is {sys.platform}; to check the file here, "
            "import pocketface.evaluate.mil and use the backend 'mil'"
        )
    try:
        import coremltools as ct
    except ImportError as e:
        raise MissingExtra("coremltools", "coreml", "run .mlpackage files") from e
    try:
        model = ct.models.MLModel(str(artifact.path))
    except Exception as e:  # what coremltools raises here is undocumented and differs between releases
        raise UnsupportedModel(f"{artifact.path}: Core ML cannot load it: {e}") from e
    return CoreMLBackend(model, artifact)


class CoreMLBackend:
    """A ``coremltools.models.MLModel`` that takes one picture at a time."""

    name = "coreml"

    def __init__(self, model: Any, artifact: Artifact) -> None:
        self._model, self._path = model, str(artifact.path)
        self._as_image = artifact.contract.input.layout == "image"

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run the model on one picture; float16 outputs come as float32.

        Raises:
            InvalidContract: an array that is not one picture of the layout in the contract.
            UnsupportedModel: Core ML fails on this input.
        """
        values = {name: self._picture(name, array) if self._as_image else array for name, array in feeds.items()}
        try:
            outputs = self._model.predict(values)
        except Exception as e:  # as above
            raise UnsupportedModel(f"{self._path}: Core ML fails to run it: {e}") from e
        return {name: np.asarray(value, np.float32) for name, value in outputs.items()}

    def _picture(self, name: str, array: Array) -> Image.Image:
        if array.dtype != np.uint8 or array.ndim != 4 or array.shape[0] != 1 or array.shape[3] != 3:
            raise InvalidContract(
                f"{self._path}: fed with {name} {array.dtype} {array.shape}, expected one picture, uint8 (1, H, W, 3)"
            )
        return Image.fromarray(np.ascontiguousarray(array[0]))
