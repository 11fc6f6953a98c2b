"""What a browser is asked: a model file, the tensors that go in, and, for us alone, the right answers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...artifact import Artifact, load_artifact
from ...errors import InvalidContract, InvalidModel, UnsupportedModel
from ...evaluate.faces import FEWEST, Portrait, bundled_portraits, inputs_for
from ...runtime.backends import Backend, open_backend
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
        right: meaning of an output -> ``(N, ...) float32``, as the engine in Python answers.
    """

    artifact: Artifact
    content: bytes
    installed: Installed
    portraits: Sequence[Portrait]
    feed: NDArray[Any]
    right: Mapping[str, NDArray[np.float32]]

    @cached_property
    def sent(self) -> NDArray[Any]:
        """The feed for the way: in bytes where its numbers are pixel values, else as it is."""
        pixels = np.clip(self.feed, 0, 255).astype(np.uint8)
        return pixels if np.array_equal(pixels, self.feed) else self.feed

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
    right = _answers(artifact, open_backend(artifact), feed)
    return Exam(artifact, _read(model, artifact), installed, portraits, feed, right)


def _answers(artifact: Artifact, backend: Backend, feed: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
    """What is right, by meaning; a file that answers nonsense here cannot be compared with anything."""
    contract, answers = artifact.contract, backend.run({artifact.contract.input.name: feed})
    if missing := set(contract.outputs.values()) - answers.keys():
        came = ", ".join(sorted(answers))
        raise InvalidContract(f"{artifact.path}: gave {came}, but its contract also names {sorted(missing)}")
    right = {meaning: np.asarray(answers[name], np.float32) for meaning, name in contract.outputs.items()}
    for meaning, values in right.items():
        if values.shape[:1] != feed.shape[:1]:
            raise InvalidContract(
                f"{artifact.path}: {meaning} {values.shape}, expected one for each of {len(feed)} pictures"
            )
        if not np.isfinite(values).all():
            raise UnsupportedModel(f"{artifact.path}: NaN or infinity in its {meaning} on {backend.name}")
    return right


def _read(model: Path, artifact: Artifact) -> bytes:
    try:
        content = model.read_bytes()
    except OSError as e:
        raise InvalidModel(f"{model}: cannot be read: {e.strerror or e}") from e
    if hashlib.sha256(content).hexdigest() != artifact.sha256:
        raise InvalidModel(f"{model}: changed while it was read; try again")
    return content
