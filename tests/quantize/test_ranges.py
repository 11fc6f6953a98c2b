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


def extremes_of(*pairs):
    return observe({"a": np.array(pair, np.float32)} for pair in pairs)


def test_a_range_reaches_as_far_as_four_of_five_pictures_do():
    """Of 0..10 in any order, 8 are below 8: no other number has as many of ten steps below it."""
    tops = np.random.default_rng(0).permutation(11)
    found = extremes_of(*zip(-2 * tops[::-1], tops, strict=True))
    assert found.ranges() == {"a": Range(-16.0, 8.0)}
    assert found.ranges(whole=["a"]) == {"a": Range(-20.0, 10.0)}


def test_an_outlier_moves_no_range_but_is_the_peak():
    pairs = [(0.0, float(top)) for top in range(10)]
    plain, odd = extremes_of(*pairs), extremes_of(*pairs[:-1], (-7e4, 9.0))
    assert plain.ranges() == odd.ranges()
    assert (plain.peaks(), odd.peaks()) == ({"a": 9.0}, {"a": 7e4})


def test_an_odd_picture_costs_the_others_no_digits():
    """Their values are rounded to each range by hand; they are as wide as each other, so little of them is clipped."""
    values = np.random.default_rng(1).normal(size=(64, 2000)).astype(np.float32)
    values[0] *= 8
    plain = Range(float(values.min()), float(values.max()))

    def error(range):
        step = (range.high - range.low) / 255
        return np.mean((np.clip(np.round(values[1:] / step) * step, range.low, range.high) - values[1:]) ** 2)

    assert error(extremes_of(*values).ranges()["a"]) < error(plain) / 30


def test_integers_and_empty_tensors_have_no_range_and_nan_is_a_peak():
    runs = [{"n": np.array([7]), "b": np.zeros((0, 3)), "c": np.array([[5.0, np.nan]])}]
    found = observe(runs)
    assert found.ranges().keys() == {"c"}
    assert found.peaks() == {"c": pytest.approx(np.nan, nan_ok=True)}


def test_what_reaches_beyond_a_quarter_of_half_is_at_risk_the_greatest_first():
    peaks = {"a": 16376.0, "b": 16377.0, "c": 9e9, "d": 20000.0}
    assert at_risk(peaks, {"a": "x", "b": "y", "c": "z", "d": "y"}.__getitem__) == {"z": 9e9, "y": 20000.0}
    assert at_risk({"a": float("nan")}, str) == {"a": pytest.approx(float("nan"), nan_ok=True)}


def test_the_formats_see_the_same_ranges(exports, job_for):
    """Names differ, so the layers' weights tell which tensors are the same: those right behind a convolution."""
    inputs = job_for(RECOGNIZER, "onnx", "static_wi8_ai8").calibration.inputs[:2]
    found = {}
    for format in QUANTIZERS:
        artifact = exports[RECOGNIZER, format, "float32"].artifact
        feeds = to_tensor(inputs, artifact.contract.input)
        ranges = QUANTIZERS[format].extremes(artifact.path, feeds, "image").ranges()
        layers = job_for(RECOGNIZER, format, "weight_only_wi8_afp32").layers
        names = {layer.name: layer.operations[0].name for layer in layers if layer.kind.lower().startswith("conv")}
        found[format] = {layer: ranges[name] for layer, name in names.items()}
    for format in ("tflite", "coreml"):
        both = found["onnx"].keys() & found[format].keys()
        assert len(both) >= 48
        for layer in both:
            a, b = found["onnx"][layer], found[format][layer]
            np.testing.assert_allclose((a.low, a.high), (b.low, b.high), rtol=1e-3, atol=1e-3, err_msg=layer)


def _steps_in_onnx(path):
    import onnx

    stored = onnx.load(str(path)).graph.initializer
    return [float(onnx.numpy_helper.to_array(t)) for t in stored if t.name.endswith("_scale") and not t.dims]


def _steps_in_tflite(path):
    from ai_edge_litert.interpreter import Interpreter

    return [tensor["quantization"][0] for tensor in Interpreter(str(path)).get_tensor_details()]


def _steps_in_coreml(path):
    (function,) = Package(path).spec.mlProgram.functions.values()
    operations = function.block_specializations[function.opset].operations
    scales = {o.inputs["scale"].arguments[0].name for o in operations if o.type == "quantize"}
    stored = [o.attributes["val"].immediateValue.tensor.bytes for o in operations if o.outputs[0].name in scales]
    return [float(np.frombuffer(half.values, np.float16)[0]) for half in stored]


@pytest.mark.parametrize(
    ("format", "recipe", "steps_in"),
    [
        ("onnx", "static_wi8_ai8", _steps_in_onnx),
        ("tflite", "static_wi8_ai8", _steps_in_tflite),
        ("coreml", "w8a8", _steps_in_coreml),
    ],
)
def test_a_file_has_the_range_that_a_job_gives_it(job_for, tmp_path, format, recipe, steps_in):
    """From -3 to 48 it is 255 steps of 0.2; measured ranges give no such step."""
    job = job_for(DETECTOR, format, recipe)
    layer = next(one for one in job.layers if one.name == "stages.1.0.2")

    def has_it(name):
        made = job.build([layer], tmp_path / f"{name}{job.parent.path.suffix}")
        return np.isclose(steps_in(made.path), 0.2, rtol=1e-3).any()

    assert not has_it("measured")
    job.ranges.update(dict.fromkeys((o.name for o in layer.operations), Range(-3.0, 48.0)))
    assert has_it("given")


def test_a_layer_that_might_overflow_stays_in_float32_in_core_ml(job_for, tmp_path):
    job = job_for(DETECTOR, "coreml", "fp16")
    layer = next(one for one in job.layers if one.name == "stages.1.0.2")
    job.peaks[layer.operations[0].name] = 30000.0
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
