"""A model file, its contract and an engine, joined: pictures in, named outputs out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..artifact import Artifact, load_artifact
from ..contract import Detection, Recognition
from ..errors import InvalidContract, UnsupportedModel
from .backends import Backend, open_backend
from .preprocess import to_tensor

Task = TypeVar("Task", Detection, Recognition)


class Session(Generic[Task]):
    """An open model that speaks in meanings instead of tensor names.

    Args:
        model: a model file, or an artifact that is already loaded.
        task: what the model must do.
        backend: name of the engine; None for the first that can run the file; or an open backend.
        threads: for the engine; None for its own choice.

    Raises:
        InvalidModel, InvalidContract: the file or its contract is not sound, or it does something else.
        UnsupportedModel, MissingExtra: no engine can run it here.
    """

    task: Task

    def __init__(
        self, model: str | Path | Artifact, task: type[Task], backend: str | Backend | None, threads: int | None
    ) -> None:
        self.artifact = model if isinstance(model, Artifact) else load_artifact(model)
        self.contract = self.artifact.contract
        if not isinstance(self.contract.task, task):
            came, wanted = self.contract.task_name, task.__struct_config__.tag
            raise InvalidContract(f"{self.artifact.path}: a model for {came}, expected one for {wanted}")
        self.task = self.contract.task
        if backend is None or isinstance(backend, str):
            backend = open_backend(self.artifact, backend, threads)
        self.backend = backend

    def run(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Run ``(N, H, W, 3) uint8`` RGB pictures of the model's size: meaning of an output -> array.

        Raises:
            InvalidContract: the file lacks an input or output that the contract names.
            UnsupportedModel: the engine fails.
        """
        answers = self.backend.run({self.contract.input.name: to_tensor(images, self.contract.input)})
        names = self.contract.outputs
        try:
            return {meaning: self._real(name, answers[name]) for meaning, name in names.items()}
        except KeyError as e:
            came, missing = ", ".join(sorted(answers)), sorted(set(names.values()) - answers.keys())
            raise InvalidContract(f"{self.artifact.path}: gave {came}, but its contract also names {missing}") from e

    def _real(self, name: str, answer: NDArray[Any]) -> NDArray[np.float32]:
        """An answer as float32; integers that the engine left are steps of an unknown size, and mean nothing."""
        if answer.dtype.kind != "f":
            raise UnsupportedModel(
                f"{self.artifact.path}: {name!r} is {answer.dtype}, and the file does not say what a step of it is "
                "worth; end the graph with a DequantizeLinear, or quantize it with pocketface"
            )
        return np.asarray(answer, np.float32)

    def require_finite(self, meaning: str, values: NDArray[Any]) -> None:
        """Refuse an answer with NaN or infinity in it, which would otherwise pass for "no face" or "no match".

        Raises:
            UnsupportedModel: there is one.
        """
        if not np.isfinite(values).all():
            raise UnsupportedModel(
                f"{self.artifact.path}: NaN or infinity in its {meaning} on {self.backend.name}: its weights are "
                f"damaged, or {self.contract.precision} overflows; try another backend or precision"
            )
