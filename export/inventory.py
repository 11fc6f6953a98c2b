"""What is inside a model file: every stored tensor, whether the answers depend on it, and every piece of text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..artifact import Artifact
from ..errors import InvalidModel
from ..evaluate.onnx_file import load_onnx
from ..runtime.backends.flatbuffer import read_stored

#: Folders of the machines that models are trained and exported on, followed by a name; a long one after a drive's
#: letter. A third of all files with 12 MB of weights in 8 bits hold three fitting bytes by chance, one in 26,000 ten.
_PATH = re.compile(
    rb"/(?:home|Users|root|mnt|tmp|data|workspace|content|opt|var)/[\w. /\\+-]{3,200}|[A-Z]:\\[\w. /\\+-]{10,200}"
)


@dataclass(frozen=True)
class Stored:
    """A tensor in a file.

    Attributes:
        name: as the file has it.
        shape: its dimensions; empty for a scalar.
        size_bytes: in the file.
        used: whether one of the contract's outputs depends on it.
    """

    name: str
    shape: tuple[int, ...]
    size_bytes: int
    used: bool

    @property
    def elements(self) -> int:
        """Product of the dimensions."""
        count = 1
        for side in self.shape:
            count *= side
        return count

    def __str__(self) -> str:
        return f"{self.name} {self.shape}"


@dataclass(frozen=True)
class Inventory:
    """Everything that a file holds.

    Attributes:
        tensors: all of them.
        metadata: keys of the texts that travel with the model.
        paths: texts that look like paths of somebody's machine.
        foreign: parts that no deployed model has: training information, files that nothing names.
    """

    tensors: tuple[Stored, ...]
    metadata: tuple[str, ...]
    paths: tuple[str, ...]
    foreign: tuple[str, ...]


def take_inventory(artifact: Artifact) -> Inventory:
    """List what is inside a file.

    Raises:
        MissingExtra: onnx is not installed, to list an ONNX file.
        InvalidModel: the file is damaged.
    """
    wanted = set(artifact.contract.outputs.values())
    try:
        tensors, metadata, foreign = _READERS[artifact.format](artifact.path, wanted)
    except (ValueError, IndexError, KeyError, RecursionError) as e:
        raise InvalidModel(f"{artifact.path}: cannot be taken stock of: {e}") from e
    return Inventory(tuple(tensors), tuple(sorted(metadata)), _paths(artifact.path), tuple(foreign))


Found = tuple[list[Stored], Iterable[str], list[str]]


def reach(wanted: set[str], steps: Iterable[tuple[Iterable[str], Iterable[str]]]) -> set[str]:
    """Names that the wanted ones depend on; a step takes names and gives names, and comes after those it needs."""
    needed = set(wanted)
    for takes, gives in reversed(list(steps)):
        if needed & set(gives):
            needed |= set(takes)
    return needed


def _onnx(path: Path, wanted: set[str]) -> Found:
    model = load_onnx(path)
    graph = model.graph
    needed = reach(wanted, [(_inputs(node), node.output) for node in graph.node])
    tensors = [_onnx_tensor(t, t.name in needed) for t in graph.initializer]
    tensors += [_onnx_tensor(t.values, t.values.name in needed) for t in graph.sparse_initializer]
    for node in (*graph.node, *(n for f in model.functions for n in f.node)):
        used = bool(needed & set(node.output)) or node not in graph.node
        held = [a.t for a in node.attribute if a.HasField("t")] + [t for a in node.attribute for t in a.tensors]
        tensors += [_onnx_tensor(t, used, name=f"{node.op_type} {node.name}") for t in held]
    foreign = [f"{len(model.training_info)} training graphs"] if model.training_info else []
    foreign += [f"weights in another file, of {t.name}" for t in graph.initializer if t.external_data]
    return tensors, [p.key for p in model.metadata_props], foreign


def _inputs(node: Any) -> set[str]:
    """A node's inputs, and what the graphs inside it (branches, loops) take from outside."""
    graphs = [a.g for a in node.attribute if a.HasField("g")] + [g for a in node.attribute for g in a.graphs]
    inner = {name for graph in graphs for n in graph.node for name in _inputs(n)}
    return set(node.input) | inner | {o.name for graph in graphs for o in graph.output}


def _onnx_tensor(tensor: Any, used: bool, name: str = "") -> Stored:
    return Stored(tensor.name or name, tuple(tensor.dims), tensor.ByteSize(), used)


def _tflite(path: Path, wanted: set[str]) -> Found:
    tensors, metadata = read_stored(path.read_bytes())
    return [Stored(*tensor) for tensor in tensors], metadata, []


def _coreml(path: Path, wanted: set[str]) -> Found:
    from ..evaluate.mil.package import Package

    spec = Package(path).spec
    tensors: list[Stored] = []
    for function in spec.mlProgram.functions.values():
        for block in function.block_specializations.values():
            steps = [(_bound(op), [o.name for o in op.outputs]) for op in block.operations]
            needed = reach(set(block.outputs) & wanted, steps)
            tensors += [t for op in block.operations for t in _constants(op, needed)]
    known = ("Manifest.json", "model.mlmodel", "weight.bin")
    foreign = [f"file {p.relative_to(path)}" for p in sorted(path.rglob("*")) if p.is_file() and p.name not in known]
    told = sum(t.size_bytes for t in tensors)
    stored = sum(p.stat().st_size for p in path.rglob("weight.bin"))
    if stored > 1.1 * told + (64 << 10):
        foreign.append(f"weight.bin has {stored} bytes, the program names {told}")
    return tensors, spec.description.metadata.userDefined, foreign


def _bound(op: Any) -> set[str]:
    inner = {name for block in op.blocks for o in block.operations for name in _bound(o)}
    return {b.name for argument in op.inputs.values() for b in argument.arguments if b.name} | inner


def _constants(op: Any, needed: set[str]) -> list[Stored]:
    found = []
    for value in op.attributes.values():
        shape = tuple(int(d.constant.size) for d in value.type.tensorType.dimensions)
        if value.WhichOneof("value") == "blobFileValue" or shape:
            used = bool(needed & {o.name for o in op.outputs})
            found.append(Stored(op.outputs[0].name, shape, _size(value, shape), used))
    return found


def _size(value: Any, shape: tuple[int, ...]) -> int:
    """Bytes of a constant: its data type's number divides MIL's widths, which are listed in MIL.proto."""
    if value.WhichOneof("value") != "blobFileValue":
        return int(value.ByteSize())
    count = 1
    for side in shape:
        count *= side
    return count * _MIL_BYTES.get(value.type.tensorType.dataType, 4)


#: MIL.proto's DataType -> bytes: bool, float16, 32, 64, bfloat16, int8 to int64, uint8 to uint64.
_MIL_BYTES = {1: 1, 10: 2, 11: 4, 12: 8, 13: 2, 21: 1, 22: 2, 23: 4, 24: 8, 31: 1, 32: 2, 33: 4, 34: 8}

_READERS: Mapping[str, Callable[[Path, set[str]], Found]] = {"onnx": _onnx, "tflite": _tflite, "coreml": _coreml}


def _paths(path: Path) -> tuple[str, ...]:
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    found = {
        match.group().decode("ascii", "replace").strip() for f in files for match in _PATH.finditer(f.read_bytes())
    }
    return tuple(sorted(found))
