"""``python -m pocketface.evaluate.arm64.probe FILE PICTURES ANSWERS``: what an engine answers, where this runs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...artifact import load_artifact
from ...runtime.backends import open_backend
from ...runtime.backends.tensors import Array
from ...runtime.preprocess import to_tensor


def answers(file: Path, pictures: NDArray[np.uint8]) -> dict[str, Array]:
    """All outputs of a model file, one picture after the other, on one thread."""
    artifact = load_artifact(file)
    spec = artifact.contract.input
    engine = open_backend(artifact, threads=1)
    runs = [engine.run({spec.name: to_tensor(picture[None], spec)}) for picture in pictures]
    return {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}


def main(file: str, pictures: str, target: str) -> None:
    """Answer pictures in a ``.npy`` file into an ``.npz`` file."""
    np.savez(target, **answers(Path(file), np.load(pictures, allow_pickle=False)))


if __name__ == "__main__":
    main(*sys.argv[1:])
