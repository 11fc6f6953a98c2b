"""Exports: the right tensors, the contract inside and beside, no traces of this machine, the same bytes each time."""

from __future__ import annotations

import dataclasses
import errno
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import torch
from torch import nn

from pocketface.artifact import digest, load_artifact, replace_contract, sidecar_path
from pocketface.embedded import read_embedded
from pocketface.errors import ExportError, InvalidModel, OutputError
from pocketface.evaluate.faces import bundled_portraits, inputs_for
from pocketface.export import build_model, export_model, original_of, pipeline
from pocketface.export.check import check_file
from pocketface.export.prepare import RecognizerGraph, prepare, rebuild_model
from pocketface.models import save_weights
from pocketface.runtime.backends import open_backend
from pocketface.runtime.preprocess import to_tensor

RECOGNIZER = "facelivtv2_xs"
DETECTOR = "mos_xs"
FILES = [("onnx", "float32"), ("tflite", "float32"), ("coreml", "float32"), ("coreml", "float16")]
EVERY = [(model, *file) for model in (DETECTOR, RECOGNIZER) for file in FILES]


@pytest.mark.parametrize("key", EVERY, ids="-".join)
def test_every_export_is_proven_and_says_so_in_its_contract(exports, key):
    one = exports[key]
    assert one.parity.passed
    assert one.parity.faces >= 48
    assert load_artifact(one.artifact.path) == one.artifact
    contract = one.artifact.contract
    assert (contract.model, one.artifact.format, contract.precision) == key
    assert not contract.trained
    assert contract.parameters > 0
    assert contract.macs > 0


@pytest.mark.parametrize("key", EVERY, ids="-".join)
def test_the_contract_is_inside_the_file_as_well_as_beside_it(exports, key, tmp_path):
    original = exports[key].artifact
    assert read_embedded(original.path) == original.contract.to_json()
    alone = tmp_path / original.path.name
    (shutil.copytree if original.path.is_dir() else shutil.copy)(original.path, alone)
    assert load_artifact(alone).contract == original.contract


@pytest.mark.parametrize("key", EVERY, ids="-".join)
def test_tensors_have_the_names_and_shapes_of_the_contract(exports, key):
    artifact = exports[key].artifact
    contract = artifact.contract
    feed = to_tensor(inputs_for(contract, bundled_portraits()[:2]), contract.input)
    outputs = open_backend(artifact).run({contract.input.name: feed})
    assert set(outputs) == set(contract.outputs.values())
    assert all(value.dtype == np.float32 for value in outputs.values())
    if contract.task_name == "recognition":
        assert outputs["embedding"].shape == (2, 512)
        np.testing.assert_allclose(np.linalg.norm(outputs["embedding"], axis=1), 1, atol=2e-3)
    else:
        n = outputs["scores"].shape[1]
        assert n == 40 * 40 + 20 * 20 + 10 * 10
        assert outputs["boxes"].shape == (2, n, 4)
        assert outputs["landmarks"].shape == (2, n, 5, 2)
        assert outputs["rotation"].shape == (2, n, 3, 3)
        assert 0 <= outputs["scores"].min() <= outputs["scores"].max() <= 1


def test_layouts_are_those_of_each_format(exports):
    layouts = {(f, exports[RECOGNIZER, f, p].artifact.contract.input.layout) for f, p in FILES}
    assert layouts == {("onnx", "NCHW"), ("tflite", "NHWC"), ("coreml", "image")}


def test_onnx_has_a_recent_opset_a_dynamic_batch_and_for_detectors_a_dynamic_size(exports):
    for name, free in ((RECOGNIZER, 1), (DETECTOR, 3)):
        model = onnx.load(str(exports[name, "onnx", "float32"].artifact.path))
        onnx.checker.check_model(model, full_check=True)
        assert model.opset_import[0].version >= 18
        dims = model.graph.input[0].type.tensor_type.shape.dim
        assert sum(bool(d.dim_param) for d in dims) == free
        assert all(o.type.tensor_type.shape.dim[0].dim_param == "batch" for o in model.graph.output)


