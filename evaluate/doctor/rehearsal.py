"""Make the faults ourselves: run the model on the golden pictures as a faulty app would, and remember the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...artifact import Artifact
from ...contract import Detection, Recognition
from ...runtime.decode import DECODERS, Candidates
from ...runtime.preprocess import to_tensor
from ...runtime.session import Session
from ..faces import Image, Portrait
from .changes import Changes
from .cuts import right_cut

Floats = NDArray[np.float64]
#: Meaning of an output -> its values for one picture, and the scale (x, y) that the picture was cut with.
Answer = tuple[dict[str, NDArray[np.float32]], tuple[float, float]]

_AT_ONCE = 8


class Rehearsal:
    """The model on the golden pictures, under any changes; each picture is run once under each.

    Args:
        artifact: the file that the app should be running.
        portraits: the golden pictures.
        backend: name of the engine; None for the first that can run the file.

    Raises:
        UnsupportedModel, MissingExtra: no engine can run it here.
    """

    def __init__(self, artifact: Artifact, portraits: Sequence[Portrait], backend: str | None = None) -> None:
        task = Recognition if isinstance(artifact.contract.task, Recognition) else Detection
        self._session: Session[Any] = Session(artifact, task, backend, None)
        self.artifact, self.contract, self.portraits = artifact, artifact.contract, tuple(portraits)
        self._known: dict[tuple[tuple[str, str], ...], dict[int, Answer]] = {}

    def answers(self, changes: Changes, pictures: Sequence[int]) -> list[Answer]:
        """The model's outputs for these pictures, cut and fed as changed."""
        known = self._known.setdefault(tuple((c.fault, c.detail) for c in changes), {})
        missing = [i for i in pictures if i not in known]
        for first in range(0, len(missing), _AT_ONCE):
            part = missing[first : first + _AT_ONCE]
            known.update(zip(part, self._run(changes, part), strict=True))
        return [known[i] for i in pictures]

    def embeddings(self, changes: Changes, pictures: Sequence[int]) -> Floats:
        """``(n, D)`` rows of length 1; zeros where the model itself answers NaN or zeros."""
        found = [answer["embedding"].reshape(-1) for answer, _ in self.answers(changes, pictures)]
        rows = np.nan_to_num(np.stack(found).astype(np.float64), posinf=0, neginf=0)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: Floats = rows / np.where(lengths > 0, lengths, 1)
        return unit

    def candidates(self, changes: Changes, pictures: Sequence[int]) -> list[tuple[Candidates, tuple[float, float]]]:
        """Everything that a detector saw, decoded, in pixels of its input, and the scale that each was cut with."""
        assert isinstance(self.contract.task, Detection)
        decode = DECODERS[self.contract.task.decoder]
        size = (self.contract.input.height, self.contract.input.width)
        return [
            (decode({k: v[None] for k, v in answer.items()}, size).checked(), scale)
            for answer, scale in self.answers(changes, pictures)
        ]

    def _run(self, changes: Changes, pictures: Sequence[int]) -> list[Answer]:
        cut = next((c.cut for c in changes if c.cut), right_cut)
        placed = [cut(self.portraits[i], self.contract) for i in pictures]
        feed = self._feed(np.stack([image for image, _ in placed]), changes)
        spec, names = self.contract.input, self.contract.outputs
        found = self._session.backend.run({spec.name: feed})
        outputs = {m: np.asarray(found[name], np.float32) for m, name in names.items() if m != "rotation"}
        return [({m: values[i] for m, values in outputs.items()}, scale) for i, (_, scale) in enumerate(placed)]

    def _feed(self, images: Image, changes: Changes) -> NDArray[np.generic]:
        spec = self.contract.input
        for change in changes:
            images = change.pixels(images) if change.pixels else images
            images = change.colors(images) if change.colors else images
            spec = change.spec(spec) if change.spec else spec
        feed = to_tensor(np.ascontiguousarray(images), spec)
        for change in changes:
            feed = change.tensor(feed) if change.tensor else feed
        return np.ascontiguousarray(feed)
