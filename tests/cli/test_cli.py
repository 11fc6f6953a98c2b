"""The command line as a person meets it; where the process itself matters, in one of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pocketface.cli import cli
from pocketface.cli.bench import PLACES
from pocketface.cli.evaluate import PROTOCOLS
from pocketface.evaluate.faces import BUNDLED

VERBS = (
    *("models", "info", "build", "export", "parity", "demo", "detect", "embed", "compare"),
    *("explain", "calibrate", "doctor"),
)
FACE = str(BUNDLED / "person_000.jpg")
OTHER = str(BUNDLED / "person_001.jpg")


def run(*arguments, status=0):
    done = CliRunner().invoke(cli, list(map(str, arguments)))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == status, done.stderr
    return done


def run_process(*arguments, status=0):
    command = [sys.executable, "-m", "pocketface", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == status, done.stderr
    return done


def failure(*arguments, status=1, run=run):
    """What a failing command says: one line on standard error, no traceback."""
    done = run(*arguments, status=status)
    lines = [line for line in done.stderr.splitlines() if line.startswith("pocketface: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


@pytest.fixture(scope="module")
def paths(exports):
    return {
        "detector": exports["mos_xs", "onnx", "float32"].artifact.path,
        "recognizer": exports["facelivtv2_xs", "onnx", "float32"].artifact.path,
    }


@pytest.fixture(scope="module")
def pair(paths):
    return ["--detector", paths["detector"], "--recognizer", paths["recognizer"]]


def test_help_names_every_verb_and_loads_nothing_heavy():
    done = run_process("--help")
    assert all(f"\n  {verb} " in done.stdout for verb in VERBS)
    assert "    pocketface export facelivtv2_xs" in done.stdout.replace("\n  pocketface", "\n    pocketface")
    code = "import sys, pocketface.cli; print(sorted({'numpy', 'torch', 'rich', 'onnxruntime'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize("verb", [*VERBS, "scenes label", "scenes report", "scenes calibrate"])
def test_every_verb_has_help_and_json(verb):
    assert "--json" in run(*verb.split(), "--help").stdout


@pytest.mark.parametrize("group", ["evaluate", "bench"])
def test_a_group_lists_its_commands_in_the_order_of_its_table(group):
    said = run(group, "--help").stdout
    places = [said.index(f"\n  {command.name} ") for command in {"evaluate": PROTOCOLS, "bench": PLACES}[group]]
    assert places == sorted(places)


def test_models_as_json():
    models = {row["model"]: row for row in json.loads(run("models", "--json").stdout)}
    assert round(models["facelivtv2_xs"]["macs"] / 1e6) == 88
    assert models["mos_xs"]["task"] == "detection"


def test_info_shows_the_contract_in_a_table_and_as_json(paths):
    facts = json.loads(run("info", paths["recognizer"], "--json").stdout)
    assert facts["model"] == "facelivtv2_xs"
    assert facts["trained"] is False
    assert facts["task"]["type"] == "recognition"
    assert "facelivtv2_xs" in run("info", paths["recognizer"]).stdout


def test_build_writes_weights_that_load_again(tmp_path):
    from pocketface.models import create_model

    file = tmp_path / "w.safetensors"
    row = json.loads(run("build", "mos_xs", "--seed", "3", "--out", file, "--json").stdout)[0]
    assert row["weights"] == "seeded:3"
    create_model("mos_xs", weights=file)
    twice = ("--weights", file, "--average", file, "--out", tmp_path / "m.safetensors", "--json")
    assert json.loads(run("build", "mos_xs", *twice).stdout)[0]["weights"] == "w.safetensors, w.safetensors"
    folded = json.loads(run("build", "mos_xs", "--deployed", "--out", tmp_path / "d.safetensors", "--json").stdout)[0]
    assert folded["tensors"] < row["tensors"]


def test_export_and_parity_from_the_command_line(tmp_path):
    rows = json.loads(run("export", "facelivtv2_xs", "--format", "onnx", "--out", tmp_path, "--json").stdout)
    assert [row["passed"] for row in rows] == [True]
    file = tmp_path / rows[0]["file"]
    again = json.loads(run("parity", file, "--json").stdout)
    assert again[0]["passed"] is True
    assert again[0]["faces"] == 48
    assert "✓ pass" in run("parity", file).stdout


def test_a_broken_tolerance_is_status_1_and_names_the_tensor(tmp_path, paths):
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(paths["recognizer"]))
    weight = next(t for t in model.graph.initializer if len(t.dims) == 4)
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * -1, weight.name))
    onnx.save(model, str(tmp_path / "m.onnx"))
    assert "first departs at" in failure("parity", tmp_path / "m.onnx")


def test_detect_as_json_and_drawn(tmp_path, paths):
    rows = json.loads(
        run("detect", FACE, "--detector", paths["detector"], "--threshold", 0, "--draw", tmp_path, "--json").stdout
    )
    assert {"x1", "y1", "x2", "y2", "score", "yaw_deg", "pitch_deg", "roll_deg", "landmarks"} <= rows[0].keys()
    assert np.shape(rows[0]["landmarks"]) == (5, 2)
    with Image.open(tmp_path / "person_000.png") as drawn, Image.open(FACE) as plain:
        assert drawn.size == plain.size
        assert np.abs(np.asarray(drawn, int) - np.asarray(plain, int)).max() > 0


def test_embed_writes_an_npz_whole(tmp_path, pair):
    file = tmp_path / "e.npz"
    run("embed", FACE, OTHER, *pair, "--threshold", 0.6, "--out", file)
    with np.load(file) as data:
        assert set(data["images"]) == {FACE, OTHER}
        assert data["embeddings"].shape == (len(data["images"]), 512)
        np.testing.assert_allclose(np.linalg.norm(data["embeddings"], axis=1), 1, atol=1e-5)
        assert len(str(data["fingerprint"])) == 64
        assert str(data["precision"]) == "float32"
    assert list(tmp_path.iterdir()) == [file]


def test_compare_gives_one_number(pair):
    (row,) = json.loads(run("compare", FACE, FACE, *pair, "--threshold", 0, "--json").stdout)
    assert row["cosine"] == pytest.approx(1, abs=1e-5)
    assert "the model is not calibrated" in row["decision"]
    assert row["same"] is None
    (row,) = json.loads(run("compare", FACE, OTHER, *pair, "--threshold", 0, "--json").stdout)
    assert -1 <= row["cosine"] < 1


def test_no_face_is_an_error_for_compare_and_an_empty_row_for_detect(tmp_path, paths, pair):
    Image.new("RGB", (64, 64)).save(tmp_path / "black.png")
    assert "no face found" in failure("compare", FACE, tmp_path / "black.png", *pair, "--threshold", 1)
    rows = json.loads(run("detect", FACE, "--detector", paths["detector"], "--threshold", 1, "--json").stdout)
    assert rows == [{"image": FACE}]


def test_bad_input_is_one_line_that_says_what_came_and_what_to_do(tmp_path, paths, pair):
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    whole = Path(FACE).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    for name in ("text.jpg", "empty.png", "cut.jpg", "absent.jpg"):
        assert name in failure("detect", tmp_path / name, "--detector", paths["detector"])
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(paths["detector"].read_bytes()[:-1000])
    assert "cut.onnx" in failure("info", cut, run=run_process)
    assert "did you mean" in failure("export", "facelivtv2_sx", "--out", tmp_path / "o")
    assert "no such" in failure("export", "mos_xs", "--weights", tmp_path / "absent.pt", "--out", tmp_path / "o")
    (tmp_path / "file").write_text("")
    assert "cannot write to" in failure("export", "mos_xs", "--out", tmp_path / "file" / "o")
    assert "a model for recognition" in failure("detect", FACE, "--detector", paths["recognizer"])


def test_an_altered_model_is_refused_by_its_sha256(tmp_path, paths):
    from pocketface.artifact import sidecar_path

    for source in (paths["detector"], sidecar_path(paths["detector"])):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    file = tmp_path / paths["detector"].name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert "altered or truncated" in failure("detect", FACE, "--detector", file)


def test_a_wrong_call_is_status_2():
    assert "Usage" in run_process("export", status=2).stderr
    assert "No such option" in run("models", "--nonsense", status=2).stderr


@pytest.mark.parametrize("size", ["0", "320x0", "wide", "320x"])
def test_a_size_that_is_none_is_a_wrong_call(size):
    assert "expected 640, 480x640" in run("export", "mos_xs", "--size", size, status=2).stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_an_interrupt_in_the_middle_of_an_export_leaves_nothing(tmp_path, sent):
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-m", "pocketface", "export", "facelivtv2_xs", "--out", str(out)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        deadline = time.monotonic() + 600
        begun = lambda: out.exists() and any(out.iterdir())  # noqa: E731
        while not begun() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(sent)
        _, told = process.communicate(timeout=600)
    assert process.returncode == 130, told
    assert "interrupted" in told
    assert list(out.iterdir()) == []
