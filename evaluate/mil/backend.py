"""The interpreter as an engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch

from ...artifact import Artifact
from ...runtime.backends.tensors import Array, Feeds
from .interpreter import Interpreter, open_package


def load_mil(artifact: Artifact, threads: int | None = None) -> MilBackend:
    """Open an ``.mlpackage`` with the interpreter, on any machine.

    Raises:
        MissingExtra: coremltools is not installed.
        InvalidModel: the package is damaged or no ML Program.
        UnsupportedModel: the program uses something that the interpreter does not know.
    """
    return MilBackend(open_package(artifact.path), threads)


class MilBackend:
    """An interpreter with a fixed number of threads; images are fed as ``(1, H, W, 3) uint8`` RGB."""

    name = "mil"

    def __init__(self, interpreter: Interpreter, threads: int | None = None) -> None:
        self.interpreter, self.threads = interpreter, threads

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run the program once; float16 outputs come as float32.

        Raises:
            InvalidContract: the feeds are not what the program takes.
        """
        with _threads(self.threads):
            outputs = self.interpreter.run(feeds)
        return {name: np.asarray(a, np.float32) if a.dtype == np.float16 else a for name, a in outputs.items()}


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
