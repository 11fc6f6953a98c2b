"""No answer of a file in 8 bits may hang on who computes it: held to exact fractions, and to the engine itself."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from pocketface.errors import ExportError
from pocketface.quantize import ties
from pocketface.quantize.ties import Scale, settled, sums


def scale(step, zero=0, least=-128):
    return Scale(np.float32(step), zero, least)


def graph(kind, takes, gives):
    """An operation between pairs of QuantizeLinear and DequantizeLinear; its inputs are integers."""
    names = "ab"[: len(takes)]
    dtype = np.uint8 if gives.least == 0 else np.int8
    kinds = TensorProto.UINT8 if gives.least == 0 else TensorProto.INT8
    stored, nodes = [], []
    for name, one in zip((*names, "y"), (*takes, gives), strict=True):
        stored += [numpy_helper.from_array(np.array(one.step), f"{name}_scale")]
        stored += [numpy_helper.from_array(np.array(one.zero, dtype), f"{name}_zero")]
    for name in names:
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}_q", f"{name}_scale", f"{name}_zero"], [name]))
    nodes.append(helper.make_node(kind, [*names], ["y"]))
    nodes.append(helper.make_node("QuantizeLinear", ["y", "y_scale", "y_zero"], ["y_q"]))
    ends = [[helper.make_tensor_value_info(f"{n}_q", kinds, [256, 256]) for n in group] for group in (names, "y")]
    made = helper.make_graph(nodes, "g", *ends, stored)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def answers(model, *feeds, optimized=True):
    options = ort.SessionOptions()
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimized else level.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip((i.name for i in session.get_inputs()), feeds, strict=True)))[0]


def all_pairs(least):
    every = np.arange(least, least + 256).astype(np.uint8 if least == 0 else np.int8)
    return np.broadcast_to(every[:, None], (256, 256)).copy(), np.broadcast_to(every[None], (256, 256)).copy()


@pytest.mark.parametrize("least", [0, -128])
def test_every_way_to_add_is_within_half_a_step_of_the_exact_sum(least):
    a, b, gives = scale(0.031, least + 100, least), scale(0.0173, least + 140, least), scale(0.0401, least + 90, least)
    ways = list(sums(a, b, gives))
    assert len(ways) == 9
    for i, j in np.random.default_rng(0).integers(0, 256, (200, 2)):
        x, y = int(a.levels[i]), int(b.levels[j])
        exact = (x * Fraction(float(a.step)) + y * Fraction(float(b.step))) / Fraction(float(gives.step))
        assert all(abs(exact - int(way[i, j])) <= Fraction(1, 2) + Fraction(1, 1000) for way in ways)


@pytest.mark.parametrize("optimized", [True, False])
def test_the_engine_adds_in_one_of_the_ways(optimized):
    a, b, gives = scale(0.031, 100, 0), scale(0.0173, 140, 0), scale(0.0401, 90, 0)
    made = answers(graph("Add", (a, b), gives), *all_pairs(0), optimized=optimized)
    ways = [gives.clipped(way) + gives.zero for way in sums(a, b, gives)]
    assert any((made == way).all() for way in ways)


@pytest.mark.parametrize("least", [0, -128])
def test_a_sum_that_lies_on_an_edge_gets_other_steps_and_then_all_agree(least):
    """Steps of 1 and 1 into steps of 2: every odd sum is a tie, and engines break ties in different ways."""
    a = b = scale(1, least + 128, least)
    gives = scale(2, least + 128, least)
    model = graph("Add", (a, b), gives)
    found = settled(model)
    assert found["y"].zero == gives.zero
    assert 2 < found["y"].step < 2.2
    first, *others = (found["y"].clipped(way) for way in sums(a, b, found["y"]))
    assert all((first == other).all() for other in others)
    again = graph("Add", (a, b), found["y"])
    assert settled(again) == {}
    made = [answers(again, *all_pairs(least), optimized=optimized) for optimized in (True, False)]
    assert (made[0] == made[1]).all()


def test_a_function_of_one_tensor_keeps_away_from_edges():
    """The sigmoid of 0 is one half, in steps of 1/3 one and a half: a tie."""
    takes, gives = scale(0.05, 0), scale(1 / 3, 0)
    found = settled(graph("Sigmoid", (takes,), gives))["y"]
    exact = 1 / (1 + np.exp(-takes.levels * float(takes.step))) / float(found.step)
    assert np.abs(exact - np.floor(exact) - 0.5).min() > 1e-4
    assert settled(graph("Sigmoid", (takes,), found)) == {}


def test_what_is_exact_everywhere_is_left_alone():
    assert settled(graph("Relu", (scale(0.05),), scale(0.05))) == {}
    assert settled(graph("Mul", (scale(0.05), scale(0.1)), scale(0.05))) == {}


def test_steps_that_cannot_be_settled_are_an_error(monkeypatch):
    monkeypatch.setattr(ties, "_sum_in_doubt", lambda *scales: True)
    with pytest.raises(ExportError, match="y: none of 200 steps gives the same integers"):
        settled(graph("Add", (scale(1), scale(1)), scale(2)))


def test_a_doubt_hands_its_steps_on_to_the_next_sum():
    """The second sum must be looked at with the steps that the first one got, not with those that it had."""
    model = graph("Add", (scale(1), scale(1)), scale(2))
    stored = [
        numpy_helper.from_array(np.array(2, np.float32), "z_scale"),
        numpy_helper.from_array(np.int8(0), "z_zero"),
    ]
    nodes = [helper.make_node("DequantizeLinear", ["y_q", "y_scale", "y_zero"], ["y_d"])]
    nodes += [helper.make_node("Add", ["y_d", "a"], ["z"])]
    nodes += [helper.make_node("QuantizeLinear", ["z", "z_scale", "z_zero"], ["z_q"])]
    model.graph.initializer.extend(stored)
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    found = settled(model)
    first, *others = (found["z"].clipped(way) for way in sums(found["y"], scale(1), found["z"]))
    assert all((first == other).all() for other in others)
