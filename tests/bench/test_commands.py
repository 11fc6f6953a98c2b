"""`bench` from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from pocketface.bench.pages import perf_report
from pocketface.bench.perf import Measurement, Perf, load_perf
from pocketface.cli import cli
from pocketface.cli.bench import PLACES

Make = Callable[..., Measurement]
Run = Callable[..., Perf]
STEADY = np.full(24, 5.0)
SHORT = ("--processes", "1", "--rounds", "1", "--runs", "2", "--warmup", "0")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["bench", *map(str, arguments)])


@pytest.mark.parametrize("place", [place.name for place in PLACES])
def test_every_command_has_help_and_json(place: str) -> None:
    assert "--json" in run(place, "--help").output


def test_a_run_writes_a_perf_json_and_a_report(recognizer: Path, tmp_path: Path) -> None:
    done = run("host", recognizer, *SHORT, "--out", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    perf = load_perf(tmp_path / "out" / "perf.json")
    assert json.loads(done.stdout)["measurements"][0]["model"] == "tiny.onnx"
    assert (perf.device.kind, perf.measurements[0].engine) == ("host", "onnxruntime")
    assert str(tmp_path) not in (tmp_path / "out" / "perf.json").read_text()
    assert "Latency of one run, network" in (tmp_path / "out" / "report.html").read_text()


def test_the_command_is_told_without_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    from pocketface.cli.output import command_without_folders

    monkeypatch.setattr("sys.argv", ["x", "bench", "/home/me/m.onnx@litert", "--out=/home/me/a b", "--rounds", "3"])
    assert command_without_folders() == "pocketface bench m.onnx@litert '--out=a b' --rounds 3"


def test_a_failure_is_one_line_and_status_1(recognizer: Path) -> None:
    done = run("host", f"{recognizer}@nonsense", recognizer, *SHORT)
    assert done.exit_code == 1
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("pocketface: "))
    assert line.startswith("pocketface: tiny.onnx@nonsense, 1 thread: ")
    assert line.endswith("no backend 'nonsense' for onnx files, there are: onnxruntime")
    assert "onnxruntime" in done.stdout


def test_a_wrong_call_is_status_2(recognizer: Path) -> None:
    done = run("host", recognizer, "--threads", "4096")
    assert done.exit_code == 2
    assert "as many cores" in done.stderr


def test_runs_are_compared_and_a_limit_is_a_status(measured: Make, perf_of: Run, tmp_path: Path) -> None:
    before, after = tmp_path / "a.json", tmp_path / "b.json"
    perf_of(measured(STEADY)).save(before)
    perf_of(measured(1.5 * STEADY)).save(after)
    assert run("compare", before, before, "--fail-if-slower", "1.1").exit_code == 0
    assert run("compare", before, after, "--fail-if-slower", "1.6").exit_code == 0
    done = run("compare", before, after, "--fail-if-slower", "1.1", "--json")
    assert done.exit_code == 1
    (row,) = json.loads(done.stdout)["changes"]
    assert (row["change"], row["within"]) == ("slower", False)
    assert row["low"] < 1.5 < row["high"]
    assert "slower" in run("compare", before, after).stdout


def test_devices_are_joined_on_one_page(measured: Make, perf_of: Run, tmp_path: Path) -> None:
    told = Measurement(model="m.onnx", engine="told", mean_ms=7.0)
    perf_of(measured(STEADY), name="phone").save(tmp_path / "phone.json")
    perf_of(measured(STEADY), told, name="tablet").save(tmp_path / "tablet.json")
    done = run("report", tmp_path / "phone.json", tmp_path / "tablet.json", "--out", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    latency = next(s for s in json.loads(done.stdout)["sections"] if s["title"] == "Latency")
    assert [row["device"] for row in latency["rows"]] == ["phone", "tablet", "tablet"]
    assert [round(row["mean_ms"]) for row in latency["rows"]] == [5, 5, 7]
    assert latency["pictures"][0]["plot"] is True
    page = (tmp_path / "out" / "report.html").read_text()
    assert "phone" in page
    assert "data:image/png" in page


def test_two_runs_on_one_device_are_told_apart_by_their_time(measured: Make, perf_of: Run) -> None:
    runs = [msgspec.structs.replace(perf_of(measured(STEADY)), created=f"2026-11-0{day}") for day in (1, 2)]
    for section in perf_report(runs, title="t", plots=False).sections:
        assert [row["device"] for row in section.rows] == ["a machine, 2026-11-01", "a machine, 2026-11-02"]
    alone = perf_report(runs[:1], title="t", plots=False).sections
    assert ["device" in row for section in alone for row in section.rows] == [False, True]


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    for arguments in (["report", tmp_path / "x.json"], ["compare", tmp_path / "x.json", tmp_path / "x.json"]):
        done = run(*arguments)
        assert done.exit_code == 1
        assert "not a perf.json" in done.stderr


def test_without_the_demo_s_files_nothing_is_begun(tmp_path: Path) -> None:
    done = run("self", tmp_path)
    assert done.exit_code == 1
    assert "mos_xs_320_fp32.onnx: no such model file" in done.stderr
