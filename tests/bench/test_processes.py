"""A process that measures is told what to do, and however it ends, that is said in one line."""

from __future__ import annotations

import sys

import pytest

from pocketface.bench.messages import Job
from pocketface.bench.processes import Worker
from pocketface.errors import UnsupportedModel


def test_it_opens_runs_and_answers(fake: list[str]) -> None:
    with Worker("m", Job(files=("slow.onnx",)), command=fake) as worker:
        assert (worker.opened.engine, worker.opened.version, worker.opened.load_ms) == ("fake", "7", 5.0)
        times = worker.run(4)
        assert times.stages["network"] == [2.0] * 4
        assert times.peak_memory_bytes == 1000
        assert worker.answers().vectors == [[1.0, 0.0]] * 3


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("crash.onnx", r"m: the process crashed \(SIGSEGV\)"),
        ("mute.onnx", "m: it ended with status 3: out of ideas"),
        ("hang.onnx", "m: no answer within 0.5 s, so it was stopped"),
        ("refused.onnx", "it is too old"),
    ],
)
def test_however_it_ends_is_said_in_one_line(fake: list[str], file: str, why: str) -> None:
    with pytest.raises(UnsupportedModel, match=why):  # noqa: SIM117 - opening may fail, and running
        with Worker("m", Job(files=(file,)), command=fake, timeout_s=0.5 if "hang" in file else 60) as worker:
            worker.run(1)


def test_what_is_no_message_is_no_answer() -> None:
    with pytest.raises(UnsupportedModel, match="m: it ended with status 0"):
        Worker("m", Job(files=()), command=[sys.executable, "-c", "print('hello')"])


def test_a_process_that_cannot_start_is_named() -> None:
    with pytest.raises(UnsupportedModel, match="m: no process can be started for it"):
        Worker("m", Job(files=()), command=["/nowhere/python"])


def test_libraries_are_told_their_threads() -> None:
    code = "import json, os; print(json.dumps({'type': 'opened', 'engine': os.environ['OPENBLAS_NUM_THREADS']}))"
    with Worker("m", Job(files=(), threads=3), command=[sys.executable, "-c", code]) as worker:
        assert worker.opened.engine == "3"


def test_a_real_one_measures_the_roof_on_its_cores() -> None:
    from pocketface.bench.system import default_cores, usable_cores

    cores = default_cores(1, usable_cores())
    with Worker("roof", Job(files=(), cores=cores)) as worker:
        assert worker.opened.pinned == bool(cores)
        times = worker.run(2, warmup=1)
    assert len(times.stages["network"]) == 2
    assert min(times.stages["network"]) > 0
