"""A float file in the place of another one: the same contract and format, made from a changed network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import nn

from ..artifact import Artifact, load_artifact
from ..export.pipeline import CONVERTERS
from ..export.prepare import Prepared, training_graph


def write_source(parent: Artifact, prepared: Prepared, network: nn.Module, folder: Path) -> Artifact:
    """Export a changed network as its parent was exported.

    Args:
        parent: a float file.
        prepared: its network, as it was exported.
        network: the deployed network to put in its place.
        folder: where the file goes.
    """
    changed = replace(prepared, graph=training_graph(prepared.built, network))
    path, converter = folder / parent.path.name, CONVERTERS[parent.format]
    # Not the parent's own contract: JSON sorts its outputs, and a converter takes them in the graph's order.
    converter.write(changed, converter.contract_for(prepared.contract, parent.contract.precision), path)
    return load_artifact(path)
