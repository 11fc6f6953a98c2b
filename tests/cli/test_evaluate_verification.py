"""`evaluate verification` and `calibrate` from end to end, on a network that can be worked out and coloured squares."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from pocketface.artifact import load_artifact, write_sidecar
from pocketface.cli import cli
from pocketface.contract import InputSpec, ModelContract, Recognition
from pocketface.errors import EmbeddingMismatch, InvalidData, ParityError, PocketfaceError

SIDE, PEOPLE, EACH = 112, 30, 3


def recognizer(folder: Path, precision: str, offset: float, fingerprint: str = "ab" * 32) -> Path:
    """The embedding is the picture averaged over blocks of 28 x 28 and less an offset; 128 takes out the grey."""
    path = folder / f"{precision}.onnx"
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[28, 28], strides=[28, 28]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Sub", ["flat", "offset"], ["embedding"]),
    ]
    result = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, None)
    constants = [numpy_helper.from_array(np.float32(offset), "offset")]
    graph = helper.make_graph(nodes, "tiny", [image], [result], constants)
    opset = [helper.make_opsetid("", 18)]
    path.write_bytes(helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString())
    spec = InputSpec(name="image", layout="NCHW", height=SIDE, width=SIDE, dynamic_batch=True)
    contract = ModelContract(
        model="tiny",
        task=Recognition(embedding_size=48, normalized=False),
        input=spec,
        outputs={"embedding": "embedding"},
        precision=precision,
        fingerprint=fingerprint,
        weights="by hand",
        trained=True,
    )
    write_sidecar(path, contract)
    return path


@pytest.fixture
def models(tmp_path):
    """Two files of one network that differ a little, and one of another."""
    offsets = {"float32": 128.0, "int8": 127.0, "other": 128.0}
    return {
        name: recognizer(tmp_path, name, offset, "cd" * 32 if name == "other" else "ab" * 32)
        for name, offset in offsets.items()
    }


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A folder for each person; a picture is the person's 16 coloured squares and some noise."""
    folder = tmp_path_factory.mktemp("data") / "people"
    rng = np.random.default_rng(0)
    for i in range(PEOPLE):
        squares = rng.normal(size=(4, 4, 3))
        (folder / f"p{i:02d}").mkdir(parents=True)
        for k in range(EACH):
            small = 128 + 30 * (squares + 0.7 * rng.normal(size=(4, 4, 3)))
            pixels = np.repeat(np.repeat(small.clip(0, 255).astype(np.uint8), 28, 0), 28, 1)
            Image.fromarray(pixels).save(folder / f"p{i:02d}" / f"{k}.png")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETFACE_CACHE", str(tmp_path / "cache"))


def run(*arguments):
    """A command in this process, whose errors are raised."""
    command = [str(a) for a in arguments]
    done = CliRunner().invoke(cli.commands[command[0]], command[1:])
    if isinstance(done.exception, PocketfaceError):
        raise done.exception
    return done


def verification(people, *arguments):
    return run("evaluate", "verification", people, "--aligned", *arguments)


