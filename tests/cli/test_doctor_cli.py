"""The verbs `doctor` and `info --privacy`: what they print, and with which status they end."""

from __future__ import annotations

import json
import shutil

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import numpy_helper

from pocketface.cli import cli


def run(*arguments):
    return CliRunner(catch_exceptions=False).invoke(cli, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def model(exports):
    return exports["facelivtv2_xs", "onnx", "float32"].artifact.path


@pytest.fixture(scope="module")
def golden(model, tmp_path_factory):
    """A folder of six pictures and what is to come out."""
    from pocketface.evaluate.faces import BUNDLED

    folder = tmp_path_factory.mktemp("faces")
    found = json.loads((BUNDLED / "landmarks.json").read_text())
    few = {name: found[name] for name in sorted(found)[:6]}
    (folder / "landmarks.json").write_text(json.dumps(few))
    for name in few:
        shutil.copy(BUNDLED / name, folder)
    written = run("doctor", model, "--golden", folder, "--write-golden", folder / "out")
    assert written.exit_code == 0
    assert "6 golden pictures" in written.output
    return folder / "out"


def test_a_healthy_app_is_status_0_and_the_folder_tells_how(model, golden):
    assert "letterbox" not in (golden / "README.txt").read_text()
    assert "align by the five landmarks" in (golden / "README.txt").read_text()
    result = run("doctor", model, "--golden", golden / "pictures", "--observed", golden / "expected.json")
    assert result.exit_code == 0
    assert "healthy: explains 100.0%" in result.output
    assert "channels swapped" in result.output  # the table of what else was tried


def test_a_fault_is_status_1_with_its_cure_in_a_table_and_as_json(model, golden, tmp_path):
    answers = json.loads((golden / "expected.json").read_text())["embeddings"]
    late = dict(zip(answers, [*list(answers.values())[1:], answers["person_000"]], strict=True))
    file = tmp_path / "app.json"
    file.write_text(json.dumps({"embeddings": late}))
    shown = run("doctor", model, "--golden", golden / "pictures", "--observed", file)
    assert shown.exit_code == 1
    assert "wrong order: Keep each answer with its own picture" in shown.output
    told = run("doctor", model, "--golden", golden / "pictures", "--observed", file, "--json")
    diagnosis = json.loads(told.output)
    assert told.exit_code == 1
    assert diagnosis["verdict"] == "wrong order"
    assert diagnosis["pictures"] == 6
    assert len(diagnosis["hypotheses"]) > 20


def test_one_of_two_options_is_needed_and_a_bad_file_is_one_error(model, tmp_path):
    assert run("doctor", model).exit_code == 2
    (tmp_path / "x.json").write_text("{}")
    bad = run("doctor", model, "--observed", tmp_path / "x.json")
    assert bad.exit_code == 1
    assert 'x.json: expected {"embeddings"' in bad.stderr


def test_info_privacy_of_a_stripped_file_and_of_one_with_class_centres(model, tmp_path):
    clean = run("info", model, "--privacy")
    assert clean.exit_code == 0
    assert "no margin head, class centres or optimiser state inside" in clean.output
    planted = onnx.load(str(model))
    planted.graph.initializer.append(numpy_helper.from_array(np.zeros((1000, 512), np.float32), "head.weight"))
    onnx.save(planted, str(tmp_path / "planted.onnx"))
    found = run("info", tmp_path / "planted.onnx", "--privacy", "--json")
    assert found.exit_code == 1
    assert json.loads(found.output)["stripped"] is False
    assert "head.weight (1000, 512)" in json.loads(found.output)["leaks"][0]
