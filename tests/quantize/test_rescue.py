"""Which layers hurt, and the fewest that must stay in float."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pocketface.errors import ParityError
from pocketface.evaluate.gate import parse_gate
from pocketface.quantize.fidelity import Fidelity
from pocketface.quantize.layers import Layer
from pocketface.quantize.recipe import parse_recipe
from pocketface.quantize.rescue import rescue
from pocketface.quantize.sensitivity import cost_columns, cost_row, cost_section, measure_costs

RECOGNIZER = "facelivtv2_xs"


class Made:
    """A job whose layers cost what they are told, and whose costs add up."""

    def __init__(self, costs):
        self.costs, self.recipe = costs, parse_recipe("static_wi8_ai8")
        self.layers = [Layer(name, "Conv", (), 10) for name in costs]
        self.parent = SimpleNamespace(path=SimpleNamespace(name="made.onnx", suffix=".onnx"))
        self.judge, self.trials, self.progress = self, 0, lambda step: None

    def chosen(self, kept=()):
        return [layer for layer in self.layers if layer.name not in kept]

    def build(self, chosen, path):
        path.write_bytes(b"")
        return sum(self.costs[layer.name] for layer in chosen)

    def compare(self, loss):
        self.trials += 1
        return Fidelity(pictures=1, engine="made", figures={"cosine": 1 - loss}, loss=loss)


def gate(text):
    return parse_gate(text, ("cosine",))


def test_costs_are_those_of_a_layer_alone_the_dearest_first(tmp_path):
    costs = measure_costs(Made({"a": 0.1, "b": 0.3, "c": 0.0}), tmp_path)
    assert [(cost.layer, round(cost.fidelity.loss, 9)) for cost in costs] == [("b", 0.3), ("a", 0.1), ("c", 0.0)]
    assert [column.key for column in cost_columns(costs)] == ["layer", "kind", "elements", "cosine"]
    assert cost_row(costs[0]) == {"layer": "b", "kind": "Conv", "elements": 10, "cosine": 0.7}


def test_costs_are_shown_as_a_table_and_a_plot(tmp_path):
    costs = measure_costs(Made({"a": 0.1, "b": 0.3, "c": 0.0}), tmp_path)
    section = cost_section(costs, kept=["b"])
    assert [row["layer"] for row in section.rows] == ["b", "a", "c"]
    (plot,) = section.pictures
    assert plot.data.startswith(b"\x89PNG")
    assert plot.data != cost_section(costs).pictures[0].data  # what stays in float looks otherwise
    assert cost_section([]).notes == ["The recipe quantizes no layer."]


@pytest.mark.parametrize(
    ("wanted", "kept"), [(0.5, ()), (0.69, {"c"}), (0.85, {"c", "a"}), (0.95, {"c", "a", "e"}), (0.999, {*"cabe"})]
)
def test_the_fewest_layers_that_meet_the_gate_are_kept(wanted, kept):
    job = Made({"a": 0.1, "b": 0.04, "c": 0.3, "d": 0.0005, "e": 0.05})
    found = rescue(job, gate(f"cosine>={wanted}"))
    assert set(found.kept) == set(kept)
    assert found.before.figures["cosine"] == pytest.approx(0.5095)
    assert bool(found.costs) == bool(kept)


def test_a_layer_that_turns_out_not_to_be_needed_is_quantized_again():
    """Alone, b costs more than a; together with the others it costs nothing."""
    job = Made({"a": 0.2, "b": 0.3, "c": 0.01})
    plain = job.build
    job.build = lambda chosen, path: plain([one for one in chosen if len(chosen) == 1 or one.name != "b"], path)
    assert rescue(job, gate("cosine>=0.98")).kept == ("a",)


def test_a_gate_beyond_the_recipe_is_refused():
    job = Made({"a": 0.1, "b": 0.05})
    with pytest.raises(ParityError, match=r"made\.onnx: with static_wi8_ai8 in 'b' alone, cosine is 0\.95"):
        rescue(job, gate("cosine>=0.99"))


def test_a_real_file_is_rescued_and_says_what_it_cost(job_for, tmp_path):
    """All but four layers are kept by rule, so that it is quick; the gate lies between none of the four and all."""
    recipe = parse_recipe("static_wi8_ai8").keeping(r"^(?!stages\.3\.blocks\.2|head)")
    job = job_for(RECOGNIZER, "onnx", recipe)
    assert len(job.chosen()) == 5
    costs = {cost.layer: cost.fidelity.loss for cost in measure_costs(job, tmp_path)}
    worst = max(costs, key=costs.__getitem__)
    assert all(loss < 0.05 for loss in costs.values())
    all_in = job.judge.compare(job.build(job.chosen(), tmp_path / "all.onnx")).figures["cosine"]
    without = job.judge.compare(job.build(job.chosen([worst]), tmp_path / "without.onnx")).figures["cosine"]
    assert all_in < without
    found = rescue(job, gate(f"cosine>={(all_in + without) / 2}"))
    assert found.kept == (worst,)
