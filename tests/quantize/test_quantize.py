"""Quantized files: what is inside, what their contracts say, how they answer, and what is left when it goes wrong."""

from __future__ import annotations

import dataclasses
import re

import msgspec
import numpy as np
import onnx
import pytest

from pocketface.artifact import digest, discard_unfinished, load_artifact, scratch_folder
from pocketface.errors import ExportError, InvalidData, InvalidModel, ParityError
from pocketface.evaluate.gate import parse_gate
from pocketface.evaluate.mil.package import Package
from pocketface.export.privacy import find_leaks, take_inventory
from pocketface.quantize import to_onnx
from pocketface.quantize.fidelity import FIGURES
from pocketface.quantize.pipeline import quantize_artifact
from pocketface.quantize.policy import available
from pocketface.quantize.recipe import parse_recipe
from pocketface.runtime.detector import Detector
from pocketface.runtime.embedder import Embedder

RECOGNIZER, DETECTOR = "facelivtv2_xs", "mos_xs"
#: Core ML's recipes are tried on the detector, which is small: palettes take long to find.
EVERY = [(RECOGNIZER, format, recipe) for format in ("onnx", "tflite") for recipe in available(format)]
EVERY += [(DETECTOR, "coreml", recipe) for recipe in available("coreml")]
#: Least mean cosine, or IoU, on these untrained networks, which are kind to nobody.
LEAST = {"fp16": 0.9999, "weight_only_wi8_afp32": 0.998, "dynamic_wi8_afp32": 0.99}
LEAST |= {"static_wi8_ai8": 0.95, "static_wi8_au8": 0.95}
LEAST_IOU = {"fp16": 0.95, "weight_only_wi8_afp32": 0.95, "palettize_6": 0.9, "palettize_4": 0.7, "w8a8": 0.85}
#: Most that a file of a recipe may have of its float parent's bytes.
MOST = {"fp16": 0.56, "palettize_6": 0.25, "palettize_4": 0.18, "w8a8": 0.6}
PARENT = {"w8a8": "float16"}


@pytest.mark.parametrize(("model", "format", "recipe"), EVERY)
def test_a_quantized_file_is_small_and_answers_as_its_parent(quantized, exports, model, format, recipe):
    made = quantized(model, format, recipe)
    parent = exports[model, format, PARENT.get(recipe, "float32")].artifact
    figures = made.fidelity.figures
    assert figures.get("cosine", 1) >= LEAST.get(recipe, 0)
    assert figures.get("box_iou", 1) >= LEAST_IOU.get(recipe, 0)
    most = MOST.get(recipe, 0.35) + (
        0.25 if model == DETECTOR else 0
    )  # of which a quarter are its priors and its graph
    assert made.artifact.size_bytes <= most * parent.size_bytes
    assert digest(parent.path) == (parent.sha256, parent.size_bytes)


@pytest.mark.parametrize(("model", "format", "recipe"), EVERY)
def test_its_contract_says_how_it_was_made(quantized, exports, model, format, recipe):
    made = quantized(model, format, recipe).artifact
    parent = exports[model, format, PARENT.get(recipe, "float32")].artifact
    assert load_artifact(made.path) == made
    contract, how = made.contract, made.contract.quantization
    assert (how.recipe, how.parent, made.parent) == (recipe, parent.sha256, parent.sha256)
    assert contract.precision == parse_recipe(recipe).precision
    assert contract.fingerprint == parent.contract.fingerprint
    measured = parse_recipe(recipe).static or (format, recipe) == ("coreml", "fp16")
    assert bool(how.calibration) == measured
    assert how.pictures == (32 if measured else 0)
    kept = {("tflite", "fp16"): 12, ("tflite", "dynamic_wi8_afp32"): 12, ("coreml", "w8a8"): 9}
    assert len(how.kept) == kept.get((format, recipe), 0)  # the 12 token mixings; the detector's heads
    assert not find_leaks(made, take_inventory(made))


@pytest.mark.parametrize("format", ["onnx", "tflite", "coreml"])
def test_a_quantized_detector_finds_the_same_faces(quantized, format):
    made = quantized(DETECTOR, format, "w8a8" if format == "coreml" else "static_wi8_ai8")
    figures = made.fidelity.figures
    assert tuple(figures) == FIGURES["detection"]
    assert figures["missed"] < 0.1
    assert figures["box_iou"] > 0.85
    assert figures["landmarks"] < 0.08
    assert made.artifact.contract.quantization.kept == tuple(
        f"heads.{level}.{part}" for level in range(3) for part in ("tasks", "pose.0", "pose.2")
    )


