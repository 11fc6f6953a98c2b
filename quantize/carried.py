"""The ranges that a training learnt, for the tensors of the float file that its weights were exported to.

A converter names tensors as it likes, joins operations and moves axes. What stays are the values, so a tensor of the
file is a node of the trained network if both have the same least and greatest value, picture by picture.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from ..artifact import Artifact
from ..errors import InvalidData
from ..export.prepare import Prepared
from ..runtime.preprocess import to_tensor
from .formats import QUANTIZERS
from .ranges import Range

#: Pictures of noise, and how far a tensor's ends may be apart, as a share of its range: files in half are not exact.
_PICTURES, _NEAR = 4, 0.01


def carried(source: Artifact, prepared: Prepared, learnt: Mapping[str, tuple[float, float]]) -> dict[str, Range]:
    """Tensor of the file -> the range that was learnt for it; tensors that training did not round are left out.

    Args:
        source: the float file.
        prepared: what it was exported from, with the weights that were trained.
        learnt: node of the exported network -> its range.

    Raises:
        InvalidData: the network has no such node.
    """
    if not learnt:
        return {}
    images = prepared.example(_PICTURES)
    theirs = _in_network(prepared, images, learnt)
    ours = _in_file(source, images)
    ends, names = np.stack([theirs[name] for name in learnt]), list(learnt)  # (nodes, pictures, 2)
    width = np.maximum(np.ptp(ends, axis=(1, 2)), np.finfo(np.float32).tiny)
    found = {}
    for tensor, values in ours.items():
        apart = np.abs(ends - values).max((1, 2)) / width
        if apart.min() <= _NEAR:
            found[tensor] = Range(*learnt[names[int(apart.argmin())]])
    return found


def _in_file(source: Artifact, images: Tensor) -> dict[str, NDArray[np.float64]]:
    """Tensor -> (pictures, 2) its ends."""
    spec = source.contract.input
    feeds = to_tensor(images.permute(0, 2, 3, 1).numpy().astype(np.uint8), spec)
    return QUANTIZERS[source.format].extremes(source.path, feeds, spec.name).ends()


def _in_network(prepared: Prepared, images: Tensor, names: Collection[str]) -> dict[str, NDArray[np.float64]]:
    """Node -> (pictures, 2) its ends."""
    inputs = prepared.graph.normalize(images)
    graph = torch.export.export(prepared.graph.network, (inputs[:1],)).module()
    if strange := sorted({*names} - {node.name for node in graph.graph.nodes}):
        raise InvalidData(
            f"ranges were learnt for {', '.join(strange[:3])}, which {prepared.contract.model} has not; it was trained "
            "with another version of torch or of pocketface: train again"
        )
    watch = _Watch(graph, names)
    with torch.no_grad():
        for image in inputs.split(1):
            watch.run(image)
    return {name: np.array(ends) for name, ends in watch.ends.items()}


class _Watch(fx.Interpreter):
    """Notes the ends of what some nodes give."""

    def __init__(self, graph: fx.GraphModule, names: Collection[str]) -> None:
        super().__init__(graph)
        self.ends: dict[str, list[tuple[float, float]]] = {name: [] for name in names}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n.name in self.ends:
            self.ends[n.name].append((float(value.min()), float(value.max())))
        return value
