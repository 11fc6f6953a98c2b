"""What was trained to be quantized takes the float file's place, and its child says so."""

from __future__ import annotations

import hashlib

import msgspec
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from pocketface.artifact import load_artifact
from pocketface.cli import cli
from pocketface.errors import InvalidData, InvalidModel
from pocketface.evaluate.faces import bundled_portraits
from pocketface.export import build_model, export_model
from pocketface.models import create_model, reparameterize
from pocketface.models.checkpoint import save_weights
from pocketface.quantize.job import Job
from pocketface.quantize.pipeline import quantize_artifact
from pocketface.quantize.recipe import parse_recipe
from pocketface.quantize.trained import trained_source
from pocketface.runtime.embedder import Embedder
from pocketface.train.record import Record

NETWORK = "mobilefacenet"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    file = tmp_path_factory.mktemp("weights") / "mine.safetensors"
    save_weights(create_model(NETWORK, seed=0), file)
    return file


@pytest.fixture(scope="module")
def parent(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("float")
    (made,) = export_model(build_model(NETWORK, weights), folder, formats=("onnx",))
    return made.artifact


@pytest.fixture
def run(weights, tmp_path):
    """The folder of a run that moved every weight by a thousandth of itself."""
    torch.manual_seed(0)
    network, folder = reparameterize(create_model(NETWORK, seed=0)), tmp_path / "run"
    network.load_state_dict({k: v * (1 + 1e-3 * torch.randn_like(v)) for k, v in network.state_dict().items()})
    save_weights(network, folder / "weights.safetensors")
    began = hashlib.sha256(weights.read_bytes()).hexdigest()
    leave(folder, Record(network=NETWORK, began=began, steps=7, data=("1" * 64,), digests=("2" * 64, "3" * 64)))
    return folder


def leave(folder, record):
    (folder / "trained.json").write_text(record.to_json())
    return record


def changed(folder, **changes):
    record = msgspec.json.decode((folder / "trained.json").read_bytes(), type=Record)
    return leave(folder, msgspec.structs.replace(record, **changes))


def test_a_child_is_made_of_what_was_learnt_and_says_so(parent, run, weights, pictures_of, tmp_path):
    learnt = trained_source(parent, run, tmp_path, weights)
    faces = bundled_portraits()
    calibration, judge = (pictures_of(parent.contract, part, str(len(part))) for part in (faces[:32], faces[32:]))
    recipe = parse_recipe("static_wi8_ai8")
    plain = quantize_artifact(Job(parent, recipe, calibration, judge), tmp_path / "out")
    made = quantize_artifact(Job(parent, recipe, calibration, judge, trained=learnt), tmp_path / "out")
    assert made.artifact.path.name == f"{NETWORK}_112_static_wi8_ai8_qat.onnx"
    how = load_artifact(made.artifact.path).contract.quantization
    assert (how.parent, how.equalized) == (parent.sha256, False)
    assert how.trained.weights == hashlib.sha256((run / "weights.safetensors").read_bytes()).hexdigest()
    assert (how.trained.data, how.trained.pictures, how.trained.steps) == (("1" * 64,), 2, 7)
    assert "trained" not in msgspec.to_builtins(plain.artifact.contract.quantization)
    learnt_says, child_says, plain_says = (
        Embedder(file, threads=1).embed(judge.inputs) for file in (learnt.source, made.artifact, plain.artifact)
    )
    assert (child_says * learnt_says).sum(1).mean() > (plain_says * learnt_says).sum(1).mean()
    assert not np.array_equal(child_says, plain_says)


def test_a_run_that_saw_who_judges_is_refused(parent, run, weights, pictures_of, tmp_path):
    faces = bundled_portraits()
    calibration, judge = (pictures_of(parent.contract, part, str(len(part))) for part in (faces[:32], faces[32:]))
    changed(run, digests=(judge.digests[3],))
    learnt = trained_source(parent, run, tmp_path, weights)
    with pytest.raises(InvalidData, match="the training in run and 16 share 1 pictures"):
        Job(parent, parse_recipe("static_wi8_ai8"), calibration, judge, trained=learnt)


def test_a_run_of_other_weights_is_refused(parent, run, weights, tmp_path):
    with pytest.raises(InvalidModel, match="--weights"):
        trained_source(parent, run, tmp_path)
    changed(run, began="9" * 64)
    with pytest.raises(InvalidData, match="began from weights with SHA-256 9999"):
        trained_source(parent, run, tmp_path, weights)
    changed(run, began=hashlib.sha256(weights.read_bytes()).hexdigest())
    (run / "weights.safetensors").write_bytes(b"cut")
    with pytest.raises(InvalidModel, match="damaged"):
        trained_source(parent, run, tmp_path, weights)
    (run / "trained.json").unlink()
    with pytest.raises(InvalidData, match="qat_xs"):
        trained_source(parent, run, tmp_path, weights)


@pytest.mark.parametrize("words", [["--recipe", "fp16"], ["--recipe", "static_wi8_ai8", "--equalize"]])
def test_what_makes_no_sense_with_a_run_is_refused(words, parent, tmp_path):
    done = CliRunner().invoke(cli, ["quantize", str(parent.path), *words, "--trained", str(tmp_path)])
    assert done.exit_code == 2
    assert "--equalize" in done.output or "--trained is for static recipes" in done.output
