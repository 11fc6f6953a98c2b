"""One phone: a folder of our own on it, the files in, the program run, the answers out, the folder gone."""

from __future__ import annotations

import contextlib
import secrets
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ... import __version__
from ...artifact import Artifact, digest
from ...errors import DeviceError
from ..perf import Measurement, Perf
from .client import COPY_S, Adb, Stopped
from .facts import Identity, State, describe, read_identity, read_state
from .program import explain, require_abi
from .tools import Options, Outcome, Tool

#: Android 8: the first whose shell has sha256sum and taskset.
OLDEST_SDK = 26
_PLACE = "/data/local/tmp"
_TIDY_S = 20.0
#: Of a file that the program writes, and of what it prints that is read; a run is a line of some 30 bytes in the first.
_MOST_BYTES, _MOST_PRINTED = 64 << 20, 1 << 20


@dataclass(frozen=True)
class Job:
    """What every phone is to do.

    Attributes:
        artifacts: files to run, all of the tool's format.
        binary: the program, here.
        tool: what it is.
        options: how it is called.
        libraries: files that must lie beside it on the phone.
        cpus: numbers of the cores that it may use; none for all.
        repeats: starts of the program for every file.
        timeout_s: for one start.
        command: what the user typed, for the perf.json.
    """

    artifacts: tuple[Artifact, ...]
    binary: Path
    tool: Tool
    options: Options = field(default_factory=Options)
    libraries: tuple[Path, ...] = ()
    cpus: tuple[int, ...] = ()
    repeats: int = 1
    timeout_s: float = 300.0
    command: str = ""


@dataclass
class Result:
    """What became of one phone.

    Attributes:
        serial: that names it; not in the perf.json.
        perf: what was measured; None if nothing was.
        failures: a line for everything that was not.
    """

    serial: str
    perf: Perf | None = None
    failures: list[str] = field(default_factory=list)


def measure_phone(adb: Adb, job: Job, tell: Callable[[str], None]) -> Result:
    """Do the job on one phone. Nothing of it is left there, unless the phone was lost.

    Args:
        adb: the phone.
        job: what to do.
        tell: called with what is being done.

    Raises:
        Stopped: the user wants the work to end.
    """
    result, measured, left = Result(adb.serial), list[Measurement](), list[str]()
    identity, before, after = None, State(), State()
    try:
        tell("looking at it")
        identity = read_identity(adb)
        _require(identity, job)
        before = after = read_state(adb)
        with _folder(adb, left) as folder:
            _bring(adb, job, folder, tell)
            for artifact in job.artifacts:
                try:
                    measured.append(_measure(adb, job, artifact, folder, tell))
                except RunError as e:
                    result.failures.append(f"{artifact.path.name}: {e}")
        after = read_state(adb)
    except Stopped:
        raise
    except DeviceError as e:
        result.failures.append("; ".join([str(e), *left]))
    except TimeoutError:
        result.failures.append("; ".join(["it does not answer: unlock it, or plug its cable in again", *left]))
    except OSError as e:
        result.failures.append("; ".join([f"{e.filename or 'a temporary file'} here: {e.strerror or e}", *left]))
    else:
        result.failures += left
    if measured and identity:
        result.perf = Perf(
            device=describe(identity, before, after),
            measurements=tuple(measured),
            command=job.command[:500],
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            packages={"pocketface": __version__},
        )
    tell("failed" if result.failures else "done")
    return result


class RunError(DeviceError):
    """One file could not be measured; the phone still answers."""


def _require(identity: Identity, job: Job) -> None:
    """See that a phone can do the job."""
    if 0 < identity.sdk < OLDEST_SDK:
        raise DeviceError(f"its Android {identity.android} is too old: this needs 8 or newer")
    if job.cpus and 0 < identity.cores <= max(job.cpus):
        raise DeviceError(f"there is no cpu {max(job.cpus)}, only 0 to {identity.cores - 1}; choose other --cpus")
    require_abi(job.binary, identity.abis)


@contextlib.contextmanager
def _folder(adb: Adb, left: list[str]) -> Iterator[str]:
    """A new folder on the phone, removed in the end with whatever still runs from it; `left` tells if it is not."""
    folder = f"{_PLACE}/pocketface.{secrets.token_hex(4)}"
    made = adb.shell(f"umask 077; mkdir {folder}")
    if made.status:
        full = "No space left" in made.errors
        why = "its storage is full; free some of it and run again" if full else made.errors or f"status {made.status}"
        raise DeviceError(f"no folder can be made in {_PLACE}: {why}")
    try:
        yield folder
    finally:
        tidy = f"[ -f {folder}/pid ] && kill -9 $(cat {folder}/pid) 2>/dev/null; rm -rf {folder}"
        try:
            adb.shell(tidy, timeout_s=_TIDY_S, even_stopped=True)
        except (DeviceError, TimeoutError):
            left.append(f"{folder} stays on it and may be removed")


