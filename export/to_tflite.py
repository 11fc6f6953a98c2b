"""Write TFLite: NHWC, one named signature, batch one (the converter cannot keep a batch open)."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from ..contract import ModelContract
from ..embedded import write_embedded
from ..errors import MissingExtra
from .prepare import INPUT, ChannelsLast, Prepared
from .quiet import quiet

SUFFIX = ".tflite"
PRECISIONS = ("float32",)
#: Name of the signature, per task.
SIGNATURES = {"recognition": "embed", "detection": "detect"}


def contract_for(contract: ModelContract, precision: str) -> ModelContract:
    """NHWC, one picture at a time, of one size."""
    fixed = msgspec.structs.replace(contract.input, layout="NHWC", size_step=0, dynamic_batch=False)
    return msgspec.structs.replace(contract, input=fixed)


def write(prepared: Prepared, contract: ModelContract, path: Path) -> None:
    """Convert the graph and write it to ``path`` with the contract inside."""
    os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")
    with quiet():
        try:
            import litert_torch
        except ImportError as e:
            raise MissingExtra("litert-torch", "export", "write TFLite") from e
        example = {INPUT: prepared.example().permute(0, 2, 3, 1).contiguous()}
        graph = ChannelsLast(prepared.graph).eval()
        signature = SIGNATURES[contract.task_name]
        litert_torch.signature(signature, graph, sample_kwargs=example).convert().export(str(path))
    write_embedded(path, contract.to_json())
