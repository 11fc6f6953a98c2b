"""`bench adb`: how fast is it on the phones on these cables?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import FILE, PATH, as_json, command_without_folders, console, print_json, show

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..bench.adb.client import Listed
    from ..bench.adb.session import Job, Result
    from ..bench.adb.tools import Tool
    from ..bench.perf import Measurement, Perf
    from ..report import Section


def _cpus(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...]:
    """``4-7`` or ``0,4-5`` as numbers."""
    del ctx, parameter
    found: set[int] = set()
    for part in (value or "").split(",") if value else ():
        span = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", part.strip())
        if span is None or int(span[1]) > int(span[2] or span[1]):
            raise click.BadParameter(f"{value!r} is not a list of cpus such as 4-7 or 0,4-5")
        found |= set(range(int(span[1]), int(span[2] or span[1]) + 1))
    return tuple(sorted(found))


@click.command()
@click.argument("artifacts", type=PATH, nargs=-1)
@click.option("--list", "listing", is_flag=True, help="Show the phones that adb knows of, and end.")
@click.option("--binary", type=FILE, help="The benchmark program, built for the phones.")
@click.option("--tool", "tool_name", help="benchmark_model or onnxruntime_perf_test. Default: by the files' format.")
@click.option("--library", "libraries", type=FILE, multiple=True, help="A .so that it needs beside it. Repeatable.")
@click.option("--serial", "serials", multiple=True, help="A phone, by its serial number. Repeatable. Default: all.")
@click.option("--threads", type=click.IntRange(1, 64), default=1, show_default=True, help="Threads of the engine.")
@click.option("--cpus", callback=_cpus, help="Cores that it may use: 4-7 or 0,4-5. Default: all.")
@click.option("--warmup", type=click.IntRange(0), default=5, show_default=True, help="Runs that are not counted.")
@click.option("--runs", type=click.IntRange(1), default=50, show_default=True, help="Runs that are.")
@click.option("--repeats", type=click.IntRange(1), default=1, show_default=True, help="Starts of the program per file.")
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), default=300, show_default=True, help="Seconds for one start."
)
@click.option("--memory", is_flag=True, help="Watch benchmark_model's peak memory, which disturbs its times a little.")
@click.option("--extra", multiple=True, help="For the program, as it is: --extra=--use_gpu=true. Repeatable.")
@click.option("--out", type=PATH, help="Folder for a perf.json of each phone.")
@as_json
def adb(
    artifacts: Sequence[Path],
    listing: bool,
    binary: Path | None,
    tool_name: str | None,
    libraries: Sequence[Path],
    serials: Sequence[str],
    threads: int,
    cpus: tuple[int, ...],
    warmup: int,
    runs: int,
    repeats: int,
    timeout: float,
    memory: bool,
    extra: Sequence[str],
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure ARTIFACTS on phones over adb, on all that are connected at once.

    You bring the benchmark program, built for your phones: TensorFlow Lite's benchmark_model for .tflite files, ONNX
    Runtime's onnxruntime_perf_test for .onnx files, with --library libonnxruntime.so if it was built so. It is copied
    with the files to a private folder on each phone, run there, and removed. What the phone is, its governors, its
    temperature before and after and its battery are read too, and said where they make the times doubtful. The programs
    run on random input, so answers are not checked. Android 8 or newer.

    \b
    pocketface bench adb --list
    pocketface bench adb det.tflite rec.tflite --binary android_aarch64_benchmark_model --cpus 4-7 --out perf/

    A phone that is lost, full or fails is one line on standard error and status 1; the others go on. adb itself is
    taken from PATH or Android's SDK, or installed with pocketface[adb].
    """  # noqa: D301 - click reads the escape as "keep these lines"
    from ..bench.adb.client import find_adb, list_phones
    from ..bench.adb.fleet import choose_phones, measure_phones
    from ..bench.adb.session import Job
    from ..bench.adb.tools import Options

    if listing:
        _list(list_phones(find_adb()), as_json)
        return
    if not artifacts or binary is None:
        raise click.UsageError("give the files to measure and --binary PROGRAM, or --list")
    loaded, tool = _chosen(artifacts, tool_name)
    job = Job(
        loaded,
        binary,
        tool,
        Options(threads, warmup, runs, memory, tuple(extra)),
        libraries=tuple(libraries),
        cpus=cpus,
        repeats=repeats,
        timeout_s=timeout,
        command=command_without_folders("--serial", "--out"),
    )
    _require_here(job, out)
    program = find_adb()
    phones = choose_phones(list_phones(program), serials)
    with _status_lines(phones) as tell:
        results = measure_phones(program, phones, job, tell)
    _finish(results, out, as_json)


