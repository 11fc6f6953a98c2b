"""Examine what an app produced: first the form of its numbers, then which fault predicts them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...artifact import Artifact
from ...errors import InvalidData
from ..faces import Portrait
from .changes import Changes, input_changes
from .faults import FAULTS
from .golden import golden_portraits, stem
from .observed import FEWEST, Observed
from .rehearsal import Rehearsal
from .sightings import examine_faces
from .vectors import Exam, examine
from .verdict import Diagnosis

Floats = NDArray[np.float64]

#: Numbers this near to whole ones, and beyond ±1.5, are integers that were not dequantized.
_WHOLE = 0.02
#: An embedding whose length departs from 1 by more was not normalised.
_LENGTH = 0.02


def diagnose(
    artifact: Artifact,
    observed: Observed,
    portraits: Sequence[Portrait] | None = None,
    *,
    backend: str | None = None,
    rehearsal: Rehearsal | None = None,
) -> Diagnosis:
    """Name what an app does wrong.

    Args:
        artifact: the file that the app should be running.
        observed: the app's answers.
        portraits: the golden pictures; None for the bundled ones.
        backend: name of the engine that rehearses; None for the first that can run the file.
        rehearsal: one that is open already, instead of the two above; it remembers what it ran.

    Raises:
        InvalidData: the answers do not fit the model.
        UnsupportedModel, MissingExtra: no engine can run the file here.
    """
    if rehearsal is None:
        contract = artifact.contract
        rehearsal = Rehearsal(artifact, golden_portraits(contract) if portraits is None else portraits, backend)
    place = {stem(p.name): i for i, p in enumerate(rehearsal.portraits)}
    pictures = [place[name] for name in observed.names]
    notes = [f"{len(observed.absent)} pictures have no answer: {', '.join(observed.absent[:5])}"]
    notes = notes if observed.absent else []
    if observed.kind == "faces":
        return examine_faces(rehearsal, observed, pictures, notes)
    if observed.kind == "embeddings":
        return _embeddings(rehearsal, np.stack(observed.values), pictures, notes)
    return _tensors(rehearsal, observed, pictures, notes)


def _embeddings(rehearsal: Rehearsal, rows: Floats, pictures: list[int], notes: list[str]) -> Diagnosis:
    extra, notes, sound = _overflow(rows, notes)
    if len(sound) < FEWEST:
        return _only(extra, notes, len(rows))
    rows, pictures = rows[sound], [pictures[i] for i in sound]
    whole = _integers(rows)
    lengths = np.linalg.norm(rows, axis=1)
    if whole:
        extra.append("not dequantized")
    elif np.median(np.abs(lengths - 1)) > _LENGTH:
        extra.append("not L2-normalised")
        notes = [*notes, f"lengths are {lengths.min():.3g} to {lengths.max():.3g}, expected 1"]
    exam = Exam(rows, [slice(0, rows.shape[1])], [whole], rehearsal.embeddings, pictures, unit=True)
    return examine(exam, input_changes(rehearsal.contract), extra, notes)


def _tensors(rehearsal: Rehearsal, observed: Observed, pictures: list[int], notes: list[str]) -> Diagnosis:
    (answer, _) = rehearsal.answers((), pictures[:1])[0]
    meanings = [m for m in answer if all(m in value for value in observed.values)]
    if not meanings:
        raise InvalidData(f"no tensor of the app's is one of {', '.join(answer)}")
    blocks, rows = _joined(observed, meanings, {m: int(np.size(answer[m])) for m in meanings})
    extra, notes, sound = _overflow(rows, notes)
    if len(sound) < FEWEST:
        return _only(extra, notes, len(rows))
    rows, pictures = rows[sound], [pictures[i] for i in sound]
    integers = [_integers(rows[:, block]) for block in blocks]
    if any(integers):
        extra.append("not dequantized")
        notes = [*notes, "integers in " + ", ".join(m for m, i in zip(meanings, integers, strict=True) if i)]

    def predict(changes: Changes, which: Sequence[int]) -> Floats:
        found = rehearsal.answers(changes, which)
        rows = [np.concatenate([answer[m].reshape(-1) for m in meanings]) for answer, _ in found]
        stacked: Floats = np.stack(rows).astype(np.float64)
        return stacked

    exam = Exam(rows, blocks, integers, predict, pictures, unit=False)
    one_scale = [
        c for c in input_changes(rehearsal.contract) if "one scale" not in c.detail
    ]  # the network sees the same
    return examine(exam, one_scale, extra, notes)


def _joined(observed: Observed, meanings: Sequence[str], sizes: dict[str, int]) -> tuple[list[slice], Floats]:
    """Where each tensor lies in a row, and a row per picture."""
    for name, value in zip(observed.names, observed.values, strict=True):
        for m in meanings:
            if value[m].size != sizes[m]:
                raise InvalidData(f"{name}: {m} has {value[m].size} numbers, the model gives {sizes[m]}")
    ends = np.cumsum([0, *(sizes[m] for m in meanings)])
    blocks = [slice(int(a), int(b)) for a, b in itertools.pairwise(ends)]
    return blocks, np.stack([np.concatenate([value[m] for m in meanings]) for value in observed.values])


def _overflow(rows: Floats, notes: list[str]) -> tuple[list[str], list[str], list[int]]:
    """The fault, if any row is not finite or all zeros; and the rows that are sound."""
    broken = ~np.isfinite(rows).all(1)
    zeros = ~broken & ~rows.any(1)
    sound = [int(i) for i in np.flatnonzero(~broken & ~zeros)]
    if len(sound) == len(rows):
        return [], notes, sound
    told = f"NaN or infinity in {int(broken.sum())}, only zeros in {int(zeros.sum())} of {len(rows)} answers"
    return ["float16 overflow"], [*notes, told], sound


def _only(extra: Sequence[str], notes: Sequence[str], count: int) -> Diagnosis:
    """The form alone is the verdict, because too few answers are left to look further."""
    return Diagnosis(tuple(FAULTS[name] for name in extra), "", 1.0, float("inf"), 1.0, count, (), tuple(notes))


def _integers(values: Floats) -> bool:
    return bool(np.abs(values - np.rint(values)).max() <= _WHOLE and np.abs(values).max() > 1.5)
