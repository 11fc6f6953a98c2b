"""What a format cannot have is refused before any work, with the reason."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from pocketface.contract import Quantization
from pocketface.errors import InvalidModel, UnsupportedModel
from pocketface.quantize.layers import Operation, group
from pocketface.quantize.policy import REFUSALS, available, check_recipe, check_source, effective, hanging_on
from pocketface.quantize.recipe import parse_recipe

RECOGNIZER, DETECTOR = "facelivtv2_xs", "mos_xs"


@pytest.mark.parametrize("key", REFUSALS, ids="-".join)
def test_a_refusal_gives_its_reason(exports, key):
    format, name = key
    artifact = exports[RECOGNIZER, format, "float32"].artifact
    with pytest.raises(UnsupportedModel) as caught:
        check_recipe(parse_recipe(name), artifact)
    assert REFUSALS[key] in str(caught.value)
    assert artifact.path.name in str(caught.value)


def test_each_format_has_what_the_issue_of_it_is():
    assert available("onnx") == ["fp16", "weight_only_wi8_afp32", "static_wi8_ai8", "static_wi8_au8"]
    assert available("tflite") == ["fp16", "weight_only_wi8_afp32", "dynamic_wi8_afp32", "static_wi8_ai8"]
    assert available("coreml") == ["fp16", "weight_only_wi8_afp32", "palettize_6", "palettize_4", "w8a8"]


def test_inputs_and_outputs_in_8_bits_are_for_tflite_recognisers(exports):
    recipe = msgspec.structs.replace(parse_recipe("static_wi8_ai8"), io="int8")
    check_recipe(recipe, exports[RECOGNIZER, "tflite", "float32"].artifact)
    with pytest.raises(UnsupportedModel, match="only TFLite files say which scale"):
        check_recipe(recipe, exports[RECOGNIZER, "onnx", "float32"].artifact)
    with pytest.raises(UnsupportedModel, match=r"steps of 1\.3 pixels"):
        check_recipe(recipe, exports[DETECTOR, "tflite", "float32"].artifact)


def test_core_ml_s_activations_in_8_bits_start_from_half(exports):
    recipe = parse_recipe("w8a8")
    check_recipe(recipe, exports[RECOGNIZER, "coreml", "float16"].artifact)
    with pytest.raises(UnsupportedModel, match="start from the float16 package"):
        check_recipe(recipe, exports[RECOGNIZER, "coreml", "float32"].artifact)


def test_half_starts_from_float32(exports):
    check_recipe(parse_recipe("fp16"), exports[RECOGNIZER, "coreml", "float32"].artifact)
    with pytest.raises(UnsupportedModel, match="in half already"):
        check_recipe(parse_recipe("fp16"), exports[RECOGNIZER, "coreml", "float16"].artifact)


def test_what_is_quantized_is_no_source(exports):
    artifact = exports[RECOGNIZER, "onnx", "float32"].artifact
    check_source(artifact)
    check_source(exports[RECOGNIZER, "coreml", "float16"].artifact)
    for change, said in (
        ({"quantization": Quantization(recipe="static_wi8_ai8", parent="0" * 64)}, "static_wi8_ai8"),
        ({"precision": "int8"}, "int8"),
    ):
        child = dataclasses.replace(artifact, contract=msgspec.structs.replace(artifact.contract, **change))
        with pytest.raises(InvalidModel, match=rf"quantized already \({said}\)"):
            check_source(child)


def test_a_detector_s_heads_stay_in_float_only_where_activations_do_not(exports):
    artifact = exports[DETECTOR, "onnx", "float32"].artifact
    assert effective(parse_recipe("static_wi8_ai8"), artifact).keeps("heads.0.tasks")
    assert not effective(parse_recipe("weight_only_wi8_afp32"), artifact).keeps("heads.0.tasks")


def test_layers_that_hang_on_a_softmax_are_found():
    """Engines' last digits differ there, and rounded to 8 bits they would become steps."""

    def op(kind, takes, gives, weight=""):
        return Operation(gives, kind, weight, 9 if weight else 0, (takes,), (gives,))

    ops = [op("Conv", "image", "a", "trunk.weight"), op("Conv", "a", "b", "score.weight"), op("Softmax", "b", "c")]
    ops += [op("Mul", "c", "d"), op("Gemm", "d", "e", "hidden.weight"), op("Gelu", "e", "f")]
    ops += [op("Gemm", "f", "g", "index.weight"), op("Gemm", "a", "h", "head.weight")]
    layers = group(ops, "not one of ours")
    behind = {"hidden.weight", "index.weight"}
    assert hanging_on(frozenset({"Softmax"}), layers, with_theirs=False) == behind
    assert hanging_on(frozenset({"Softmax"}), layers, with_theirs=True) == {"score.weight", *behind}
    assert hanging_on(frozenset(), layers, with_theirs=True) == set()
