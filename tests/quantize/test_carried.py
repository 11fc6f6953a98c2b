"""Ranges that were learnt for nodes of the network reach the tensors of a file that are those nodes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import fx

from pocketface.errors import InvalidData
from pocketface.evaluate.faces import bundled_portraits, inputs_for
from pocketface.export.prepare import prepare, rebuild_model
from pocketface.quantize.carried import carried
from pocketface.quantize.formats import QUANTIZERS
from pocketface.quantize.ranges import Range
from pocketface.runtime.preprocess import to_tensor


def nodes_of(prepared, images):
    """Name of each node that computes -> its least and greatest value over the pictures."""
    inputs, ends = prepared.graph.normalize(images), {}

    class Note(fx.Interpreter):
        def run_node(self, n):
            value = super().run_node(n)
            if n.op == "call_function" and isinstance(value, torch.Tensor) and value.is_floating_point():
                low, high = ends.get(n.name, (np.inf, -np.inf))
                ends[n.name] = min(low, float(value.min())), max(high, float(value.max()))
            return value

    with torch.no_grad():
        graph = Note(torch.export.export(prepared.graph.network, (inputs[:1],)).module())
        for image in inputs.split(1):
            graph.run(image)
    return ends


@pytest.fixture(scope="module", params=["onnx", "tflite"])
def source(exports, request):
    return exports["facelivtv2_xs", request.param, "float32"].artifact


def test_a_tensor_gets_the_range_of_the_node_that_has_its_values_on_faces_too(source):
    prepared, spec = prepare(rebuild_model(source.contract)), source.contract.input
    faces = inputs_for(source.contract, bundled_portraits()[:3])
    theirs = nodes_of(prepared, torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2).float())
    ours = QUANTIZERS[source.format].extremes(source.path, to_tensor(np.stack(faces), spec), spec.name).ends()
    marks = {name: (-1.0 - number, 1.0 + number) for number, name in enumerate(theirs)}  # to be told apart
    found = carried(source, prepared, marks)
    assert len(found) > 100
    node = {Range(*ends): name for name, ends in marks.items()}
    for tensor, mark in found.items():
        low, high = theirs[node[mark]]
        near = 0.02 * (high - low)
        assert abs(ours[tensor][:, 0].min() - low) < near, tensor
        assert abs(ours[tensor][:, 1].max() - high) < near, tensor


def test_ranges_of_another_network_are_refused(source):
    with pytest.raises(InvalidData, match=r"ranges were learnt for nothing_9, which facelivtv2_xs has not"):
        carried(source, prepare(rebuild_model(source.contract)), {"nothing_9": (-1.0, 1.0)})


def test_a_run_without_ranges_carries_none(source):
    assert carried(source, prepare(rebuild_model(source.contract)), {}) == {}
