"""``python -m pocketface.evaluate.arm64.probe FILE PICTURES ANSWERS``: what an engine answers, where this runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...artifact import Artifact, load_artifact
from ...runtime.backends import Backend, open_backend
from ...runtime.backends.ort import load_onnxruntime
from ...runtime.backends.tensors import Array
from ...runtime.preprocess import to_tensor

#: How ONNX Runtime may compute -> what opens a file so.
#: x86 keeps to whole numbers by itself where activations have no sign; where they have one, only if it is told to.
WAYS: Mapping[str, Callable[[Artifact], Backend]] = {
    "whole numbers": lambda file: load_onnxruntime(file, 1, entries={"session.qdqisint8allowed": "1"}),
    "as it comes": lambda file: load_onnxruntime(file, 1),
    "not optimised": lambda file: load_onnxruntime(file, 1, optimized=False),
}


def answers(file: Path, pictures: NDArray[np.uint8], way: str = "") -> dict[str, Array]:
    """All outputs of a model file, one picture after the other, on one thread; in one of ``WAYS`` or as it comes."""
    artifact = load_artifact(file)
    spec = artifact.contract.input
    engine = WAYS[way](artifact) if way else open_backend(artifact, threads=1)
    runs = [engine.run({spec.name: to_tensor(picture[None], spec)}) for picture in pictures]
    return {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}


def main(file: str, pictures: str, target: str) -> None:
    """Answer pictures in a ``.npy`` file into an ``.npz`` file."""
    np.savez(target, **answers(Path(file), np.load(pictures, allow_pickle=False)))


if __name__ == "__main__":
    main(*sys.argv[1:])
