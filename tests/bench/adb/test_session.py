"""One phone from beginning to end, with a program that really runs there, and all that may go wrong on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pocketface.bench.adb.client import Adb, Listed
from pocketface.bench.adb.fleet import choose_phones, measure_phones
from pocketface.bench.adb.session import Job, Result, measure_phone
from pocketface.bench.adb.tools import TOOLS, Options
from pocketface.errors import DeviceError

TOLD = """Initialized session in 3ms.
count=50 first=5 curr=5 min=5 max=9 avg=7000 std=1 p5=5 median=6000 p95=8
Inference timings in us: Init: 3000, First inference: 9000, Warmup (avg): 8000, Inference (avg): 7000
"""
#: Checks that what it needs is there, like a real one, and prints a recorded answer.
BENCHMARK_MODEL = f"""
for a; do case "$a" in --graph=*) test -s "${{a#--graph=}}" || {{ echo "no model"; exit 1; }};; esac; done
echo "$@" >> "$(dirname "$0")/../../../../log"
cat <<'EOF'
{TOLD}EOF"""
#: Writes its last argument, as many lines as it was asked for, the n-th with n milliseconds.
PERF_TEST = """
for a; do [ "$previous" = -r ] && runs=$a; previous=$a; done
for n in $(seq $runs); do echo "m,$(printf '0.%03d' $n),1000,50,$n"; done >> "$previous"
echo "Session creation time cost: 0.004 s"
echo "First inference time cost: 6 ms"
echo "Average inference time cost: 5 ms"
echo "Peak working set size: 123456 bytes"
"""


@pytest.fixture
def job(tmp_path: Path, artifact) -> Callable[..., Job]:
    """Makes a job for a program that is a script."""

    def make(script: str = BENCHMARK_MODEL, *names: str, tool: str = "benchmark_model", **options: object) -> Job:
        binary = tmp_path / "bench it"
        binary.write_text(f"#!/bin/sh\n{script}\n")
        loaded = tuple(artifact(name) for name in names or ("net.tflite",))
        return Job(loaded, binary, TOOLS[tool], **options)

    return make


@pytest.fixture
def measure(adb_program: str) -> Callable[[Job], Result]:
    """Does a job on phone A."""
    return lambda job: measure_phone(Adb(adb_program, "A"), job, lambda _: None)


def test_a_phone_gets_a_perf_and_keeps_nothing(plug_in, job, measure) -> None:
    phone = plug_in("A")
    result = measure(job(options=Options(threads=4), cpus=(4, 5, 6, 7), repeats=2))
    assert result.failures == []
    assert result.perf.device.name == "Google Pixel 7"
    assert result.perf.device.facts["temperature_before_c"] == "cpu 34.2, skin 28.1, battery 27.1"
    (measured,) = result.perf.measurements
    assert (measured.model, measured.engine, measured.threads) == ("net.tflite", "benchmark_model", 4)
    assert (measured.percentiles_ms, measured.mean_ms, measured.load_ms) == ({"p50": 6.0}, 7.0, 12.0)
    assert (measured.macs, measured.parity, len(measured.sha256)) == (1000, None, 64)
    assert any("parity was not checked" in note for note in measured.notes)
    assert list(phone.storage.iterdir()) == []
    log = (phone.root / "log").read_text().splitlines()
    assert log[0] == "taskset f0"
    assert "--num_threads=4" in log[1]
    assert len(log) == 4  # both starts


def test_single_times_are_pulled(plug_in, job, measure) -> None:
    plug_in("A")
    made = job(PERF_TEST, "net.onnx", tool="onnxruntime_perf_test", options=Options(warmup=2, runs=3), repeats=2)
    (measured,) = measure(made).perf.measurements
    assert measured.times_ms == pytest.approx((3, 4, 5, 3, 4, 5))  # of each start, without the two to warm up
    assert measured.percentile_ms(50) == pytest.approx(4)
    assert measured.load_ms == pytest.approx(10)
    assert measured.peak_memory_bytes == 123456


def test_libraries_are_found_beside_the_program(plug_in, job, measure, tmp_path: Path) -> None:
    plug_in("A")
    library = tmp_path / "lib it.so"
    library.write_text("x")
    script = f'test -f "$LD_LIBRARY_PATH/lib it.so" || {{ echo "no library"; exit 1; }}\n{BENCHMARK_MODEL}'
    assert measure(job(script, libraries=(library,))).failures == []


FAILURES = {
    "crash": ("kill -SEGV $$", "net.tflite: bench it was ended by SIGSEGV"),
    "status": ("echo 'ERROR: Op builtin_code out of range'; exit 1", "last line is 'ERROR: Op builtin_code out of"),
    "unreadable": ("echo STARTING!", "no line 'Inference timings in us'"),
    "endless": ("exec yes", "SIGXFSZ, for it printed or wrote without end"),
    "silent": ("exit 0", "it printed nothing"),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_program_that_fails_is_a_line_for_its_file(plug_in, job, measure, kind: str) -> None:
    phone = plug_in("A")
    script, said = FAILURES[kind]
    bad = f'case "$*" in *model.tflite*) if [ ! -f ../once ]; then touch ../once; {script}; exit 0; fi;; esac'
    result = measure(job(bad + BENCHMARK_MODEL, "net.tflite", "other.tflite"))
    (failure,) = result.failures
    assert said in failure
    assert [m.model for m in result.perf.measurements] == ["other.tflite"]
    assert [file.name for file in phone.storage.iterdir()] == ["once"]


def test_a_program_that_hangs_is_ended_before_the_next_begins(plug_in, job, measure) -> None:
    phone = plug_in("A")
    hang = "if [ ! -f ../hung ]; then echo $$ > ../hung; exec sleep 60; fi\n"
    alive = 'kill -0 "$(cat ../hung)" && { echo "the other still runs"; exit 1; }\n'
    result = measure(job(hang + alive + BENCHMARK_MODEL, "a.tflite", "b.tflite", timeout_s=2))
    (failure,) = result.failures
    assert "a.tflite: still running after 2 s" in failure
    assert [measured.model for measured in result.perf.measurements] == ["b.tflite"]
    assert [file.name for file in phone.storage.iterdir()] == ["hung"]


@pytest.mark.parametrize(
    ("options", "change", "said"),
    [
        ({"space_bytes": 10}, None, "bench it cannot be copied to it: its storage is full"),
        ({}, lambda phone: phone.set("getprop", "25", "ro.build.version.sdk"), "too old"),
        ({}, lambda phone: setattr(phone, "spoils", True), "bench it arrived altered"),
        ({}, lambda phone: phone.storage.rmdir(), "no folder can be made in /data/local/tmp"),
        ({}, lambda phone: phone.program("nproc", "echo 4"), "there is no cpu 7, only 0 to 3"),
        ({"unplugged_by": "sha256sum"}, None, "lost: its cable"),
        ({"unplugged_by": "./program"}, None, "lost: its cable"),
        ({"unplugged_by": "getprop"}, None, "lost: its cable"),
    ],
    ids=["full", "old", "altered", "no folder", "no cpu", "lost", "lost while it runs", "lost at once"],
)
def test_a_phone_that_fails_is_a_line(plug_in, job, measure, options, change, said: str) -> None:
    phone = plug_in("A", **options)
    if change:
        change(phone)
    result = measure(job(cpus=(7,)))
    (failure,) = result.failures
    assert said in failure
    assert result.perf is None
    if "lost" not in said and phone.storage.exists():
        assert list(phone.storage.iterdir()) == []


def test_a_file_that_vanished_here_is_a_line(plug_in, job, measure, tmp_path: Path) -> None:
    phone = plug_in("A")
    (failure,) = measure(job(libraries=(tmp_path / "gone.so",))).failures
    assert "gone.so here: No such file" in failure
    assert list(phone.storage.iterdir()) == []


def test_what_was_measured_before_the_cable_was_lost_is_kept(plug_in, job, measure) -> None:
    phone = plug_in("A", unplugged_by="./program", unplugged_at=2)
    result = measure(job(BENCHMARK_MODEL, "a.tflite", "b.tflite"))
    assert [measured.model for measured in result.perf.measurements] == ["a.tflite"]
    (failure,) = result.failures
    (left,) = phone.storage.iterdir()
    assert failure.endswith(f"/data/local/tmp/{left.name} stays on it and may be removed")


def test_several_phones_at_once_and_one_fails(adb_program: str, plug_in, job) -> None:
    for serial in "AB":
        plug_in(serial)
    plug_in("C", unplugged_by="./program")
    plug_in("D", state="unauthorized")
    said: dict[str, list[str]] = {}
    phones = [Listed(serial, "unauthorized" if serial == "D" else "device") for serial in "ABCD"]
    meet = "cd ../../../../..; touch met.$$; until [ $(ls | grep -c met) = 2 ]; do sleep 0.05; done; cd - > /dev/null\n"
    made = job(meet + BENCHMARK_MODEL, timeout_s=20)
    results = measure_phones(adb_program, phones, made, lambda serial, what: said.setdefault(serial, []).append(what))
    assert [result.serial for result in results] == ["A", "B", "C", "D"]
    assert [bool(result.perf) for result in results] == [True, True, False, False]
    assert "lost" in results[2].failures[0]
    assert "allow USB debugging" in results[3].failures[0]
    assert [said[serial][-1] for serial in "ABCD"] == ["done", "done", "failed", "failed"]
    assert "running net.tflite" in said["A"]


def test_phones_are_chosen_by_serial() -> None:
    listed = [Listed("A", "device"), Listed("B", "offline")]
    assert choose_phones(listed, ()) == listed
    assert choose_phones(listed, ["B", "B"]) == [Listed("B", "offline")]
    with pytest.raises(DeviceError, match="no phone 'Z', adb lists A, B"):
        choose_phones(listed, ["A", "Z"])
    with pytest.raises(DeviceError, match="turn on USB debugging"):
        choose_phones([], ())
