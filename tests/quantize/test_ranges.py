"""Ranges of tensors, and which layers half might overflow in."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pocketface.evaluate.mil.package import Package
from pocketface.quantize.formats import QUANTIZERS
from pocketface.quantize.ranges import Range, at_risk, observe
from pocketface.runtime.preprocess import to_tensor

RECOGNIZER, DETECTOR = "facelivtv2_xs", "mos_xs"


def test_a_range_is_from_the_least_of_any_picture_to_the_greatest_of_any():
    runs = [{"a": np.array([1.0, -2.0]), "n": np.array([7])}, {"a": np.array([[5.0]]), "b": np.zeros((0, 3))}]
    assert observe(runs) == {"a": Range(-2.0, 5.0)}
    assert Range(-3.0, 2.0).peak == 3.0


def test_what_reaches_beyond_a_quarter_of_half_is_at_risk_the_greatest_first():
    ranges = {"a": Range(0, 16376.0), "b": Range(-16377.0, 1), "c": Range(0, 9e9), "d": Range(0, 20000.0)}
    assert at_risk(ranges, {"a": "x", "b": "y", "c": "z", "d": "y"}.__getitem__) == {"z": 9e9, "y": 20000.0}
    assert at_risk({"a": Range(0, float("nan"))}, str) == {"a": pytest.approx(float("nan"), nan_ok=True)}


def test_the_formats_see_the_same_ranges(exports, job_for):
    """Names differ, so the layers' weights tell which tensors are the same: those right behind a convolution."""
    inputs = job_for(RECOGNIZER, "onnx", "static_wi8_ai8").calibration.inputs[:2]
    found = {}
    for format in QUANTIZERS:
        artifact = exports[RECOGNIZER, format, "float32"].artifact
        ranges = QUANTIZERS[format].ranges(artifact.path, to_tensor(inputs, artifact.contract.input), "image")
        layers = job_for(RECOGNIZER, format, "weight_only_wi8_afp32").layers
        names = {layer.name: layer.operations[0].name for layer in layers if layer.kind.lower().startswith("conv")}
        found[format] = {layer: ranges[name] for layer, name in names.items()}
    for format in ("tflite", "coreml"):
        both = found["onnx"].keys() & found[format].keys()
        assert len(both) >= 48
        for layer in both:
            a, b = found["onnx"][layer], found[format][layer]
            np.testing.assert_allclose((a.low, a.high), (b.low, b.high), rtol=1e-3, atol=1e-3, err_msg=layer)


def test_a_layer_that_might_overflow_stays_in_float32_in_core_ml(job_for, tmp_path):
    job = job_for(DETECTOR, "coreml", "fp16")
    layer = next(one for one in job.layers if one.name == "stages.1.0.2")
    job.ranges[layer.operations[0].name] = Range(0.0, 30000.0)
    assert job.at_risk == {layer.name: 30000.0}
    assert job.forecast == ["stages.1.0.2 reaches 30000 and stays in float32: half ends at 65504"]
    made = job.build(job.chosen(), tmp_path / "half.mlpackage")
    assert made.contract.quantization.kept == (layer.name,)
    (function,) = Package(made.path).spec.mlProgram.functions.values()
    types = {
        o.inputs["weight"].arguments[0].name: o.outputs[0].type.tensorType.dataType
        for o in function.block_specializations[function.opset].operations
        if o.type == "conv"
    }
    full = {name for name, kind in types.items() if kind == 11}  # MIL's number of float32
    assert full == {"p_network_stages_1_0_2_weight"}
    assert job.judge.compare(made).figures["box_iou"] > 0.95


def test_a_forecast_says_how_far_half_is_from_its_end(job_for):
    (said,) = job_for(DETECTOR, "coreml", "fp16").forecast
    assert re.match(
        r"No tensor exceeds 25% of half's range on 32 pictures: the largest is \w+ with \d+, \d+\.\d% of", said
    )
    assert job_for(DETECTOR, "onnx", "fp16").forecast == []
