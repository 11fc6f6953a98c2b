"""`bench host`: model files against each other on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import PATH, as_json, command_line, command_without_folders, console, file_and_engine
from .progress import progress_bar

if TYPE_CHECKING:
    from ..bench.perf import Perf
    from ..report import State


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="FILE[@ENGINE]...")
@click.option("--threads", type=click.IntRange(1), multiple=True, default=(1,), help="Repeatable. Default: 1.")
@click.option("--core", "cores", type=click.IntRange(0), multiple=True, help="Core to run on. Repeatable.")
@click.option("--processes", type=click.IntRange(1), default=3, show_default=True, help="Fresh ones for each file.")
@click.option("--rounds", type=click.IntRange(1), default=8, show_default=True, help="In each process.")
@click.option("--runs", type=click.IntRange(1), default=10, show_default=True, help="Of a file in each round.")
@click.option("--warmup", type=click.IntRange(0), default=10, show_default=True, help="Runs that do not count.")
@click.option("--timeout", type=click.FloatRange(1), default=300, show_default=True, help="Seconds, for one answer.")
@click.option("--out", type=PATH, help="Folder for perf.json and a report with plots.")
@as_json
def host(
    models: Sequence[str],
    threads: Sequence[int],
    cores: Sequence[int],
    processes: int,
    rounds: int,
    runs: int,
    warmup: int,
    timeout: float,
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure exported files on this machine, each in processes of its own, in turn, on faces.

    \b
    pocketface bench host out/*.onnx out/*.tflite --out out/bench
    pocketface bench host m.tflite@litert m.tflite@tflite-runtime --threads 1 --threads 2

    Latency (p50, p90, p99), load, memory, MACs per second beside the machine's roof, agreement with the float32 file
    of the same network, what pixels cost around it, and each pipeline of a detector and a recogniser of one precision.
    Files of one network are ranked, as far as the noise lets them be told apart. What cannot be run is named and the
    others go on; then, or if a file answers wrongly, the status is 1. --json prints a perf.json, for `bench compare`.
    """  # noqa: D301 - click reads the escape as "keep these lines"
    from ..artifact import load_artifact
    from ..bench.entries import model_of
    from ..bench.host import measure_host
    from ..bench.turns import Settings
    from ..evaluate.plots import require_matplotlib

    if out:
        require_matplotlib()
    settings = Settings(processes=processes, rounds=rounds, runs=runs, warmup=warmup, timeout_s=timeout)
    named = [file_and_engine(model) for model in dict.fromkeys(models)]
    candidates = [model_of(load_artifact(file), engine) for file, engine in named]
    options: dict[str, Any] = {"threads": tuple(dict.fromkeys(threads)), "cores": tuple(dict.fromkeys(cores))}
    try:
        with progress_bar(console()) as progress:
            outcome = measure_host(
                candidates, **options, settings=settings, progress=progress, command=command_without_folders()
            )
    except ValueError as e:
        raise click.UsageError(str(e)) from e
    state = _show(outcome.perf, out, as_json)
    for failure in outcome.failures:
        click.echo(f"pocketface: {failure}", err=True)
    if outcome.failures or state == "fail":
        raise click.exceptions.Exit(1)


def _show(perf: Perf, out: Path | None, as_json: bool) -> State:
    import msgspec

    from ..bench.pages import perf_report
    from ..render import print_report, save_report

    if out:
        perf.save(out / "perf.json")
    report = perf_report([perf], title="Latency on this machine", command=command_line(), plots=out is not None)
    if out:
        save_report(report, out)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(perf), indent=2))
    else:
        print_report(report)
    return report.state
