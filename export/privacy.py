"""Nothing of the training set's people may leave with a model: no class centres, margin head or optimiser state."""

from __future__ import annotations

from ..artifact import Artifact
from ..contract import Recognition
from ..errors import ExportError
from .inventory import Inventory, Stored, take_inventory

#: Constants that belong to no operation are left alone below this many elements: shapes and flags of a converter.
_SMALL = 256
#: Elements in a file beyond the contract's parameters: position tables, anchors and constants of the graph.
_MORE, _CONSTANTS = 1.1, 1 << 15
#: Bytes of a file that hold no tensor: the graph, names and the contract.
_OVERHEAD, _GRAPH_BYTES = 0.25, 1 << 18


def check_contents(artifact: Artifact) -> Inventory:
    """Take stock of a finished file and refuse one that holds more than the deployed network.

    Raises:
        ExportError: something else is inside; the message names it.
        InvalidModel: the file is damaged.
    """
    inventory = take_inventory(artifact)
    if found := find_leaks(artifact, inventory):
        raise ExportError(f"{artifact.path.name} holds more than the deployed network: {'; '.join(found)}")
    return inventory


def find_leaks(artifact: Artifact, inventory: Inventory) -> list[str]:
    """What a file holds beyond the network that its contract describes, each in words; empty for a stripped file."""
    unused = [t for t in inventory.tensors if not t.used and t.elements >= _SMALL]
    found = [f"{tensor}, which no output depends on{_guess(artifact, tensor)}" for tensor in unused]
    found += list(inventory.foreign)
    found += [f"a path: {path}" for path in inventory.paths]
    elements, parameters = sum(t.elements for t in inventory.tensors), artifact.contract.parameters
    if parameters and elements > _MORE * parameters + _CONSTANTS:
        found.append(f"{elements} numbers in its tensors, the contract speaks of {parameters} parameters")
    told = sum(t.size_bytes for t in inventory.tensors)
    if artifact.size_bytes - told > _OVERHEAD * told + _GRAPH_BYTES:
        found.append(f"{artifact.size_bytes - told} of {artifact.size_bytes} bytes that belong to no tensor")
    return found


def _guess(artifact: Artifact, tensor: Stored) -> str:
    """Class centres are a matrix with one embedding per person of the training set."""
    task = artifact.contract.task
    if not isinstance(task, Recognition) or len(tensor.shape) != 2 or task.embedding_size not in tensor.shape:
        return ""
    people = tensor.elements // task.embedding_size
    return f": class centres of {people} people?"