def test_the_formats_quantize_alike(quantized):
    """One rule for ranges and scales: what one file loses, the others lose too."""
    cosines = [quantized(RECOGNIZER, f, "static_wi8_ai8").fidelity.figures["cosine"] for f in ("onnx", "tflite")]
    assert abs(cosines[0] - cosines[1]) < 0.01


def test_signed_weights_have_a_scale_per_channel_and_no_offset(quantized, exports):
    """Every stored weight is within half a step of the float one, by an account of its own."""
    made = onnx.load(str(quantized(RECOGNIZER, "onnx", "static_wi8_ai8").artifact.path))
    floats = onnx.load(str(exports[RECOGNIZER, "onnx", "float32"].artifact.path))
    wanted = {t.name: onnx.numpy_helper.to_array(t) for t in floats.graph.initializer}
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in made.graph.initializer}
    names = [name.removesuffix("_quantized") for name in stored if name.endswith("weight_quantized")]
    assert len(names) == 83
    for name in names:
        values, scale = wanted[name], np.float64(stored[f"{name}_scale"])
        assert not stored[f"{name}_zero_point"].any()
        assert scale.size == (1 if values.ndim == 3 else values.shape[0])
        spread = scale if scale.ndim == 0 else scale.reshape(-1, *[1] * (values.ndim - 1))
        off = np.abs(stored[f"{name}_quantized"] * spread - values)
        assert (off <= 0.5001 * spread).all(), name


def test_weights_that_are_only_stored_in_8_bits_are_within_half_a_step(exports, tmp_path, quantized):
    made = onnx.load(str(quantized(RECOGNIZER, "onnx", "weight_only_wi8_afp32").artifact.path))
    onnx.checker.check_model(made, full_check=True)
    floats = onnx.load(str(exports[RECOGNIZER, "onnx", "float32"].artifact.path))
    wanted = {t.name: onnx.numpy_helper.to_array(t) for t in floats.graph.initializer}
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in made.graph.initializer}
    name = "network.head.classifier.weight"
    assert name not in stored
    off = np.abs(stored[f"{name}_int8"] * stored[f"{name}_scale"][:, None] - wanted[name])
    assert (off <= 0.5001 * stored[f"{name}_scale"][:, None]).all()
    assert np.abs(stored[f"{name}_int8"]).max(axis=1).tolist() == [127] * 512


def test_layers_that_are_kept_keep_every_bit(job_for, exports, tmp_path):
    recipe = parse_recipe("static_wi8_ai8").keeping(r"^stages\.[01]\.", "classifier")
    made = quantize_artifact(job_for(RECOGNIZER, "onnx", recipe), tmp_path)
    kept = made.artifact.contract.quantization.kept
    assert {name.split(".")[0] for name in kept} == {"stages", "head"}
    assert len(kept) + made.layers == 83
    names = {o.weight for o in to_onnx.operations(made.artifact.path)}
    assert {f"network.{name}.weight" for name in kept} <= names


def test_core_ml_quantizes_weights_and_no_other_constant(quantized, exports):
    """A detector's grid of priors is a large constant too, and in 8 bits it would move faces by pixels."""
    from pocketface.quantize import to_coreml

    parent = exports[DETECTOR, "coreml", "float32"].artifact.path
    weights = {o.weight for o in to_coreml.operations(parent) if o.elements >= 512}
    for recipe in ("weight_only_wi8_afp32", "palettize_6"):
        spec = Package(quantized(DETECTOR, "coreml", recipe).artifact.path).spec
        (function,) = spec.mlProgram.functions.values()
        packed = [
            o for o in function.block_specializations[function.opset].operations if o.type.startswith("constexpr")
        ]
        names = {re.sub("_(quantized|palettized)$", "", o.outputs[0].name) for o in packed}
        assert names == weights, recipe


