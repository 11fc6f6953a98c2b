"""Take it or leave it: every quantized file that a network can have, beside its float file, on the same data.

A row says what a file saves in bytes and in time, what it costs in decisions or in faces, and whether that is worth it
by a gate. Latency is the processor's time for one picture with one thread of the engine at hand, all files of a format
in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from ..artifact import Artifact, scratch_folder
from ..bench.timing import elapsed_ms, interleaved
from ..errors import ExportError, ParityError, UnsupportedModel
from ..evaluate.faces import bundled_portraits, inputs_for
from ..evaluate.gate import Condition, broken, parse_gate
from ..runtime.backends import open_backend
from ..runtime.preprocess import to_tensor
from .decisions import DECISIONS, Decisions
from .detections import MEASURED, Detections
from .equalized import equalized_source
from .fidelity import FIGURES
from .job import Job, Progress
from .pictures import Pictures
from .pipeline import quantize_artifact
from .policy import available, check_recipe, check_source
from .recipe import Recipe, parse_recipe

#: A gate that a file is taken by, by task. ``size`` and ``latency`` are shares of the float file's.
GATES = {
    "recognition": "cosine>=0.985,cosine_p1>=0.95,tar_drop<=0.01,flips_all<=0.005,size<=0.9,latency<=1.1",
    "detection": "ap_drop<=0.01,landmarks<=0.01,size<=0.9,latency<=1.1",
}
#: What float16 is held to besides: it is meant to be the same but for the last digits.
HALF = {"recognition": ",cosine>=0.9995", "detection": ""}
#: What a gate may speak of, by task.
WEIGHED = {
    "recognition": (*FIGURES["recognition"], *DECISIONS, "size", "latency"),
    "detection": (*MEASURED, "size", "latency"),
}


@dataclass(frozen=True)
class Trial:
    """How the files of a verdict are made and judged.

    Attributes:
        recipes: to try; none for all that a format can have.
        calibration: pictures for ranges, none of which is in ``evidence``.
        evidence: pictures of known people, or with marked faces, to judge by.
        folder: where the files go.
        equalizing: also make static recipes from an equalised network.
        rescuing: where the last one of a recipe misses the part of the gate that is about answers, also make one with
            the fewest layers kept in float that meet it, on pictures of ``evidence``.
        gate: what a file must meet to be taken; None for ``GATES``.
        weights: the checkpoint, for equalising, unless it is bundled.
        backend: name of the engine; None for the first that can run a file.
        progress: told in a few words what is being done.
    """

    recipes: Sequence[Recipe]
    calibration: Pictures
    evidence: Decisions | Detections
    folder: Path
    equalizing: bool = False
    rescuing: bool = False
    gate: Sequence[Condition] | None = None
    weights: Path | None = None
    backend: str | None = None
    progress: Progress = lambda step: None


@dataclass(frozen=True)
class Line:
    """One file and what is to be said of it.

    Attributes:
        artifact: the file.
        how: the recipe, or ``float32``, and what else was done.
        engine: that ran it.
        figures: ``size`` and, where the engine is the phone's own kind, ``latency`` as shares of the float file's, and
            what ``evidence`` measures.
        reference: whether it is the float file that the others are held to.
        faults: the conditions of the gate that it misses.
    """

    artifact: Artifact
    how: str
    engine: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    reference: bool = False
    faults: tuple[str, ...] = ()

    @property
    def kept(self) -> tuple[str, ...]:
        """The layers that stay in float."""
        quantization = self.artifact.contract.quantization
        return quantization.kept if quantization else ()

    @property
    def word(self) -> str:
        """``take`` or ``leave``; of the float file, what it is."""
        return "float" if self.reference else "leave" if self.faults else "take"

    @property
    def why(self) -> str:
        """The reason in a few words."""
        if self.reference:
            return "what the others are held to"
        if self.faults:
            return "; ".join(self.faults)
        saved = f"{self.figures['size']:.0%} of the bytes"
        return f"{saved}, {self.figures['latency']:.2f} of the time" if "latency" in self.figures else saved


def weigh(files: Sequence[Artifact], trial: Trial) -> tuple[list[Line], list[str]]:
    """Make and judge all that the float files of one network can become.

    Args:
        files: float files; the first of each format is what the others of that format are held to.
        trial: how.

    Returns:
        The lines, format by format; and a sentence for each recipe that could not be had, each rescue that failed, and
        what half precision might overflow in.

    Raises:
        InvalidModel: a file is quantized already.
        InvalidData: the calibration shares pictures or people with the evidence, or is too small.
    """
    for file in files:
        check_source(file)
    trial.evidence.require_apart(trial.calibration)
    lines, notes, judge = list[Line](), list[str](), trial.evidence.pictures(files[0])
    for format in dict.fromkeys(file.format for file in files):
        ours = [file for file in files if file.format == format]
        made = [Line(file, file.contract.precision, reference=file is ours[0]) for file in ours]
        made += _made(ours, trial, judge, notes)
        lines += _judged(made, trial)
    return lines, notes


def _made(files: Sequence[Artifact], trial: Trial, judge: Pictures, notes: list[str]) -> Iterator[Line]:
    for recipe in trial.recipes or [parse_recipe(name) for name in available(files[0].format)]:
        reasons = []
        for file in reversed(files):  # Core ML's float16 before its float32: what it becomes computes in half as well
            try:
                check_recipe(recipe, file)
            except UnsupportedModel as e:
                reasons.append(str(e))
                continue
            try:
                yield from _variants(file, recipe, trial, judge, notes)
            except ExportError as e:  # one recipe that fails is no reason to lose what the others gave
                notes.append(f"Could not be made: {e}.")
            break
        else:
            notes.append(f"Not to be had: {reasons[0]}.")


def _variants(parent: Artifact, recipe: Recipe, trial: Trial, judge: Pictures, notes: list[str]) -> Iterator[Line]:
    """The file of a recipe; the same from an equalised network; the same with layers kept in float, if need be."""
    job, how = _job(parent, recipe, trial, judge), recipe.name
    made = quantize_artifact(job, trial.folder)
    notes += job.forecast
    yield Line(made.artifact, how)
    with scratch_folder() as scratch:
        if trial.equalizing and recipe.static:
            trial.progress(f"equalising {parent.path.name}")
            source = equalized_source(parent, trial.calibration, scratch, trial.weights)
            job, how = _job(parent, recipe, trial, judge, source), f"{how}, equalised"
            made = quantize_artifact(job, trial.folder / "equalized")
            yield Line(made.artifact, how)
        answers = [one for one in _gate(made.artifact, trial) if one.figure in made.fidelity.figures]
        if trial.rescuing and broken(answers, made.fidelity.figures):
            try:
                made = quantize_artifact(job, trial.folder / "rescued", gate=answers, rescuing=True)
                yield Line(made.artifact, f"{how}, rescued")
            except ParityError as e:
                notes.append(f"Not rescued: {e}.")


def _job(parent: Artifact, recipe: Recipe, trial: Trial, judge: Pictures, source: Artifact | None = None) -> Job:
    options = {"backend": trial.backend, "source": source, "progress": trial.progress}
    return Job(parent, recipe, trial.calibration, judge, **options)  # type: ignore[arg-type]


def _gate(file: Artifact, trial: Trial) -> Sequence[Condition]:
    """The conditions for a file."""
    if trial.gate is not None:
        return trial.gate
    task = file.contract.task_name
    more = HALF[task] if file.contract.precision == "float16" else ""
    return parse_gate(GATES[task] + more, WEIGHED[task])


def _judged(lines: Sequence[Line], trial: Trial) -> list[Line]:
    files = [line.artifact for line in lines]
    found = trial.evidence.compare(files, trial.progress)
    trial.progress(f"latency of {len(files)} files in turn")
    engine, latencies = _latencies(files, trial.backend)
    judged = []
    for line, figures, latency in zip(lines, found, latencies, strict=True):
        figures = {"size": line.artifact.size_bytes / files[0].size_bytes, **latency, **figures}
        faults = () if line.reference else tuple(_faults(_gate(line.artifact, trial), figures, engine))
        judged.append(replace(line, engine=engine, figures=figures, faults=faults))
    return judged


def _faults(gate: Sequence[Condition], figures: dict[str, float], engine: str) -> Iterator[str]:
    for condition in gate:
        if condition.figure == "latency" and (slower := figures.get("latency")) is not None:
            if not condition.holds(slower):
                yield f"{slower:.2f} times as slow as float on this {engine}"
        elif condition.figure != "latency":
            yield from broken([condition], figures)


def _latencies(files: Sequence[Artifact], backend: str | None, rounds: int = 100) -> tuple[str, list[dict[str, float]]]:
    """The engine, and each file's ``latency`` as a share of the first one's; none for Core ML off a Mac.

    Our interpreter of ML Programs is there to check answers; how long it takes says nothing of a phone.
    """
    engines = [open_backend(file, backend, threads=1) for file in files]
    if engines[0].name == "mil":
        return "mil", [{} for _ in files]
    pixels = inputs_for(files[0].contract, bundled_portraits()[:1])
    clock = time.process_time  # of one thread: what else the machine does is not counted
    measures = dict[str, Callable[[], float]]()
    for i, (file, engine) in enumerate(zip(files, engines, strict=True)):
        spec = file.contract.input
        task = partial(engine.run, {spec.name: to_tensor(pixels, spec)})
        measures[str(i)] = partial(elapsed_ms, task, clock)
    times = interleaved(measures, rounds=rounds, warmup=3)
    medians = [float(np.median(times[str(i)])) for i in range(len(files))]
    return engines[0].name, [{"latency": median / medians[0]} for median in medians]
