"""What takes part in a measurement: the machine's roof, every file, and every pipeline that they make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..artifact import Artifact
from ..contract import Detection
from ..runtime.backends import available_backends
from .messages import Job
from .system import default_cores, usable_cores


class Model(NamedTuple):
    """A file, and the name of the engine that is to run it: whoever measures must know which one it was."""

    artifact: Artifact
    backend: str


def model_of(artifact: Artifact, engine: str | None = None) -> Model:
    """A file for the engine of that name, or for the usual one of its format."""
    return Model(artifact, engine or available_backends(artifact.format)[0])


@dataclass(frozen=True)
class Entry:
    """One thing to measure at one number of threads.

    Attributes:
        name: of the file, with its folder's where another file is called the same; of a pipeline, both with a plus.
        artifacts: none for the roof, one file, or a detector and a recogniser.
        job: for its processes.
    """

    name: str
    artifacts: tuple[Artifact, ...]
    job: Job

    @property
    def label(self) -> str:
        """What people are told of it."""
        engine = f"@{self.job.backend}" if self.job.backend else ""
        threads = f"{self.job.threads} {'thread' if self.job.threads == 1 else 'threads'}"
        return f"{self.name or 'matrix product'}{engine}, {threads}"

    @property
    def precision(self) -> str:
        """Of the files: the recipe where they are quantized."""
        return _precision(self.artifacts[-1])

    @property
    def network(self) -> str:
        """Names of the architectures."""
        return " + ".join(artifact.contract.model for artifact in self.artifacts)


def entries_of(models: Sequence[Model], threads: Sequence[int], cores: Sequence[int] = ()) -> list[Entry]:
    """For each number of threads the roof, the files and the pipelines.

    Args:
        models: the files.
        threads: numbers of threads.
        cores: to run on; empty for one per thread, of our choice.

    Raises:
        ValueError: more threads than cores, or a core that this process may not use.
    """
    return [entry for count in threads for entry in _at(models, count, _cores(count, cores))]


def _at(models: Sequence[Model], threads: int, cores: tuple[int, ...]) -> Iterator[Entry]:
    taking_part: list[tuple[tuple[Artifact, ...], str]] = [((), "")]
    taking_part += [((model.artifact,), model.backend) for model in models]
    taking_part += [((one.artifact, other.artifact), one.backend) for one, other in _pairs(models)]
    names = _names(models)
    for artifacts, backend in taking_part:
        name = " + ".join(names[artifact.path] for artifact in artifacts)
        files = tuple(str(artifact.path) for artifact in artifacts)
        yield Entry(name, artifacts, Job(files=files, backend=backend, threads=threads, cores=cores))


def _names(models: Sequence[Model]) -> dict[Path, str]:
    paths = {model.artifact.path for model in models}
    count = Counter(path.name for path in paths)
    return {path: path.name if count[path.name] == 1 else f"{path.parent.name}/{path.name}" for path in paths}


def _pairs(models: Sequence[Model]) -> Iterator[tuple[Model, Model]]:
    """A detector and a recogniser for one engine and in one precision, as an app would ship them."""
    finders = [model for model in models if isinstance(model.artifact.contract.task, Detection)]
    for finder in finders:
        for model in models:
            if not isinstance(model.artifact.contract.task, Detection) and _kind(model) == _kind(finder):
                yield finder, model


def _kind(model: Model) -> tuple[str, str, str]:
    return model.artifact.format, _precision(model.artifact), model.backend


def _precision(artifact: Artifact) -> str:
    contract = artifact.contract
    return contract.precision if contract.quantization is msgspec.UNSET else contract.quantization.recipe


def _cores(threads: int, cores: Sequence[int]) -> tuple[int, ...]:
    usable = usable_cores()
    if not usable:
        return ()
    if unknown := set(cores) - set(usable):
        raise ValueError(f"this process may use the cores {', '.join(map(str, usable))}, not {min(unknown)}")
    chosen = tuple(cores) or default_cores(threads, usable)
    if len(chosen) < threads:
        raise ValueError(f"{threads} threads need as many cores, and there are {len(chosen)}")
    return chosen
