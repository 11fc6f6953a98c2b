"""Model files against each other on this machine: each in a process of its own, in turn, round after round.

Every file is opened in several fresh processes, one after another, for where code and data come to lie in memory is
chance and costs or saves a little each time; in each process it is warmed up and then takes part in some rounds.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ..contract import ModelContract
from ..environment import current_environment
from .agreement import parity_with
from .entries import Entry, Model, entries_of
from .perf import Device, Measurement, Parity, Perf, Stage
from .subjects import ROOF_SIDE
from .system import load_average, scaling_governor
from .turns import Found, Progress, Settings, take_turns

#: An entry that was measured, and what was found.
Pair = tuple[Entry, Found]


@dataclass(frozen=True)
class Outcome:
    """What was measured, and a line for everything that could not be."""

    perf: Perf
    failures: tuple[str, ...]


def measure_host(
    models: Sequence[Model],
    *,
    threads: Sequence[int] = (1,),
    cores: Sequence[int] = (),
    settings: Settings | None = None,
    progress: Progress = lambda what, done, total: None,
    command: str = "",
) -> Outcome:
    """Measure model files, and every pipeline of a detector and a recogniser of one precision on one engine.

    Args:
        models: files, each with the engine that is to run it.
        threads: numbers of threads, each measured by itself.
        cores: to run on; empty for one per thread, of our choice.
        settings: how long; None for the default.
        progress: told of every step.
        command: what was typed, for the result to say.

    Returns:
        What failed is in ``failures``, and the others are measured nonetheless.

    Raises:
        ValueError: more threads than cores, or a core that this process may not use.
    """
    entries = entries_of(models, threads, cores)
    before = load_average()
    found = list(zip(entries, take_turns(entries, settings or Settings(), progress), strict=True))
    measured = [(entry, one) for entry, one in found if one.failure is None]
    perf = Perf(
        device=_device(measured, f"{before} before, {load_average()} after" if before else ""),
        measurements=tuple(one for pair in measured for one in _measurements(pair, measured)),
        command=command,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        packages=current_environment().packages,
    )
    return Outcome(perf, tuple(f"{entry.label}: {one.failure}" for entry, one in found if one.failure))


def _device(measured: Sequence[Pair], load: str) -> Device:
    environment = current_environment()
    facts = {"load average": load, "scaling governor": scaling_governor()}
    for entry, one in measured:
        if not entry.artifacts:
            facts |= _steadiness(entry, one)
    return Device(
        kind="host",
        name=environment.cpu,
        system=f"{platform.system()} {platform.release()}",
        machine=environment.machine,
        cores=environment.cores,
        facts={name: fact for name, fact in facts.items() if fact},
    )


def _steadiness(entry: Entry, roof: Found) -> dict[str, str]:
    """What the matrix product tells of the machine: did others use its cores, did it grow slower while it was hot?"""
    times_ms, threads = roof.stage_ms("network"), entry.job.threads
    share = sum(times.cpu_s for times in roof.times) / (sum(times_ms) / 1e3 * threads)
    first, _, last = np.array_split(times_ms, 3)
    facts = {
        "cores": ", ".join(map(str, entry.job.cores)) if roof.opened[0].pinned else "of the system's choice",
        "share of their time": f"{min(share, 1):.0%}",
        "last third of the run by the first": f"{np.median(last) / np.median(first):.3f}" if len(last) else "",
    }
    return {f"{name}, {entry.label}": fact for name, fact in facts.items()}


def _measurements(pair: Pair, measured: Sequence[Pair]) -> Iterator[Measurement]:
    """One per stage; what speaks of the file as a whole stands in the first."""
    entry, found = pair
    if not entry.artifacts:
        return
    artifact, opened = entry.artifacts[-1], found.opened[0]
    stages: tuple[Stage, ...] = (
        ("network", "preprocess", "postprocess") if len(entry.artifacts) == 1 else ("pipeline", "read")
    )
    common: dict[str, Any] = {
        "model": entry.name,
        "network": entry.network,
        "sha256": artifact.sha256 if len(entry.artifacts) == 1 else "",
        "engine": opened.engine,
        "engine_version": opened.version,
        "precision": entry.precision,
        "threads": entry.job.threads,
        "rounds": len(found.times),
    }
    for stage in stages:
        whole = _whole(pair, measured) if stage == stages[0] else {}
        yield Measurement(stage=stage, times_ms=found.stage_ms(stage), **common, **whole)


def _whole(pair: Pair, measured: Sequence[Pair]) -> dict[str, Any]:
    entry, found = pair
    loads = [opened.load_ms for opened in found.opened if opened.load_ms is not None]
    facts = {
        "load_ms": float(np.median(loads)),
        "peak_memory_bytes": max((times.peak_memory_bytes or 0 for times in found.times), default=0) or None,
        "notes": (f"load: median of {len(loads)} processes, the file in the system's cache",),
    }
    if len(entry.artifacts) > 1:
        return facts
    roof = next(
        (one for other, one in measured if not other.artifacts and other.job.threads == entry.job.threads), None
    )
    roof_ms = np.median(roof.stage_ms("network")) if roof else None
    return facts | {
        "macs": entry.artifacts[0].contract.macs or None,
        "roof_macs_per_s": float(ROOF_SIDE**3 / roof_ms * 1e3) if roof_ms else None,
        "parity": _parity(pair, measured),
    }


def _parity(pair: Pair, measured: Sequence[Pair]) -> Parity | None:
    """Beside the first file of the same network in float32; None for that file itself, or where there is none."""
    artifact, mine = pair[0].artifacts[0], pair[1]
    for entry, found in measured:
        if len(entry.artifacts) == 1 and _is_reference(entry.artifacts[0].contract, artifact.contract):
            return None if found is mine else parity_with(found.answers, mine.answers, artifact)
    return None


def _is_reference(one: ModelContract, contract: ModelContract) -> bool:
    same = (one.fingerprint, one.task_name) == (contract.fingerprint, contract.task_name)
    return same and one.precision == "float32"
