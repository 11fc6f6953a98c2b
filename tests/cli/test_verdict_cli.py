"""`verdict` from the command line: a table, Markdown or JSON, a report, or one clear line; and `quantize --report`."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from PIL import Image

from pocketface.cli import cli
from pocketface.evaluate.faces import bundled_portraits

DETECTOR, RECOGNIZER = "mos_xs", "facelivtv2_xs"


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Portraits to calibrate on, and others with their boxes."""
    folder, listed = tmp_path_factory.mktemp("sets"), []
    for i, portrait in enumerate(bundled_portraits()):
        place = folder / ("judge" if i >= 36 else "calibration")
        place.mkdir(exist_ok=True)
        Image.fromarray(portrait.image).save(place / f"{i}.png")
        if i >= 36:
            listed.append({"file": f"{i}.png", "faces": [{"box": portrait.box.astype(float).tolist()}]})
    (folder / "judge" / "faces.json").write_text(json.dumps(listed))
    return folder


@pytest.fixture
def given(sets, tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETFACE_CACHE", str(tmp_path / "cache"))
    return ("--calibration", sets / "calibration", "--judge", sets / "judge" / "faces.json")


def test_one_table_says_what_to_take_and_a_report_holds_the_same(exports, given, tmp_path):
    files = [exports[DETECTOR, format, "float32"].artifact.path for format in ("onnx", "tflite")]
    done = run("verdict", *files, *given, "--recipe", "fp16", "--out", tmp_path / "out", "--markdown")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "**mos_xs: take it or leave it**"
    rows = [line.split(" | ") for line in lines if line.startswith(("| onnx", "| tflite"))]
    assert [row[1] for row in rows] == ["float32", "fp16"] * 2
    assert "Judged by 12 faces in 12 pictures of faces, on onnxruntime, litert." in lines
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [row["how"] for row in report["sections"][0]["rows"]] == ["float32", "fp16"] * 2
    assert (tmp_path / "out" / "mos_xs_320_fp16.onnx").is_file()


def test_what_cannot_be_judged_is_one_clear_line(exports, given, sets):
    detector, recognizer = (exports[name, "onnx", "float32"].artifact.path for name in (DETECTOR, RECOGNIZER))
    for files, options, said in (
        ([detector, recognizer], given, "is of another network than"),
        ([detector], ("--calibration", sets / "judge", *given[2:]), "at least 32 are needed"),
        ([detector], (*given[:2], "--judge", sets / "calibration"), "expected a folder with one of them"),
        ([detector], (*given, "--gate", "cosine>=0.9"), "there is no figure 'cosine'"),
        ([detector], (*given, "--recipe", "int4"), "there is no recipe 'int4'"),
    ):
        done = run("verdict", *files, *options)
        assert done.exit_code, done.output
        assert said in " ".join(done.stderr.split())
        assert "Traceback" not in done.output


def test_a_report_of_quantize_shows_what_each_layer_costs(exports, sets, tmp_path):
    path = exports[DETECTOR, "onnx", "float32"].artifact.path
    few = ("--keep", r"^(?!stem\.0|stages\.2\.0)")
    options = ("--recipe", "static_wi8_ai8", "--calibration", sets / "calibration", "--judge", sets / "judge")
    done = run("quantize", path, *options, *few, "--count", 36, "--out", tmp_path, "--report", tmp_path / "report")
    assert done.exit_code == 1
    assert "12 of its 12 pictures can be used, and at least 32 are needed" in done.stderr
    options = ("--recipe", "weight_only_wi8_afp32")
    done = run("quantize", path, *options, *few, "--out", tmp_path, "--report", tmp_path / "report")
    assert done.exit_code == 0, done.output
    _, costs, _ = json.loads((tmp_path / "report" / "report.json").read_text())["sections"]
    assert costs["rows"][0]["layer"]
    assert [picture["title"] for picture in costs["pictures"]] == ["Cost of each layer"]
    assert "Each layer quantized alone" in done.stdout
