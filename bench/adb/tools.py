"""Benchmark programs that a user may bring: how each is called, and how its answer reads.

A program is one function that writes its arguments, one that reads its answer, and one entry in `TOOLS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from ...errors import DeviceError

#: As a C++ stream writes it; no longer than a time or a size can be.
_NUMBER = r"(\d{1,15}(?:\.\d{1,15})?(?:e[+-]?\d\d)?)"
Percentile = Literal["p50", "p90", "p99"]


@dataclass(frozen=True)
class Options:
    """How to measure.

    Attributes:
        threads: of the engine.
        warmup: runs that are not counted.
        runs: that are.
        memory: whether to watch the memory's peak where that costs time.
        extra: further arguments of the program, as they are.
    """

    threads: int = 1
    warmup: int = 5
    runs: int = 50
    memory: bool = False
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What a program found in one start.

    Attributes:
        times_ms: of single runs, where the program tells them.
        percentiles_ms: where it tells only those.
        mean_ms: where it keeps its times to itself.
        load_ms: from the file to the first answer.
        peak_memory_bytes: of the program.
        notes: what else it told, as sentences.
    """

    times_ms: tuple[float, ...] = ()
    percentiles_ms: dict[Percentile, float] = field(default_factory=dict)
    mean_ms: float | None = None
    load_ms: float | None = None
    peak_memory_bytes: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tool:
    """A benchmark program.

    Attributes:
        name: its own.
        format: of the files that it runs: ``tflite``, ``onnx``.
        arguments: (model, result file, options) -> what to call it with; both paths are on the phone.
        read: (printed text, text of the result file or None, options) -> what it found.
        writes: whether it writes the result file.
    """

    name: str
    format: str
    arguments: Callable[[str, str, Options], list[str]]
    read: Callable[[str, str | None, Options], Outcome]
    writes: bool


def _benchmark_model(model: str, result: str, options: Options) -> list[str]:
    """TFLite's; its default of a second at least would make more runs than were asked for."""
    del result  # it writes none
    return [
        f"--graph={model}",
        f"--num_threads={options.threads}",
        f"--warmup_runs={options.warmup}",
        f"--num_runs={options.runs}",
        "--min_secs=0",
        *(["--report_peak_memory_footprint=true"] if options.memory else []),
        *options.extra,
    ]


def _read_benchmark_model(text: str, result: str | None, options: Options) -> Outcome:
    """Times in microseconds: a line of statistics after the warm-up, one after the runs, and a summary.

    ``median`` stands in the statistics of newer versions only. Where all runs took the same time, there is no more
    than that time.
    """
    del result, options
    init = rf"Init: {_NUMBER}, First inference: {_NUMBER}, Warmup \(avg\): {_NUMBER}, Inference \(avg\): {_NUMBER}"
    summary = _need(rf"Inference timings in us: {init}", text, "Inference timings in us")
    statistics = re.findall(r"^(?:\w+: )?(count=.*)$", text, re.M)
    last = statistics[-1].strip() if statistics else ""
    median = re.search(rf"\bmedian={_NUMBER}", last)
    # Older versions print a difference under the name of a peak, without "Overall".
    peak = re.search(rf"Overall peak memory footprint \(MB\) via periodic monitoring: {_NUMBER}", text)
    return Outcome(
        percentiles_ms={"p50": float(median[1]) / 1e3} if median else {},
        mean_ms=float(summary[4]) / 1e3,
        load_ms=(float(summary[1]) + float(summary[2])) / 1e3,
        peak_memory_bytes=round(float(peak[1]) * 2**20) if peak else None,
        notes=(f"benchmark_model told, in us: {last}",) if last else (),
    )


def _perf_test(model: str, result: str, options: Options) -> list[str]:
    """ONNX Runtime's, on inputs of its own making; it warms up with one run, the others are asked for with the runs."""
    runs = options.warmup + options.runs
    counts = ["-m", "times", "-r", str(runs), "-x", str(options.threads)]
    return ["-e", "cpu", "-I", *counts, "-s", *options.extra, model, result]


def _read_perf_test(text: str, result: str | None, options: Options) -> Outcome:
    """Single times from the result file, in seconds; the printed percentiles only where there is no such file."""
    mean = _need(rf"Average inference time cost(?: total)?: *{_NUMBER} ms", text, "Average inference time cost")
    created = re.search(rf"Session creation time cost: *{_NUMBER} s", text)
    first = re.search(rf"First inference time cost: *{_NUMBER} ms", text)
    peak = re.search(r"Peak working set size: *(\d{1,15})", text)
    times = _single_times(result)[options.warmup :] if result else ()
    told: dict[Percentile, float] = {}
    for key in ("p50", "p90", "p99"):
        if found := re.search(rf"{key.upper()} Latency(?: is|:) *{_NUMBER} s", text):
            told[key] = float(found[1]) * 1e3
    return Outcome(
        times_ms=times,
        percentiles_ms={} if times else told,
        mean_ms=None if times else float(mean[1]),
        load_ms=float(created[1]) * 1e3 + float(first[1]) if created and first else None,
        peak_memory_bytes=int(peak[1]) if peak else None,
        notes=() if times else ("no single times came back; what was told counts the warm-up",),
    )


def _single_times(result: str) -> tuple[float, ...]:
    """Milliseconds of lines ``name,seconds,memory,load,run``; since 2025 the whole time follows that of submission."""
    rows = [line.split(",") for line in result.splitlines() if line.count(",") >= 4]
    try:
        times = tuple(float(row[-4]) * 1e3 for row in rows)
    except ValueError:
        return ()
    return times if all(0 <= time < float("inf") for time in times) else ()


def _need(pattern: str, text: str, what: str) -> re.Match[str]:
    found = re.search(pattern, text)
    if found is None:
        lines = [line for line in text.splitlines() if line.strip()]
        told = f"its last line is {lines[-1].strip()[:200]!r}" if lines else "it printed nothing"
        raise DeviceError(f"no line {what!r} in what the program printed; {told}")
    return found


TOOLS = {
    tool.name: tool
    for tool in (
        Tool("benchmark_model", "tflite", _benchmark_model, _read_benchmark_model, writes=False),
        Tool("onnxruntime_perf_test", "onnx", _perf_test, _read_perf_test, writes=True),
    )
}
