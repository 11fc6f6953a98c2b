"""Write Core ML: an ML Program for iOS 16 with an image input and float32 outputs."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from ..contract import ModelContract
from ..embedded import write_embedded
from ..evaluate.mil.quiet import coremltools
from .prepare import INPUT, Prepared
from .quiet import quiet

#: Operations that carry a network's weights.
LAYERS = {"conv", "linear", "matmul"}
SUFFIX = ".mlpackage"
PRECISIONS = ("float32", "float16")


def contract_for(contract: ModelContract, precision: str) -> ModelContract:
    """An image input of one size."""
    fixed = msgspec.structs.replace(contract.input, layout="image", dtype="uint8", size_step=0, dynamic_batch=False)
    return msgspec.structs.replace(contract, input=fixed, precision=precision)


def write(prepared: Prepared, contract: ModelContract, path: Path) -> None:
    """Convert the graph and write it to ``path`` with the contract inside."""
    ct = coremltools()
    example = prepared.example()
    with quiet():
        program = torch.export.export(prepared.graph, (example,)).run_decompositions({})
        model = ct.convert(
            program,
            inputs=[ct.ImageType(name=INPUT, shape=tuple(example.shape), color_layout=ct.colorlayout.RGB)],
            outputs=[ct.TensorType(name=name, dtype=np.float32) for name in contract.outputs.values()],
            convert_to="mlprogram",
            compute_precision=_precision(contract.precision),
            minimum_deployment_target=ct.target.iOS16,
            skip_model_load=True,
        )
        model.license = contract.license
        model.short_description = f"{contract.model}, {contract.task_name}, {contract.precision}"
        model.save(str(path))
    make_reproducible(path)
    write_embedded(path, contract.to_json())


def _precision(name: str) -> Any:
    """float16 down to the last layer with weights, float32 behind it.

    In half, coordinates beyond 256 pixels are a quarter of a pixel apart: a box of 12 pixels would be off by two
    percent for its decoding alone. What lies behind the network costs nothing to speak of.
    """
    ct = coremltools()
    if name == "float32":
        return ct.precision.FLOAT32
    inside: dict[Any, bool] = {}

    def in_network(op: Any) -> bool:
        if op not in inside:
            below = (child for value in op.outputs for child in value.child_ops)
            inside[op] = op.op_type in LAYERS or any(in_network(child) for child in below)
        return inside[op]

    return ct.transform.FP16ComputePrecision(op_selector=in_network)


def make_reproducible(package: Path) -> None:
    """Drop date and tool versions, fix the order of map entries and the random identifiers of the manifest."""
    from coremltools.proto import Model_pb2

    (package / "executorch_debug_handle_mapping.json").unlink(missing_ok=True)  # for a debugger, no one loads it
    file = package / "Data" / "com.apple.CoreML" / "model.mlmodel"
    spec = Model_pb2.Model()
    spec.ParseFromString(file.read_bytes())
    told = spec.description.metadata.userDefined
    for key in [k for k in told if k.startswith("com.github.apple.coremltools")]:
        del told[key]
    file.write_bytes(spec.SerializeToString(deterministic=True))
    manifest_file = package / "Manifest.json"
    text = manifest_file.read_text()
    for random, entry in json.loads(text)["itemInfoEntries"].items():
        text = text.replace(random, str(uuid.uuid5(uuid.NAMESPACE_URL, entry["path"])).upper())
    manifest_file.write_text(json.dumps(json.loads(text), indent=4, sort_keys=True) + "\n")
