"""Nothing of training leaves with a model: planted in every format, and in checkpoints, it is found and named."""

from __future__ import annotations

import shutil

import flatbuffers
import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from pocketface.artifact import load_artifact
from pocketface.embedded import append_zip
from pocketface.errors import ExportError, InvalidModel
from pocketface.export.inventory import _inputs, reach, take_inventory
from pocketface.export.privacy import check_contents, find_leaks
from pocketface.models import create_model

FORMATS = [("onnx", "float32"), ("tflite", "float32"), ("coreml", "float32"), ("coreml", "float16")]
MODELS = ("facelivtv2_xs", "mos_xs")
EVERY = [(model, *one) for model in MODELS for one in FORMATS]


def altered(artifact, tmp_path, change):
    """The ONNX file, changed, without its sidecar."""
    model = onnx.load(str(artifact.path))
    change(model)
    onnx.save(model, str(tmp_path / "altered.onnx"))
    return load_artifact(tmp_path / "altered.onnx")


@pytest.fixture(scope="module")
def recognizer(exports):
    return exports["facelivtv2_xs", "onnx", "float32"].artifact


@pytest.mark.parametrize("key", EVERY, ids="-".join)
def test_an_export_holds_its_network_and_nothing_else(exports, key):
    artifact = exports[key].artifact
    inventory = check_contents(artifact)
    elements = sum(t.elements for t in inventory.tensors if t.used)
    assert artifact.contract.parameters <= elements <= 1.1 * artifact.contract.parameters + 30_000
    assert inventory.paths == inventory.foreign == ()


def test_class_centres_that_nothing_uses_are_found(recognizer, tmp_path):
    centres = np.zeros((93_431, 512), np.float16)

    def plant(model):
        model.graph.initializer.append(numpy_helper.from_array(centres, "head.weight"))

    with pytest.raises(ExportError, match=r"head\.weight \(93431, 512\).*class centres of 93431 people") as caught:
        check_contents(altered(recognizer, tmp_path, plant))
    assert "numbers in its tensors" in str(caught.value)


def test_a_margin_head_that_is_computed_but_is_no_answer_is_found(recognizer, tmp_path):
    def plant(model):
        graph = model.graph
        graph.initializer.append(numpy_helper.from_array(np.zeros((512, 40), np.float32), "kernel"))
        graph.node.append(helper.make_node("MatMul", [graph.output[0].name, "kernel"], ["logits"]))
        graph.output.append(helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 40]))

    leaks = find_leaks(*both(altered(recognizer, tmp_path, plant)))
    assert leaks == ["kernel (512, 40), which no output depends on: class centres of 40 people?"]


def both(artifact):
    return artifact, take_inventory(artifact)


def test_centres_in_a_constant_node_a_training_graph_paths_and_stray_bytes_are_found(recognizer, tmp_path):
    def plant(model):
        constant = numpy_helper.from_array(np.zeros((20, 512), np.float32))
        model.graph.node.append(helper.make_node("Constant", [], ["centres"], value=constant, name="c"))
        model.training_info.add().algorithm.name = "sgd"
        model.doc_string = "/home/somebody/faces/train.rec" + "x" * 4_000_000

    told = " | ".join(find_leaks(*both(altered(recognizer, tmp_path, plant))))
    assert "(20, 512), which no output depends on" in told
    assert "1 training graphs" in told
    assert "a path: /home/somebody/faces/train.rec" in told
    assert "bytes that belong to no tensor" in told


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"C:\\Users\\anna\\faces.rec", ("C:\\Users\\anna\\faces.rec",)),
        (b"/tmp/run7", ("/tmp/run7",)),
        (b"G:\\j5m", ()),  # what the palette of one of our own files held by chance
    ],
)
def test_paths_are_told_from_weights_that_look_like_the_beginning_of_one(recognizer, tmp_path, text, found):
    def plant(model):
        model.graph.initializer.append(numpy_helper.from_array(np.frombuffer(text + b"\0", np.uint8), "palette"))

    assert take_inventory(altered(recognizer, tmp_path, plant)).paths == found


