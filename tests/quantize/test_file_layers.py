"""The layers of a file have the names of the deployed network's modules, whatever the format calls its tensors."""

from __future__ import annotations

import pytest

from pocketface.models import create_model, reparameterize
from pocketface.quantize.formats import layers_of
from pocketface.quantize.layers import BEFORE, BEHIND, Operation, group, module_of
from pocketface.quantize.to_tflite import scope_of

RECOGNIZER, DETECTOR = "facelivtv2_xs", "mos_xs"

FORMATS = ("onnx", "tflite", "coreml")


@pytest.mark.parametrize("model", [RECOGNIZER, DETECTOR])
def test_the_three_formats_name_the_same_layers_with_the_same_weights(exports, model):
    found = [layers_of(exports[model, format, "float32"].artifact) for format in FORMATS]
    sizes = [{layer.name: layer.elements for layer in layers} for layers in found]
    assert sizes[0] == sizes[1] == sizes[2]
    deployed = reparameterize(create_model(model))
    modules = {name: module.weight.numel() for name, module in deployed.named_modules() if hasattr(module, "weight")}
    assert sizes[0] == {BEFORE: 0, **modules, BEHIND: 0}


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_half_packages_name_them_too(exports, precision):
    layers = layers_of(exports[DETECTOR, "coreml", precision].artifact)
    assert [layer.name for layer in layers if layer.name.startswith("heads.2")] == [
        f"heads.2.{part}" for part in ("tasks", "pose.0", "pose.2")
    ]


@pytest.mark.parametrize("model", [RECOGNIZER, DETECTOR])
@pytest.mark.parametrize("format", FORMATS)
def test_every_operation_is_in_exactly_one_layer(exports, model, format):
    names = [op.name for layer in layers_of(exports[model, format, "float32"].artifact) for op in layer.operations]
    assert len(names) == len(set(names))


def test_a_layer_is_weights_and_what_follows_up_to_the_next():
    def op(name, kind, takes, weight="", elements=0):
        return Operation(name, kind, weight, elements, (takes,), (name,))

    ops = [op("scale", "Mul", "image"), op("a", "Conv", "scale", "x.weight", 9), op("e", "Div", "a")]
    ops += [op("b", "Relu", "a"), op("c", "Conv", "b", "y.weight", 4), op("d", "Sigmoid", "c")]
    found = {layer.name: [op.name for op in layer.operations] for layer in group(ops, "not one of ours")}
    assert found == {BEFORE: ["scale"], "x.weight": ["a", "b"], "y.weight": ["c"], BEHIND: ["e", "d"]}


@pytest.mark.parametrize(
    ("tensor", "module"),
    [
        ("p.ChannelsLast/p.Graph_body/m.Mos_network/m.Head_0/nn.Conv2d_tasks;2", "0.tasks"),
        ("p.ChannelsLast/p.Graph_body/nn.Sequential_0/nn.Conv2d_pw1;", "0.pw1"),
        ("a/b;;p.ChannelsLast/p.Graph_body/m.Net_network/nn.ReLU_3;1", "3"),
        ("arith.constant12", "arith.constant12"),
    ],
)
def test_a_tflite_tensor_s_calls_lead_to_its_module(tensor, module):
    assert scope_of(tensor) == module


def test_a_name_with_lists_left_out_is_the_module_that_misses_the_least():
    modules = ("stages.0.0.0", "neck.merges.0.0.0", "stages.1.0.0")
    assert module_of("0.0.0", modules) == "stages.0.0.0"
    assert module_of("neck.0.0.0", modules) == "neck.merges.0.0.0"
    assert module_of("p_network_stages_1_0_0_weight_to_fp16", modules) == "stages.1.0.0"
    assert module_of("tail.2", modules) == "tail.2"
