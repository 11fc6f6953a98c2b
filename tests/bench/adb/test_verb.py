"""`pocketface bench adb` as a person meets it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from pocketface.bench.perf import load_perf
from pocketface.cli import cli

ANSWER = """#!/bin/sh
echo 'count=50 first=5 curr=5 min=5 max=9 avg=7000 std=1 p5=5 median=6000 p95=8'
echo 'Inference timings in us: Init: 3000, First inference: 9000, Warmup (avg): 8000, Inference (avg): 7000'
"""


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    path = tmp_path / "benchmark_model"
    path.write_text(ANSWER)
    return path


def run(*arguments: object, status: int = 0):
    done = CliRunner().invoke(cli, ["bench", "adb", *map(str, arguments)])
    assert done.exit_code == status, done.output
    assert "Traceback" not in done.output
    return done


def test_two_phones_and_a_file_for_each(adb_program, plug_in, artifact, binary, tmp_path: Path) -> None:
    for serial in "AB":
        plug_in(serial)
    net, out = artifact("net.tflite").path, tmp_path / "perf"
    told = run(net, "--binary", binary, "--out", out).stdout
    assert "Google Pixel 7" in told
    assert "7" in told
    files = sorted(out.iterdir())
    assert [file.name for file in files] == ["perf_google_pixel_7-2.json", "perf_google_pixel_7.json"]
    perf = load_perf(files[1])
    assert perf.measurements[0].percentile_ms(50) == 6.0
    assert str(tmp_path) not in files[1].read_text()


def test_the_command_is_kept_without_paths_and_serials(adb_program, plug_in, artifact, binary, tmp_path, monkeypatch):
    plug_in("A")
    typed = [str(artifact("net.tflite").path), f"--binary={binary}", "--serial", "A", f"--out={tmp_path / 'o'}"]
    typed += ["--extra=--external_delegate_path=/data/it s/x.so", "--threads", "2"]
    monkeypatch.setattr("sys.argv", ["pocketface", "bench", "adb", *typed])
    run(*typed)
    assert load_perf(tmp_path / "o" / "perf_google_pixel_7.json").command == (
        "pocketface bench adb net.tflite --binary=benchmark_model --extra=--external_delegate_path=x.so --threads 2"
    )


def test_json_is_for_machines_and_a_failure_is_status_1(adb_program, plug_in, artifact, binary) -> None:
    plug_in("A")
    plug_in("B", state="offline")
    done = run(artifact("net.tflite").path, "--binary", binary, "--json", status=1)
    first, second = json.loads(done.stdout)
    assert (first["serial"], first["failures"]) == ("A", [])
    assert first["perf"]["measurements"][0]["mean_ms"] == 7.0
    assert (second["perf"], len(second["failures"])) == (None, 1)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("pocketface:")]
    assert line == "pocketface: B: offline: plug its cable in again, or restart it"


def test_warnings_are_shown(adb_program, plug_in, artifact, binary, recorded) -> None:
    plug_in("A").set("dumpsys", recorded[0].format(status=2, level=12, tenths=250), "battery")
    told = " ".join(run(artifact("net.tflite").path, "--binary", binary).stdout.split())
    assert "its battery is at 12 %" in told
    assert "was charging" in told


def test_phones_are_listed(adb_program, plug_in) -> None:
    plug_in("A")
    plug_in("B", state="unauthorized")
    rows = json.loads(run("--list", "--json").stdout)
    assert [(row["serial"], row["state"], bool(row["cure"])) for row in rows] == [
        ("A", "device", False),
        ("B", "unauthorized", True),
    ]
    assert "USB debugging" in " ".join(run("--list").stdout.split())


def test_a_serial_chooses(adb_program, plug_in, artifact, binary) -> None:
    for serial in "AB":
        plug_in(serial)
    net = artifact("net.tflite").path
    assert [row["serial"] for row in json.loads(run(net, "--binary", binary, "--serial", "B", "--json").stdout)] == [
        "B"
    ]


@pytest.mark.parametrize(
    ("names", "more", "said"),
    [
        ((), (), "give the files to measure"),
        (("a.tflite", "b.onnx"), (), "files of one format, these are tflite and onnx"),
        (("a.onnx",), ("--tool", "benchmark_model"), "these are onnx"),
        (("a.tflite",), ("--tool", "nonsense"), "benchmark_model, onnxruntime_perf_test"),
        (("a.tflite",), ("--cpus", "4-x"), "not a list of cpus"),
        (("a.tflite",), ("--cpus", "7-4"), "not a list of cpus"),
    ],
)
def test_a_wrong_call_is_status_2(artifact, binary, names, more, said: str) -> None:
    paths = [artifact(name).path for name in names]
    assert said in " ".join(run(*paths, "--binary", binary, *more, status=2).output.split())


@pytest.mark.parametrize(("spelled", "mask"), [("4-7", "f0"), ("0,2-3", "d"), ("3", "8")])
def test_cpus_become_a_mask(adb_program, plug_in, artifact, binary, spelled: str, mask: str) -> None:
    phone = plug_in("A")
    run(artifact("net.tflite").path, "--binary", binary, "--cpus", spelled)
    assert (phone.root / "log").read_text() == f"taskset {mask}\n"


def test_bad_files_are_found_before_any_phone_is_touched(adb_program, plug_in, artifact, binary, tmp_path) -> None:
    phone, net = plug_in("A"), artifact("net.tflite").path
    (tmp_path / "program.exe").write_bytes(b"MZ" + bytes(100))
    assert "no ELF header" in run(net, "--binary", tmp_path / "program.exe", status=1).stderr
    assert "nowhere.so: no such file" in run(net, "--binary", binary, "--library", "nowhere.so", status=1).stderr
    assert "--out wants a folder" in run(net, "--binary", binary, "--out", binary, status=1).stderr
    net.write_bytes(net.read_bytes()[:-1])
    assert "altered or truncated" in run(net, "--binary", binary, status=1).stderr
    assert phone.commands == []


def test_no_phone_is_a_line(adb_program, adb_server, artifact, binary) -> None:
    assert "adb lists no phone" in run(artifact("net.tflite").path, "--binary", binary, status=1).stderr


def test_a_result_that_cannot_be_written_is_still_shown(adb_program, plug_in, artifact, binary, tmp_path) -> None:
    plug_in("A")
    (tmp_path / "file").write_text("")
    done = run(artifact("net.tflite").path, "--binary", binary, "--out", tmp_path / "file" / "perf", status=1)
    assert "Google Pixel 7" in done.stdout
    assert "cannot write to" in done.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_an_interrupt_leaves_nothing_on_the_phone(adb_program, plug_in, artifact, binary, sent) -> None:
    phone = plug_in("A")
    binary.write_text("#!/bin/sh\necho $$ > ../hung\nexec sleep 60\n")
    hung = phone.storage / "hung"
    command = [sys.executable, "-m", "pocketface", "bench", "adb", artifact("net.tflite").path, "--binary", binary]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not (hung.exists() and hung.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(sent)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130, told
    assert "interrupted" in told
    assert list(phone.storage.iterdir()) == [hung]
    status = Path(f"/proc/{int(hung.read_text())}/status")
    assert not status.exists() or "zombie" in status.read_text()