def test_one_file_as_table_and_json(models, people):
    table = verification(people, "--model", models["float32"]).stdout
    assert all(word in table for word in ("float32.onnx", "30 identities", "TAR at FAR", "rule of 30"))
    told = json.loads(verification(people, "--model", models["float32"], "--json").stdout)
    result = told["results"][0]
    assert (result["pictures"], result["genuine"], result["impostors"]) == (90, 90, 90 * 89 // 2 - 90)
    assert result["at_far"][0]["tar"] > 0.9
    assert len(result["sha256"]) == 64
    assert told["drifts"] == []


def test_a_gate_that_holds_may_be_recorded_and_precisions_then_compare(models, people):
    both = ["--model", models["float32"], "--model", f"{models['int8']}@onnxruntime"]
    gate = ["--gate", "cosine>=0.99,flips<=0.02"]
    done = verification(people, *both, *gate, "--record")
    assert done.exit_code == 0
    assert "✓ pass" in done.stdout
    assert load_artifact(models["int8"]).contract.task.compatible == ("float32",)
    assert not load_artifact(models["float32"]).contract.task.compatible


def test_a_gate_that_breaks_names_what_broke_and_records_nothing(models, people):
    both = ["--model", models["float32"], "--model", models["int8"]]
    with pytest.raises(ParityError, match=r"int8.onnx: cosine is 0.99\d+, cosine >= 0.99999 is wanted"):
        verification(people, *both, "--gate", "cosine>=0.99999,flips<=0.5", "--record")
    assert not load_artifact(models["int8"]).contract.task.compatible


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gate", "flips<=0.1"], "give --model twice"),
        (["--record"], "give --model twice"),
        (["--model", "x.onnx", "--record"], "give --gate"),
        (["--model", "x.onnx", "--gate", "flip<=1"], "no figure 'flip' to judge"),
    ],
)
def test_a_wrong_gate_is_a_wrong_call(models, people, arguments, said):
    done = verification(people, "--model", models["float32"], *arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


def test_different_networks_are_refused_unless_asked_for(models, people):
    both = ["--model", models["float32"], "--model", models["other"]]
    with pytest.raises(EmbeddingMismatch, match="--allow-different"):
        verification(people, *both)
    drift = json.loads(verification(people, *both, "--allow-different", "--json").stdout)["drifts"][0]
    assert drift["turn"] is None
    assert drift["flips"] == 0


def test_calibrated_thresholds_are_in_the_file_and_decide(models, people):
    model = models["float32"]
    before = load_artifact(model)
    told = json.loads(run("calibrate", model, people, "--aligned", "--json").stdout)
    after = load_artifact(model)
    assert (told["sha256"], told["parent"]) == (after.sha256, before.sha256)
    assert [t["far"] for t in told["calibration"]["thresholds"]] == [1e-2]
    assert [text[:8] for text in told["refused"]] == ["FAR 1e-3", "FAR 1e-4"]
    assert after.contract.task.calibration.data == "people"
    assert {p.key for p in onnx.load(model).metadata_props} == {"pocketface"}
    assert "rule of 3" in run("calibrate", model, people, "--aligned").stdout
    assert load_artifact(model) == after  # the same again changes nothing, and no file is its own parent


def test_a_list_of_pairs_is_judged_over_its_folds(models, people, tmp_path):
    rows = [f"p{i:02d}/0.png,p{i:02d}/1.png,1,{i % 10}" for i in range(PEOPLE)]
    rows += [f"p{i:02d}/0.png,p{(i + 7) % PEOPLE:02d}/2.png,0,{i % 10}" for i in range(PEOPLE)]
    (tmp_path / "pairs.csv").write_text("\n".join(["a,b,same,fold", *rows]))
    arguments = ["--aligned", "--images", people, "--model", models["float32"], "--json"]
    result = json.loads(run("evaluate", "verification", tmp_path / "pairs.csv", *arguments).stdout)["results"][0]
    assert (result["folds"], result["genuine"], result["impostors"]) == (10, 30, 30)
    assert 0.9 < result["accuracy"] <= 1
    assert result["at_far"][0]["tar"] is None  # of 30 impostor pairs, none may pass at FAR 1e-2
    assert "3,000 are needed" in result["at_far"][0]["note"]


@pytest.fixture
def columns(tmp_path, people):
    """Group by the number of the person, and an age that half of the pictures lack."""
    rows = [
        f"{p.parent.name}/{p.name},{'ab'[int(p.parent.name[1:]) % 2]},{int(p.stem) or ''}"
        for p in people.rglob("*.png")
    ]
    file = tmp_path / "columns.csv"
    file.write_text("\n".join(["name,group,age", *rows]))
    return file


def test_tables_and_json_of_two_files(models, people, columns):
    both = ["--model", models["float32"], "--model", models["int8"], "--columns", columns, "--far", "1e-2"]
    table = verification(people, *both, "--by", "group").stdout
    assert all(
        word in table for word in ("By group, at the threshold of FAR 0.01", "rank disparity", "against float32")
    )
    told = json.loads(verification(people, *both, "--by", "group", "--by", "age", "--json").stdout)
    group, age = told["slices"]
    assert [s["name"] for s in group["files"][0]["slices"]] == ["a", "b"]
    assert [(s["pictures"], s["genuine"]) for s in group["files"][0]["slices"]] == [(45, 45), (45, 45)]
    assert age["names"] == ["1", "2", "not known"]
    assert age["files"][0]["slices"][0]["genuine"] == 0  # a person has one picture of each age
    assert age["files"][0]["across"][0] == 90
    assert len(group["files"][1]["changes"]) == len(group["files"][1]["turns"]) == 2


def test_without_identities_drift_alone(models, tmp_path, people):
    flat = tmp_path / "flat"
    flat.mkdir()
    for i, picture in enumerate(sorted(people.rglob("0.png"))):
        Image.open(picture).save(flat / f"{20 + 40 * (i % 2)}_{i % 2}_{i % 5}_x{i}.png")
    arguments = ["--aligned", "--scheme", "utkface", "--by", "gender", "--model", models["float32"]]
    told = json.loads(run("evaluate", "verification", flat, *arguments, "--model", models["int8"], "--json").stdout)
    assert "results" not in told
    turns = told["slices"][0]["files"][1]["turns"]
    assert [(t["name"], t["pictures"]) for t in turns] == [("female", 15), ("male", 15)]
    assert all(0.99 < t["mean"] < 1 for t in turns)
    with pytest.raises(InvalidData, match="only drift between files can be sliced"):
        run("evaluate", "verification", flat, *arguments)
    gate = ["--model", models["int8"], "--gate", "cosine>=0.9"]
    with pytest.raises(InvalidData, match="name no identity"):
        run("evaluate", "verification", flat, *arguments, *gate)  # a gate is not passed by what was not measured


def test_a_report_holds_the_slices(models, people, columns, tmp_path):
    pytest.importorskip("matplotlib")
    arguments = ["--columns", columns, "--by", "group", "--far", "1e-2", "--out", tmp_path / "report"]
    verification(people, "--model", models["float32"], *arguments)
    titles = [s["title"] for s in json.loads((tmp_path / "report" / "report.json").read_text())["sections"]]
    assert "Rates by group" in titles
