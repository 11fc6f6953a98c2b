"""What a file computes, as a list of layers with the same names in every format: those of the deployed network.

A layer is an operation with weights and what follows it up to the next one: its activation, an addition. Rules that
keep layers in float, costs and rescues all speak of these names, so that one list holds for three files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from ..errors import InvalidModel
from ..models import create_model, reparameterize

#: What stands before the first layer (normalisation) and behind the last one (decoding, the division by the length).
BEFORE, BEHIND = "input", "output"


@dataclass(frozen=True)
class Operation:
    """One operation of a file.

    Attributes:
        name: of its first output, by which the format's quantizer knows it.
        kind: its type, as the format calls it.
        weight: name of the stored tensor that it multiplies with; empty for an operation without.
        elements: of that tensor.
        takes, gives: names of its inputs and outputs.
    """

    name: str
    kind: str
    weight: str = ""
    elements: int = 0
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layer:
    """Operations that are quantized together or not at all.

    Attributes:
        name: of the module in the deployed network in torch; for a network that is not ours, of the weight.
        kind: type of the operation with the weights.
        operations: all of them, in the order of the file.
        elements: number of weights.
    """

    name: str
    kind: str
    operations: tuple[Operation, ...]
    elements: int


def group(operations: Iterable[Operation], model: str) -> tuple[Layer, ...]:
    """Cut a file's operations into layers, ``input`` first and ``output`` last.

    Operations whose weights belong to one module become one layer, as the heads of a token mixing do.

    Args:
        operations: of the file, in the order in which they run.
        model: the network's name in the registry, which knows what its modules are called.
    """
    modules = _modules(model)
    operations, name = list(operations), BEFORE
    parts: dict[str, list[Operation]] = {BEFORE: []}
    behind = _behind(operations)
    for operation in operations:
        if operation.weight:
            name = module_of(operation.weight, modules)
        if operation.name not in behind:
            parts.setdefault(name, []).append(operation)
    tail = [operation for operation in operations if operation.name in behind]
    return tuple(_layer(name, found) for name, found in (*parts.items(), (BEHIND, tail)))


def _behind(operations: Sequence[Operation]) -> set[str]:
    """The operations that no weights depend on: they turn a network's answers into those of the file."""
    needed, behind = set[str](), set[str]()
    for operation in reversed(operations):
        if operation.weight or needed & set(operation.gives):
            needed |= set(operation.takes)
        else:
            behind.add(operation.name)
    return behind


def _layer(name: str, operations: Sequence[Operation]) -> Layer:
    weighted = [operation for operation in operations if operation.weight]
    kind = weighted[0].kind if weighted else ""
    return Layer(name, kind, tuple(operations), sum(operation.elements for operation in weighted))


@cache
def _modules(model: str) -> tuple[str, ...]:
    """Names of the modules of a deployed network that have weights; none for a network that is not ours."""
    try:
        deployed = reparameterize(create_model(model))
    except InvalidModel:
        return ()
    return tuple(name for name, module in deployed.named_modules() if [*module.parameters(recurse=False)])


def module_of(weight: str, modules: Sequence[str]) -> str:
    """The module that a stored tensor belongs to, by what a format calls the tensor.

    ONNX says ``network.heads.0.tasks.weight``, Core ML ``p_network_heads_0_tasks_weight``, TFLite ``0.tasks``: it
    leaves out containers that are never called themselves. So a module matches whose path has all these parts in this
    order and ends as they do; of several, the one that misses the least. Where none does, the tensor's name serves.
    """
    plain = _FRAME.sub("", weight)
    for module in modules:
        if module.replace(".", "_") == plain.replace(".", "_"):
            return module
    parts = plain.split(".")
    found = [module for module in modules if _within(parts, module.split("."))]
    return min(found, key=len, default=weight)


def _within(parts: Sequence[str], path: Sequence[str]) -> bool:
    rest = iter(path)
    return parts[-1] == path[-1] and all(part in rest for part in parts)


_FRAME = re.compile(r"^(?:p_)?(?:network[._])|[._]weight(?:_to_fp16)?$")