def _bring(adb: Adb, job: Job, folder: str, tell: Callable[[str], None]) -> None:
    """The program under a name of ours, libraries under their own in a folder beside it."""
    adb.shell(f"mkdir {folder}/lib")
    _push(adb, job.binary, f"{folder}/program", digest(job.binary)[0], tell)
    for library in job.libraries:
        _push(adb, library, f"{folder}/lib/{library.name}", digest(library)[0], tell)
    adb.shell(f"chmod 755 {folder}/program")


def _push(adb: Adb, file: Path, there: str, sha256: str, tell: Callable[[str], None]) -> None:
    """Copy a file and have the phone compute what it got."""
    tell(f"copying {file.name}")
    adb.push(file, there)
    got = adb.shell(f"sha256sum {shlex.quote(there)}", timeout_s=COPY_S)
    if got.status or got.output.lstrip("\\").split()[:1] != [sha256]:
        told = got.output[:12] or got.errors[:80]
        raise DeviceError(f"{file.name} arrived altered: SHA-256 {told} instead of {sha256[:12]}; run again")


def _measure(adb: Adb, job: Job, artifact: Artifact, folder: str, tell: Callable[[str], None]) -> Measurement:
    model = f"{folder}/model{artifact.path.suffix}"  # over the last one: a phone may have little space
    _push(adb, artifact.path, model, artifact.sha256, tell)
    outcomes = []
    for turn in range(job.repeats):
        tell(f"running {artifact.path.name}" + (f", start {turn + 1} of {job.repeats}" if job.repeats > 1 else ""))
        outcomes.append(_start(adb, job, model, folder))
    return _joined(artifact, job, outcomes)


def _start(adb: Adb, job: Job, model: str, folder: str) -> Outcome:
    """Start the program once, wait for it, and read what it said."""
    result = f"{folder}/result"
    arguments = shlex.join(job.tool.arguments(model, result, job.options))
    mask = f"taskset {sum(1 << cpu for cpu in set(job.cpus)):x} " if job.cpus else ""
    # The shell becomes the program, so that the number it wrote down is the program's when that must be ended.
    inner = f"echo $$ > pid; export LD_LIBRARY_PATH={folder}/lib; exec {mask}./program {arguments}"
    # What it prints comes over afterwards: the cable costs the phone time too. A file of no end would fill its storage.
    quiet = f"ulimit -f {_MOST_BYTES // 512}; sh -c {shlex.quote(inner)} > printed 2>&1"
    script = f"cd {folder} && rm -f result && {quiet}; s=$?; rm -f pid; tail -c {_MOST_PRINTED} printed; exit $s"
    try:
        done = adb.shell(script, timeout_s=job.timeout_s)
    except TimeoutError:
        adb.shell(f"kill -9 $(cat {folder}/pid)", timeout_s=_TIDY_S)
        told = f"still running after {job.timeout_s:g} s and ended; ask for fewer --runs or a longer --timeout"
        raise RunError(told) from None
    if done.status:
        raise RunError(explain(done.status, done.output, job.binary.name))
    written = _pulled(adb, result) if job.tool.writes else None
    try:
        return job.tool.read(done.output, written, job.options)
    except DeviceError as e:
        raise RunError(str(e)) from e


def _pulled(adb: Adb, remote: str) -> str | None:
    """The text of a file on the phone; None if there is none."""
    if adb.shell(f"[ -f {remote} ]").status:
        return None
    with tempfile.TemporaryDirectory() as here:
        local = Path(here) / "result"
        adb.pull(remote, local)
        return local.read_text("utf-8", "replace")


def _joined(artifact: Artifact, job: Job, outcomes: Sequence[Outcome]) -> Measurement:
    """One measurement of several starts: their times in a row, of everything else the median, of memory the most."""
    peaks = [o.peak_memory_bytes for o in outcomes if o.peak_memory_bytes is not None]
    keys = set.intersection(*(set(o.percentiles_ms) for o in outcomes))
    notes = dict.fromkeys(note[:500] for outcome in outcomes for note in outcome.notes)
    return Measurement(
        model=artifact.path.name,
        sha256=artifact.sha256,
        engine=job.tool.name,
        network=artifact.contract.model,
        precision=artifact.contract.precision,
        threads=job.options.threads,
        times_ms=tuple(time for outcome in outcomes for time in outcome.times_ms),
        percentiles_ms={key: float(np.median([o.percentiles_ms[key] for o in outcomes])) for key in sorted(keys)},
        mean_ms=_median([o.mean_ms for o in outcomes]),
        load_ms=_median([o.load_ms for o in outcomes]),
        peak_memory_bytes=max(peaks, default=None),
        macs=artifact.contract.macs or None,
        notes=(*notes, *_settings(job)),
    )


def _settings(job: Job) -> list[str]:
    """What a reader must know of how it was measured."""
    each = f", in each of {job.repeats} starts" if job.repeats > 1 else ""
    told = [f"{job.options.runs} runs after at least {job.options.warmup} to warm up{each}"]
    if job.cpus:
        told.append(f"on cpus {', '.join(map(str, job.cpus))}")
    if job.options.extra:
        told.append(f"with {' '.join(job.options.extra)}"[:500])
    return [*told, f"parity was not checked: {job.tool.name} ran on random input"]


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