@pytest.mark.parametrize("size", [(320, 320), (256, 192), (480, 640)], ids=str)
def test_a_detector_gives_torch_s_answers_at_other_sizes_and_batches(exports, size):
    artifact = exports[DETECTOR, "onnx", "float32"].artifact
    images = torch.randint(0, 256, (3, 3, *size), generator=torch.Generator().manual_seed(1)).float()
    with torch.no_grad():
        expected = original_of(artifact).training(images)
    outputs = open_backend(artifact).run({"image": images.numpy()})
    for name, value in expected.items():
        np.testing.assert_allclose(outputs[name], value.numpy(), rtol=1e-4, atol=2e-3, err_msg=name)


def test_tflite_has_a_named_signature_and_few_transposes(exports):
    from ai_edge_litert.interpreter import Interpreter

    for name, signature in ((RECOGNIZER, "embed"), (DETECTOR, "detect")):
        artifact = exports[name, "tflite", "float32"].artifact
        interpreter = Interpreter(str(artifact.path))
        assert interpreter.get_signature_list() == {
            signature: {"inputs": ["image"], "outputs": sorted(artifact.contract.outputs.values())}
        }
        names = [op["op_name"] for op in interpreter._get_ops_details()]
        assert names.count("TRANSPOSE") <= 17


def test_core_ml_is_an_ml_program_for_ios_16_with_an_image_input(exports):
    from coremltools.proto import FeatureTypes_pb2, Model_pb2

    path = exports[RECOGNIZER, "coreml", "float16"].artifact.path
    spec = Model_pb2.Model()
    spec.ParseFromString((path / "Data" / "com.apple.CoreML" / "model.mlmodel").read_bytes())
    assert spec.WhichOneof("Type") == "mlProgram"
    assert spec.specificationVersion == 7  # iOS 16
    image = spec.description.input[0].type.imageType
    assert (image.height, image.width) == (112, 112)
    assert image.colorSpace == FeatureTypes_pb2.ImageFeatureType.RGB
    assert spec.description.output[0].type.multiArrayType.dataType == FeatureTypes_pb2.ArrayFeatureType.FLOAT32


def test_the_fold_left_no_norm_and_the_file_is_no_larger_than_its_weights(exports):
    one = exports[RECOGNIZER, "onnx", "float32"].artifact
    operators = {node.op_type for node in onnx.load(str(one.path)).graph.node}
    assert "BatchNormalization" not in operators
    assert one.size_bytes < 4.2 * one.contract.parameters


@pytest.mark.parametrize("key", EVERY, ids="-".join)
def test_no_trace_of_this_machine_is_in_a_file(exports, key):
    check_file(exports[key].artifact.path)


def test_a_trace_is_found(tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"\0" + str(Path.home() / "secret" / "train.py").encode())
    with pytest.raises(ExportError, match=r"model\.onnx carries a trace of this machine"):
        check_file(file)


def test_another_process_writes_the_same_bytes(exports, tmp_path):
    """It need not prove them again, which changes no byte of a file."""
    code = f"""
import sys
from pathlib import Path
from pocketface.evaluate.agreement import Parity
from pocketface.export import build_model, export_model, pipeline
pipeline.check_parity = lambda artifact, original: Parity(artifact, "unproven", faces=0)
list(export_model(build_model({DETECTOR!r}, seed=0), Path(sys.argv[1])))
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True)
    for format, precision in FILES:
        artifact = exports[DETECTOR, format, precision].artifact
        assert digest(tmp_path / artifact.path.name) == (artifact.sha256, artifact.size_bytes)
        assert sidecar_path(tmp_path / artifact.path.name).read_bytes() == sidecar_path(artifact.path).read_bytes()


def test_normalisation_is_exact_at_the_border():
    """The first convolution pads with zeros after normalising; the graph must equal that to the last pixel."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten()).double()
    image = torch.randint(0, 256, (1, 3, 8, 8)).double()
    expected = network((image - 127.5) / 127.5)
    got = RecognizerGraph(network)(image)["embedding"]
    torch.testing.assert_close(got, expected / expected.norm(), rtol=1e-12, atol=1e-12)


def test_an_embedding_that_would_overflow_float16_is_still_normalised():
    graph = RecognizerGraph(nn.Sequential(nn.Flatten(), nn.Linear(12, 8, bias=False)))
    nn.init.constant_(graph.network[1].weight, 300.0)
    with torch.no_grad():
        embedding = graph.half()(torch.full((1, 3, 2, 2), 255.0).half())["embedding"]
    assert embedding.isfinite().all()
    assert abs(float(embedding.float().norm()) - 1) < 2e-3