def test_the_same_input_gives_the_same_bytes(job_for, quantized, tmp_path):
    for format in ("onnx", "tflite"):
        again = quantize_artifact(job_for(DETECTOR, format, "static_wi8_ai8"), tmp_path).artifact
        assert again.sha256 == quantized(DETECTOR, format, "static_wi8_ai8").artifact.sha256


def test_what_was_measured_with_the_float_file_does_not_go_to_the_child(job_for, exports):
    job = job_for(RECOGNIZER, "onnx", "fp16")
    task = msgspec.structs.replace(job.parent.contract.task, compatible=("float16",))
    job.parent = dataclasses.replace(job.parent, contract=msgspec.structs.replace(job.parent.contract, task=task))
    assert job.contract(job.chosen()).task.compatible is msgspec.UNSET


def test_a_gate_that_is_not_met_leaves_nothing_and_the_old_file_stands(job_for, tmp_path):
    old = quantize_artifact(job_for(DETECTOR, "onnx", "static_wi8_ai8"), tmp_path).artifact
    before = sorted(path.name for path in tmp_path.iterdir())
    gate = parse_gate("box_iou>=0.9999", FIGURES["detection"])
    with pytest.raises(ParityError, match=r"box_iou is 0\.\d+, box_iou >= 0\.9999 is wanted; --rescue"):
        quantize_artifact(job_for(DETECTOR, "onnx", "static_wi8_ai8"), tmp_path, gate=gate)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert load_artifact(old.path) == old


def test_an_interrupt_leaves_nothing(job_for, tmp_path, monkeypatch):
    job = job_for(DETECTOR, "onnx", "static_wi8_ai8")

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(job.judge, "compare", interrupt)
    with pytest.raises(KeyboardInterrupt):
        quantize_artifact(job, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_scratch_folder_is_gone_afterwards_and_when_the_process_must_end_at_once() -> None:
    with scratch_folder() as folder:
        (folder / "half.onnx").write_bytes(b"half")
    assert not folder.exists()
    with scratch_folder() as folder:
        discard_unfinished()
        assert not folder.exists()


def test_a_quantizer_that_fails_is_one_clear_error(job_for, tmp_path, monkeypatch):
    def fail(*args):
        raise TypeError("cannot reshape")

    monkeypatch.setattr(to_onnx, "_static", fail)
    with pytest.raises(
        ExportError, match=r"mos_xs_320_fp32\.onnx cannot be quantized with static_wi8_ai8: cannot resh"
    ):
        quantize_artifact(job_for(DETECTOR, "onnx", "static_wi8_ai8"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_child_is_no_source_and_a_static_recipe_needs_pictures(quantized, job_for, pictures_of):
    from pocketface.quantize.job import Job

    child = quantized(DETECTOR, "onnx", "static_wi8_ai8").artifact
    job = job_for(DETECTOR, "onnx", "static_wi8_ai8")
    with pytest.raises(InvalidModel, match=r"quantized already \(static_wi8_ai8\)"):
        Job(child, parse_recipe("static_wi8_ai8"), job.calibration, job._pictures)
    with pytest.raises(InvalidData, match="needs pictures to calibrate on"):
        Job(job.parent, parse_recipe("static_wi8_ai8"), None, job._pictures)
    with pytest.raises(InvalidData, match="share 32 pictures"):
        Job(job.parent, parse_recipe("static_wi8_ai8"), job.calibration, job.calibration)


def test_a_detector_is_not_calibrated_on_pictures_without_faces(job_for, monkeypatch):
    job = job_for(DETECTOR, "onnx", "static_wi8_ai8")
    monkeypatch.setattr(Detector, "detect", lambda *args, **kwargs: [])
    with pytest.raises(InvalidData, match="the first 32: its pictures show no face"):
        assert job.ranges


@pytest.mark.parametrize("backend", ["litert", "tflite-runtime"])
def test_both_engines_of_tflite_answer_alike(quantized, job_for, backend):
    inputs = job_for(RECOGNIZER, "tflite", "static_wi8_ai8").calibration.inputs[:4]
    made = quantized(RECOGNIZER, "tflite", "static_wi8_ai8").artifact
    parent = job_for(RECOGNIZER, "tflite", "static_wi8_ai8").parent
    cosines = (Embedder(made, backend=backend).embed(inputs) * Embedder(parent).embed(inputs)).sum(axis=1)
    assert cosines.min() > 0.93
