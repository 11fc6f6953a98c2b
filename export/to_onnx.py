"""Write ONNX: opset 20, dynamic batch, and for detectors a dynamic size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..contract import ModelContract
from ..embedded import write_embedded
from .prepare import INPUT, SIZE_STEP, Prepared
from .quiet import quiet

if TYPE_CHECKING:
    import onnx

SUFFIX = ".onnx"
PRECISIONS = ("float32",)
OPSET = 20  # the first one with a Gelu of its own


def contract_for(contract: ModelContract, precision: str) -> ModelContract:
    """ONNX takes what the prepared contract says."""
    return contract


def write(prepared: Prepared, contract: ModelContract, path: Path) -> None:
    """Convert the graph and write it to ``path`` with the contract inside."""
    names = list(contract.outputs.values())
    with quiet():
        program = torch.onnx.export(
            prepared.graph,
            (prepared.example(batch=2),),  # a batch of one would be taken for a constant
            input_names=[INPUT],
            output_names=names,
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
            dynamic_shapes=(_dynamic(contract),),
        )
    assert program is not None
    model = program.model_proto
    _strip(model)
    _name_the_batch(model)
    model.producer_name, model.producer_version = contract.producer, ""
    path.write_bytes(model.SerializeToString(deterministic=True))
    write_embedded(path, contract.to_json())


def _dynamic(contract: ModelContract) -> dict[int, Any]:
    axes: dict[int, Any] = {0: torch.export.Dim("batch", min=1, max=256)}
    if contract.input.size_step:
        axes[2] = SIZE_STEP * torch.export.Dim("h32", min=2, max=64)
        axes[3] = SIZE_STEP * torch.export.Dim("w32", min=2, max=64)
    return axes


def _strip(model: onnx.ModelProto) -> None:
    """Remove what the exporter leaves behind: stack traces with the paths of this machine, and docs."""
    graph = model.graph
    for holder in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del holder.metadata_props[:]
        holder.doc_string = ""


def _name_the_batch(model: onnx.ModelProto) -> None:
    """Outputs of a dynamic batch carry an invented symbol; call it what the input calls it."""
    for value in model.graph.output:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