def test_a_detector_is_exported_for_the_size_asked_for(tmp_path):
    built = build_model(DETECTOR, seed=0, size=(96, 128))
    (one,) = export_model(built, tmp_path, formats=["coreml"], precisions=["float16"])
    contract = one.artifact.contract
    assert one.artifact.path.name == f"{DETECTOR}_96x128_fp16.mlpackage"
    assert (contract.input.height, contract.input.width) == (96, 128)
    assert rebuild_model(contract).spec.input_size == (96, 128)
    assert contract.fingerprint == build_model(DETECTOR, seed=0).fingerprint()
    assert abs(contract.macs / prepare(build_model(DETECTOR, seed=0)).contract.macs - 96 * 128 / 320**2) < 1e-6


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        (RECOGNIZER, (128, 128), "takes crops of 112 x 112 only"),
        (DETECTOR, (320, 330), "multiples of 32, got 320 x 330"),
    ],
)
def test_a_size_that_does_not_fit_is_refused(name, size, message):
    with pytest.raises(ExportError, match=message):
        build_model(name, seed=0, size=size)


def test_an_interrupt_leaves_nothing_and_the_old_file_stands(exports, tmp_path, monkeypatch):
    new = exports[DETECTOR, "onnx", "float32"].artifact
    file = load_artifact(shutil.copy(new.path, tmp_path))
    old = replace_contract(file, msgspec.structs.replace(file.contract, license="MIT"))

    def interrupt(artifact, original):
        assert artifact.sha256 == new.sha256
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline.to_onnx, "write", lambda prepared, contract, path: shutil.copy(new.path, path))
    monkeypatch.setattr(pipeline, "check_parity", interrupt)
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        list(export_model(build_model(DETECTOR, seed=0), tmp_path, formats=["onnx"]))
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert load_artifact(old.path) == old


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pipeline.to_onnx, "write", full)
    with pytest.raises(OutputError, match="No space left on device"):
        list(export_model(build_model(DETECTOR), tmp_path / "new", formats=["onnx"]))
    assert list((tmp_path / "new").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_converted(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write to"):
        next(export_model(build_model(DETECTOR), tmp_path / "file" / "out"))


def test_a_failing_conversion_names_model_and_format(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("operator aten::foo is unknown")

    monkeypatch.setattr(pipeline.to_coreml, "write", fail)
    with pytest.raises(ExportError, match=r"mos_xs cannot be converted to coreml float32: operator aten::foo"):
        next(export_model(build_model(DETECTOR), tmp_path, formats=["coreml"]))


def test_weights_of_a_file_are_rebuilt_only_from_that_file(tmp_path):
    mine, other = tmp_path / "mine.safetensors", tmp_path / "other.safetensors"
    save_weights(build_model(DETECTOR, seed=1).network, mine)
    save_weights(build_model(DETECTOR, seed=2).network, other)
    (one,) = export_model(build_model(DETECTOR, mine), tmp_path, formats=["coreml"], precisions=["float16"])
    assert one.artifact.contract.trained
    assert original_of(one.artifact, mine)
    with pytest.raises(InvalidModel, match=r"exported from 'mine\.safetensors'"):
        original_of(one.artifact)
    with pytest.raises(InvalidModel, match="other weights"):
        original_of(one.artifact, other)


def test_the_fingerprint_is_of_the_weights_alone():
    built = build_model(RECOGNIZER, seed=3)
    assert built.fingerprint() == build_model(RECOGNIZER, seed=3).fingerprint()
    assert built.fingerprint() != build_model(RECOGNIZER, seed=4).fingerprint()
    renamed = dataclasses.replace(built, weights="elsewhere.safetensors")
    assert prepare(renamed).contract.fingerprint == built.fingerprint()


def test_the_bundled_recogniser_with_and_without_its_quality_makes_comparable_embeddings():
    with_quality, without = build_model("facelivtv2_xs_ri"), build_model("facelivtv2_xs")
    assert with_quality.fingerprint() == without.fingerprint()
    seeded = build_model("facelivtv2_xs_ri", seed=1)
    assert seeded.fingerprint() != with_quality.fingerprint()
