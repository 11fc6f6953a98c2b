"""What a browser is asked: a model file, the tensors that go in, and, for us alone, the right answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...artifact import Artifact, load_artifact
from ...errors import InvalidContract, InvalidModel, UnsupportedModel
from ...evaluate.faces import FEWEST, Portrait, bundled_portraits, inputs_for
from ...runtime.backends import open_backend
from ...runtime.preprocess import to_tensor
from .engines import Installed, find_engine

#: Larger files are no models for a phone's browser.
MOST_BYTES = 512 << 20


@dataclass(frozen=True, eq=False)
class Exam:
    """One model and what it is asked.

    Attributes:
        artifact: the model file.
        content: its bytes.
        installed: the engine that runs it in a browser.
        portraits: the pictures.
        feed: the input tensor, ``(N, ...)``, a row for each picture.
        right: meaning of an output -> ``(N, ...) float32``, as the runtime in Python answers.
        engine: what ran it there.
    """

    artifact: Artifact
    content: bytes
    installed: Installed
    portraits: Sequence[Portrait]
    feed: NDArray[Any]
    right: Mapping[str, NDArray[np.float32]]
    engine: str

    @property
    def encoded(self) -> bytes:
        """The feed for the way: as bytes where its numbers are pixel values, else as they are."""
        pixels = self.feed.astype(np.uint8)
        return (pixels if np.array_equal(pixels, self.feed) else self.feed).tobytes()

    @property
    def outputs(self) -> dict[str, int]:
        """Name of an output tensor -> how many numbers of it belong to a picture."""
        names = self.artifact.contract.outputs
        return {name: self.right[meaning][0].size for meaning, name in names.items()}


def set_exam(model: Path, *, pictures: int, engines: Path | None = None) -> Exam:
    """Load a model and answer its questions.

    Args:
        model: an ``.onnx`` or ``.tflite`` file.
        pictures: how many of the 48 bundled portraits, 1 to 48.
        engines: a ``node_modules``; None for the usual ones.

    Raises:
        InvalidModel, InvalidContract: the file or its contract is not sound.
        UnsupportedModel, MissingExtra: no engine can run it, here or in a browser.
    """
    artifact = load_artifact(model)
    if artifact.format == "coreml":
        raise UnsupportedModel(f"{model}: a Core ML package runs in no browser; give an .onnx or a .tflite file")
    if artifact.size_bytes > MOST_BYTES:
        raise UnsupportedModel(f"{model}: {artifact.size_bytes} bytes; at most {MOST_BYTES} are sent to a browser")
    installed, contract = find_engine(artifact.format, engines), artifact.contract
    step = FEWEST // pictures
    portraits = bundled_portraits()[::step][:pictures]
    feed = to_tensor(inputs_for(contract, portraits), contract.input)
    backend = open_backend(artifact)
    answers = backend.run({contract.input.name: feed})
    if missing := set(contract.outputs.values()) - answers.keys():
        raise InvalidContract(f"{model}: gave {sorted(answers)}, but its contract also names {sorted(missing)}")
    right = {meaning: np.asarray(answers[name], np.float32) for meaning, name in contract.outputs.items()}
    if not all(np.isfinite(values).all() for values in right.values()):
        raise UnsupportedModel(f"{model}: NaN or infinity in its outputs on {backend.name}, so nothing can be compared")
    return Exam(artifact, _read(model, artifact), installed, portraits, feed, right, backend.name)


def _read(model: Path, artifact: Artifact) -> bytes:
    try:
        content = model.read_bytes()
    except OSError as e:
        raise InvalidModel(f"{model}: cannot be read: {e.strerror or e}") from e
    if len(content) != artifact.size_bytes:
        raise InvalidModel(f"{model}: changed while it was read; try again")
    return content