def test_what_a_branch_uses_is_used(tmp_path):
    weight = numpy_helper.from_array(np.ones(1000, np.float32), "w")
    branch = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["o"])], "b", [], [helper.make_empty_tensor_value_info("o")]
    )
    node = helper.make_node("If", ["c"], ["embedding"], then_branch=branch, else_branch=branch)
    assert weight.name in reach({"embedding"}, [(_inputs(node), node.output)])


def test_a_stray_buffer_in_tflite_is_found(exports, tmp_path):
    from ai_edge_litert import schema_py_generated as schema

    source = exports["mos_xs", "tflite", "float32"].artifact
    content = source.path.read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    stray = schema.BufferT()
    stray.data = np.zeros(4 * 512 * 100, np.uint8)
    model.buffers.append(stray)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    file = tmp_path / "m.tflite"
    file.write_bytes(append_zip(bytes(builder.Output()), source.contract.to_json()))
    assert any(leak.startswith("buffer ") for leak in find_leaks(*both(load_artifact(file))))


def test_a_stray_file_and_stray_blobs_in_a_core_ml_package_are_found(exports, tmp_path):
    source = exports["mos_xs", "coreml", "float32"].artifact
    package = tmp_path / "m.mlpackage"
    shutil.copytree(source.path, package)
    (package / "Data" / "com.apple.CoreML" / "optimizer.bin").write_bytes(b"\0" * 100)
    weights = next(package.rglob("weight.bin"))
    weights.write_bytes(weights.read_bytes() + b"\1" * 400_000)
    leaks = " | ".join(find_leaks(*both(load_artifact(package))))
    assert "optimizer.bin" in leaks
    assert "weight.bin has" in leaks


def test_a_damaged_file_is_one_error(recognizer, tmp_path):
    file = tmp_path / "cut.onnx"
    file.write_bytes(recognizer.path.read_bytes())
    artifact = load_artifact(file)
    file.write_bytes(b"\xff" * 100)
    with pytest.raises(InvalidModel, match=r"damaged \.onnx file"):
        take_inventory(artifact)


# Checkpoints


@pytest.fixture(scope="module")
def state():
    return create_model("mos_xs", seed=1).state_dict()


def test_a_wrapper_s_optimizer_and_head_stay_behind(state, tmp_path):
    head = torch.zeros(1000, 512)
    content = {
        "state_dict_backbone": state,
        "state_dict_softmax_fc": {"weight": head},
        "optimizer": {"m": head},
        "epoch": 3,
    }
    torch.save(content, tmp_path / "c.pt")
    network = create_model("mos_xs", weights=tmp_path / "c.pt")
    assert network.state_dict().keys() == state.keys()


@pytest.mark.parametrize(
    ("name", "shape"),
    [("head.weight", (931, 512)), ("fc_without_a_telling_name", (512, 931)), ("optimizer.0.exp_avg", (7,))],
)
def test_training_s_tensors_among_the_network_s_are_refused_by_name(state, tmp_path, name, shape):
    torch.save({"state_dict": {**state, name: torch.zeros(shape)}, "epoch": 3}, tmp_path / "c.pt")
    with pytest.raises(InvalidModel, match=rf"tensors of its training among the network's: {name}"):
        create_model("mos_xs", weights=tmp_path / "c.pt")


def test_an_optimizer_beside_bare_tensors_is_named(state, tmp_path):
    torch.save({**state, "optimizer": {"lr": 0.1}, "epoch": 3}, tmp_path / "c.pt")
    with pytest.raises(InvalidModel, match="dict with optimizer, epoch"):
        create_model("mos_xs", weights=tmp_path / "c.pt")


def test_another_architecture_s_checkpoint_is_still_told_as_such(state, tmp_path):
    torch.save({"fc.weight": torch.zeros(512, 10)}, tmp_path / "c.pt")
    with pytest.raises(InvalidModel, match="not a checkpoint of this"):
        create_model("mos_xs", weights=tmp_path / "c.pt")
