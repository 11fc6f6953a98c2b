"""From what a page posted to a ``perf.json``: each output is compared with the right one, each time is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from ... import __version__
from ...contract import Recognition
from ...errors import InvalidData, PocketfaceError
from ...evaluate import agreement
from ..perf import Device, Measurement, Parity, Perf
from .exam import Exam
from .posted import Posted, Run, Told, one_line

#: Percentiles of two halves of the runs that are nearer than this have settled; ``page/timing.js`` goes by it too.
SETTLED = 0.05
#: A clock this coarse, as a share of the median, makes percentiles of steps.
COARSE = 0.05


def judge(exams: Sequence[Exam], posted: Posted, command: str = "") -> Perf:
    """Compare and describe.

    Raises:
        InvalidData: it speaks of models or outputs that there are not, or outputs have another length.
    """
    measurements = tuple(_measured(exams, run, posted.device) for run in posted.runs)
    engines = {exam.installed.engine.package: exam.installed.version for exam in exams}
    return Perf(
        device=_device(posted.device),
        measurements=measurements,
        command=command,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        packages={"pocketface": __version__} | engines,
    )


def _device(told: Told) -> Device:
    facts = {
        "isolated": "yes" if told.isolated else "no",
        "secure": "yes" if told.secure else "no",
        "clock_step_ms": f"{told.clock_step_ms:.4g}",
        "gpu": one_line(told.gpu) or "none offered",
    }
    name, agent = one_line(told.name) or "unnamed", one_line(told.agent)
    return Device(kind="browser", name=name, system=agent, cores=told.cores, facts=facts)


def _measured(exams: Sequence[Exam], run: Run, told: Told) -> Measurement:
    if run.model >= len(exams):
        raise InvalidData(f"model {run.model}: there are only {len(exams)}")
    exam = exams[run.model]
    contract, installed = exam.artifact.contract, exam.installed
    parity, failures = (None, []) if run.error else _parity(exam, run)
    return Measurement(
        model=exam.artifact.path.name,
        network=contract.model,
        sha256=exam.artifact.sha256,
        engine=f"{installed.engine.package} {run.setting.partition(' ')[0]}",
        engine_version=installed.version,
        precision=contract.precision if contract.quantization is msgspec.UNSET else contract.quantization.recipe,
        threads=run.threads,
        times_ms=run.times_ms,
        load_ms=None if run.error else run.load_ms,
        macs=contract.macs or None,
        parity=parity,
        notes=tuple(failure[:500] for failure in (*failures, *_notes(run, told))),
    )


def _parity(exam: Exam, run: Run) -> tuple[Parity, list[str]]:
    """How near the posted outputs are to the right ones, and in words what is wrong."""
    ours, recognises = _arrays(exam, run), isinstance(exam.artifact.contract.task, Recognition)
    try:
        found = agreement.judge_outputs(exam.artifact, run.setting, ours, exam.right, exam.portraits)
    except PocketfaceError as e:  # what no detector says, such as NaN for a box
        failures, value = [f"no answer that can be decoded: {e}"], 0.0
    else:
        failures, value = list(found.failures), found.cosine if recognises else found.box_iou or 0.0
    value = float(value) if np.isfinite(value) else 0.0
    return Parity(
        measure="cosine" if recognises else "iou", value=value, pictures=len(exam.portraits), passed=not failures
    ), failures


def _arrays(exam: Exam, run: Run) -> dict[str, NDArray[np.float32]]:
    if run.outputs.keys() != exam.outputs.keys():
        raise InvalidData(f"outputs {sorted(run.outputs)[:20]}, expected {sorted(exam.outputs)}")
    arrays, names = {}, exam.artifact.contract.outputs
    for meaning, name in names.items():
        shape, posted = exam.right[meaning].shape, run.outputs[name]
        dtype = np.dtype(posted.dtype).newbyteorder("<")
        if len(posted.data) != dtype.itemsize * exam.right[meaning].size:
            wanted = dtype.itemsize * exam.right[meaning].size
            raise InvalidData(
                f"output {name!r}: {len(posted.data)} bytes, expected {wanted} for {shape} {posted.dtype}"
            )
        arrays[name] = np.frombuffer(posted.data, dtype).reshape(shape).astype(np.float32)
    return arrays


def _notes(run: Run, told: Told) -> Iterator[str]:
    """What a reader of the times should know."""
    if run.error:
        yield f"could not be run: {one_line(run.error)}"
        return
    median = float(np.median(run.times_ms))
    if run.hidden:
        yield "the page was out of sight meanwhile, where browsers slow down"
    if not settled(run.times_ms):
        yield f"times had not settled after {len(run.times_ms)} runs: the halves differ by more than {SETTLED:.0%}"
    elif len(run.times_ms) < 100:
        yield f"p99 of {len(run.times_ms)} runs is little more than the slowest"
    if told.clock_step_ms > COARSE * median:
        yield f"the browser's clock has steps of {told.clock_step_ms:.3g} ms; it is finer where the page is isolated"


def settled(times_ms: Sequence[float]) -> bool:
    """Whether median and 90th percentile of the first half of the runs are those of the second half."""
    half = len(times_ms) // 2
    if not half:
        return False
    first, second = (np.percentile(part, (50, 90)) for part in (times_ms[:half], times_ms[half:]))
    return bool(np.all(np.abs(first - second) <= SETTLED * np.maximum(first, second)))