def _chosen(paths: Sequence[Path], name: str | None) -> tuple[tuple[Artifact, ...], Tool]:
    """The files and the program's kind, which must be of one format."""
    from ..artifact import load_artifact
    from ..bench.adb.tools import TOOLS

    loaded = tuple(load_artifact(path) for path in paths)
    formats = list(dict.fromkeys(artifact.format for artifact in loaded))
    if name is not None and name not in TOOLS:
        raise click.BadParameter(f"{name!r} is none of {', '.join(TOOLS)}", param_hint="--tool")
    fitting = [tool for tool in TOOLS.values() if [tool.format] == formats and name in (None, tool.name)]
    if not fitting:
        known = ", ".join(f"{tool.name} for .{tool.format}" for tool in TOOLS.values())
        raise click.UsageError(f"one program runs files of one format, these are {' and '.join(formats)}; {known}")
    return loaded, fitting[0]


def _require_here(job: Job, out: Path | None) -> None:
    """Find out before any phone is touched what cannot work on this side."""
    from ..bench.adb.program import instruction_sets
    from ..errors import InvalidData, OutputError

    instruction_sets(job.binary)
    for library in job.libraries:
        if not library.is_file():
            raise InvalidData(f"{library}: no such file")
    if out is not None and out.exists() and not out.is_dir():
        raise OutputError(f"{out}: is a file; --out wants a folder")


@contextmanager
def _status_lines(phones: Sequence[Listed]) -> Iterator[Callable[[str, str], None]]:
    """A line for each phone that says what it does now."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description} {task.fields[doing]}", markup=False))
    with Progress(*columns, TimeElapsedColumn(), console=console()) as progress:
        lines = {
            phone.serial: progress.add_task(f"{phone.serial} {phone.model}".strip() + ":", total=1, doing="waiting")
            for phone in phones
        }

        def tell(serial: str, doing: str) -> None:
            progress.update(lines[serial], doing=doing, completed=doing in ("done", "failed"))

        yield tell


def _finish(results: Sequence[Result], out: Path | None, as_json: bool) -> None:
    """Print and write what came out, in this order, so that a full disk loses nothing; status 1 if anything failed."""
    perfs = [result.perf for result in results if result.perf]
    if as_json:
        print_json([{"serial": r.serial, "perf": r.perf, "failures": r.failures} for r in results])
    elif perfs:
        from ..render import print_section

        print_section(_section(results))
    failures = [(result.serial, failure) for result in results for failure in result.failures]
    for serial, failure in failures:
        click.echo(f"pocketface: {serial}: {' '.join(failure.split())}", err=True)
    for path in _save(perfs, out) if out else ():
        click.echo(f"written: {path}", err=as_json)
    if failures:
        raise click.exceptions.Exit(1)


def _save(perfs: Sequence[Perf], out: Path) -> list[Path]:
    """A file for each phone by the name of its model; no serial number, which would tell whose it is."""
    written: list[Path] = []
    for perf in perfs:
        stem = "perf_" + (re.sub(r"[^a-z0-9]+", "_", perf.device.name.lower()).strip("_") or "phone")
        same = sum(path.stem == stem or path.stem.startswith(f"{stem}-") for path in written)
        written.append(out / (f"{stem}-{same + 1}.json" if same else f"{stem}.json"))
        perf.save(written[-1])
    return written


def _section(results: Sequence[Result]) -> Section:
    from ..report import Column, Section

    columns = [
        Column(key="phone", name="phone"),
        Column(key="file", name="file"),
        Column(key="threads", name="threads", kind="number"),
        *(Column(key=f"{key}_ms", name=key, unit="ms", kind="number") for key in ("p50", "p90", "p99", "mean", "load")),
        Column(key="peak_bytes", name="peak memory", kind="bytes"),
    ]
    found = [(result.serial, result.perf) for result in results if result.perf]
    rows = [_row(perf.device.name, m) for _, perf in found for m in perf.measurements]
    notes = [f"{serial}: {perf.device.facts['warnings']}" for serial, perf in found if "warnings" in perf.device.facts]
    told = dict.fromkeys(f"{m.engine}: {note}" for _, perf in found for m in perf.measurements for note in m.notes[-1:])
    return Section(title="Latency on phones", columns=columns, rows=rows, notes=[*notes, *told])


def _row(phone: str, measured: Measurement) -> dict[str, Any]:
    times = measured.times_ms
    return {
        "phone": phone,
        "file": measured.model,
        "threads": measured.threads,
        **{f"p{percent}_ms": measured.percentile_ms(percent) for percent in (50, 90, 99)},
        "mean_ms": sum(times) / len(times) if times else measured.mean_ms,
        "load_ms": measured.load_ms,
        "peak_bytes": measured.peak_memory_bytes,
    }


def _list(phones: Sequence[Listed], as_json: bool) -> None:
    from ..report import Column

    columns = [Column(key=key, name=key) for key in ("serial", "model", "state", "cure")]
    rows = [
        {"serial": p.serial, "model": p.model, "state": p.state, "cure": None if p.usable else p.cure} for p in phones
    ]
    show("Phones that adb knows of", columns, rows, as_json)
