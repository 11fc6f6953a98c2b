"""`quantize` from the command line: a table or JSON, a file or one clear line; and what an attack makes of the file."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner
from PIL import Image

from pocketface.artifact import load_artifact
from pocketface.cli import cli
from pocketface.evaluate.faces import bundled_portraits
from pocketface.runtime.align import align_face

RECOGNIZER, DETECTOR = "facelivtv2_xs", "mos_xs"


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    """40 aligned crops of people who do not exist, mirrored: other pictures than those that judge."""
    folder = tmp_path_factory.mktemp("data") / "mirrored"
    folder.mkdir()
    for i, portrait in enumerate(bundled_portraits()[:40]):
        Image.fromarray(align_face(portrait.image[:, ::-1], _mirrored(portrait))).save(folder / f"{i}.png")
    return folder


def _mirrored(portrait):
    points = portrait.landmarks[[1, 0, 2, 4, 3]].copy()
    points[:, 0] = portrait.image.shape[1] - 1 - points[:, 0]
    return points


@pytest.fixture(scope="module")
def parent(exports, tmp_path_factory):
    """A float TFLite recogniser in a folder of its own."""
    folder = tmp_path_factory.mktemp("files")
    path = exports[RECOGNIZER, "tflite", "float32"].artifact.path
    for file in (path, path.with_name(f"{path.name}.json")):
        shutil.copy(file, folder / file.name)
    return folder / path.name


@pytest.fixture(scope="module")
def integers(parent, mirrored, tmp_path_factory):
    """It with int8 in and out, and what the command said."""
    out = tmp_path_factory.mktemp("int8")
    done = run(
        *("quantize", parent, "--recipe", "static_wi8_ai8", "--calibration", mirrored, "--aligned"),
        *("--io", "int8", "--gate", "cosine>=0.9", "--out", out, "--json"),
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    return out / told["file"], told


def test_json_says_what_was_made_of_what_and_how_near_it_is(integers, parent):
    path, told = integers
    made = load_artifact(path)
    assert (told["sha256"], told["parent"]) == (made.sha256, load_artifact(parent).sha256)
    assert made.contract.quantization.calibration == told["calibration"]
    assert (told["calibration_pictures"], told["pictures"], told["kept"]) == (40, 48, 0)
    assert 0.9 <= told["cosine_min"] <= told["cosine_p1"] <= told["cosine"] <= 1
    assert told["size_ratio"] < 0.35


def test_a_table_names_the_layers_that_stayed_in_float(exports, tmp_path):
    path = exports[DETECTOR, "onnx", "float32"].artifact.path
    done = run("quantize", path, "--recipe", "weight_only_wi8_afp32", "--keep", r"stem\.0", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert "kept in float: stem.0" in done.stdout
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".onnx"] == ["mos_xs_320_weight_only_wi8_afp32.onnx"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--recipe", "int4"], 1, "there is no recipe 'int4', only fp16"),
        (["--recipe", "w8a8"], 1, "here it is called static_wi8_ai8"),
        (["--recipe", "static_wi8_ai8"], 1, "needs pictures to calibrate on"),
        (["--recipe", "static_wi8_ai8", "--calibration", "{empty}", "--aligned"], 1, "no picture in it"),
        (["--recipe", "static_wi8_ai8", "--calibration", "{none}", "--aligned"], 1, "no such file or folder"),
        (["--recipe", "static_wi8_ai8", "--calibration", "{mirrored}"], 1, "need a detector"),
        (["--recipe", "fp16", "--rescue"], 2, "--rescue needs a --gate"),
        (["--recipe", "fp16", "--gate", "box_iou>=0.9"], 2, "there is no figure 'box_iou'"),
        (["--recipe", "dynamic_wi8_afp32", "--io", "int8"], 1, "only static recipes"),
        (["--recipe", "dynamic_wi8_afp32", "--gate", "cosine>=0.99999"], 1, "cosine >= 0.99999 is wanted"),
    ],
)
def test_what_cannot_be_is_one_clear_line_and_leaves_nothing(parent, mirrored, tmp_path, arguments, status, said):
    (tmp_path / "empty").mkdir()
    places = {"{empty}": tmp_path / "empty", "{none}": tmp_path / "none", "{mirrored}": mirrored}
    given = [places.get(argument, argument) for argument in arguments]
    done = run("quantize", parent, *given, "--out", tmp_path / "out")
    assert done.exit_code == status, done.output
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.output
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


def test_a_quantized_file_given_as_a_source_is_refused(integers):
    done = run("quantize", integers[0], "--recipe", "fp16")
    assert done.exit_code == 1
    assert "quantized already (static_wi8_ai8)" in done.stderr


def test_what_calibrated_may_not_judge(parent, mirrored, tmp_path):
    options = ("--recipe", "static_wi8_ai8", "--calibration", mirrored, "--judge", mirrored, "--aligned")
    done = run("quantize", parent, *options, "--out", tmp_path)
    assert done.exit_code == 1
    assert "share 40 pictures" in done.stderr


def test_people_of_the_calibration_are_named_and_those_that_judge_are_known_by_their_folders(
    parent, mirrored, tmp_path
):
    for i, portrait in enumerate(bundled_portraits()[:32]):
        (tmp_path / "judge" / f"p{i}").mkdir(parents=True)
        Image.fromarray(align_face(portrait.image, portrait.landmarks)).save(tmp_path / "judge" / f"p{i}" / "a.png")
    (tmp_path / "who.json").write_text(json.dumps({"0.png": "p0", "1.png": "p99"}))
    options = ("--recipe", "static_wi8_ai8", "--calibration", mirrored, "--judge", tmp_path / "judge", "--aligned")
    done = run("quantize", parent, *options, "--identities", tmp_path / "who.json", "--out", tmp_path)
    assert done.exit_code == 1
    assert "share 1 people: p0" in done.stderr


def test_parity_with_torch_is_not_asked_of_a_quantized_file(integers):
    done = run("parity", integers[0])
    assert done.exit_code == 1
    assert "quantized with static_wi8_ai8" in done.stderr


def test_an_attack_that_was_made_on_torch_is_judged_by_the_int8_file(integers, parent, tmp_path, monkeypatch):
    """One that makes float fail makes int8 fail as well: their cosines move together."""
    monkeypatch.setenv("POCKETFACE_CACHE", str(tmp_path / "cache"))
    for i, portrait in enumerate(bundled_portraits()[:3]):
        (tmp_path / "people" / f"p{i}").mkdir(parents=True)
        crop = align_face(portrait.image, portrait.landmarks)
        for k, image in enumerate((crop, crop[:, ::-1])):
            Image.fromarray(image).save(tmp_path / "people" / f"p{i}" / f"{k}.png")
    options = ("--aligned", "--pairs", 3, "--iterations", 5, "--threshold", 0.9, "--goal", "dodging", "--json")
    done = run("evaluate", "attack", tmp_path / "people", "--model", parent, "--model", integers[0], *options)
    assert done.exit_code == 0, done.output
    torch, float_file, int8_file = json.loads(done.stdout)["results"]
    assert int8_file["file"] == integers[0].name
    assert float_file["after"] == pytest.approx(torch["after"], abs=1e-3)
    assert int8_file["before"] == pytest.approx(float_file["before"], abs=0.1)
    assert int8_file["after"] < int8_file["before"]
    assert int8_file["after"] == pytest.approx(float_file["after"], abs=0.1)


def test_an_attack_is_made_from_the_int8_file_s_own_contract(integers, tmp_path, monkeypatch):
    """The first file names the network to attack, and a quantized one names the network that it was made from."""
    monkeypatch.setenv("POCKETFACE_CACHE", str(tmp_path / "cache"))
    crop = align_face(bundled_portraits()[0].image, bundled_portraits()[0].landmarks)
    (tmp_path / "people" / "p").mkdir(parents=True)
    for k, image in enumerate((crop, crop[:, ::-1])):
        Image.fromarray(image).save(tmp_path / "people" / "p" / f"{k}.png")
    options = ("--aligned", "--pairs", 1, "--iterations", 3, "--threshold", 0.9, "--goal", "dodging", "--json")
    done = run("evaluate", "attack", tmp_path / "people", "--model", integers[0], *options)
    assert done.exit_code == 0, done.output
    engines = [result["engine"] for result in json.loads(done.stdout)["results"]]
    assert engines == ["torch", "litert"]
