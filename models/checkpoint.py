"""Read a checkpoint without running anything in it, and load it strictly.

What a training script puts beside the network's weights stays behind: of ``{"state_dict": ..., "optimizer": ...,
"epoch": ...}`` only the weights are taken. What it mixes in among them is refused by name: a margin head holds a centre
for every person of the training set, and a model that leaves with them gives those people away.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..artifact import atomic
from ..errors import InvalidModel

#: Keys under which training scripts wrap the weights; insightface says ``state_dict_backbone``.
WRAPPERS = ("state_dict", "state_dict_backbone", "model", "backbone")
#: What data-parallel and compiled modules put before each key.
PREFIXES = ("module.", "_orig_mod.")
#: What a recogniser with a quality output calls the recogniser in it, see ``models.recognizability``.
_TRUNK = "trunk."
#: Words in the names of what only training needs: margin heads and their class centres, optimisers and their state.
_TRAINING = re.compile(
    r"(^|[._])(head|margin|arcface|cosface|adaface|partial_?fc|softmax_fc|classifier|centers?|centres?|prox(y|ies)|"
    r"prototypes?|optimi[sz]er|exp_avg|exp_avg_sq|momentum_buffer)([._]|$)"
)


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors``, ``.pt`` or ``.pth`` file by name, unwrapped and without ``module.``.

    Pickled files are read with ``weights_only=True``: code in them is refused, not run.

    Raises:
        InvalidModel: no such file, an unknown suffix, a truncated file, or one that holds something else.
    """
    if path.suffix not in {".safetensors", ".pt", ".pth"}:
        raise InvalidModel(f"{path}: unknown checkpoint format {path.suffix!r}, expected .safetensors, .pt or .pth")
    if not path.is_file():
        raise InvalidModel(f"{path}: no such checkpoint")
    try:
        if path.suffix == ".safetensors":
            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:  # a damaged pickle stumbles over its own content, and may raise anything
        reason = (str(e).strip().splitlines() or [type(e).__name__])[0]
        raise InvalidModel(f"{path}: damaged, or more than tensors in it: {reason}") from e
    return _unwrap(state, path)


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a checkpoint into ``model``; every key and every shape must fit.

    The checkpoint of a recogniser with a quality output also serves the same recogniser without one.

    Raises:
        InvalidModel: the file cannot be read, or its keys, shapes or values are not those of this network.
    """
    state, expected = read_state(path), model.state_dict()
    if not any(key.startswith(_TRUNK) for key in expected):
        state = {k.removeprefix(_TRUNK): v for k, v in state.items() if k.startswith(_TRUNK)} or state
    _refuse_training_heads(state, expected, path)
    faults = {
        "missing": [k for k in expected if k not in state],
        "unexpected": [k for k in state if k not in expected],
        "misshapen": [
            f"{k} {tuple(state[k].shape)} for {tuple(v.shape)}"
            for k, v in expected.items()
            if k in state and state[k].shape != v.shape
        ],
        "non-finite": [k for k, v in state.items() if v.is_floating_point() and not v.isfinite().all()],
    }
    if any(faults.values()):
        told = "; ".join(f"{len(v)} {what}: {', '.join(v[:3])}" for what, v in faults.items() if v)
        raise InvalidModel(f"{path}: not a checkpoint of this {type(model).__name__}: {told}")
    model.load_state_dict(state)


def average_weights(network: nn.Module, others: Sequence[nn.Module]) -> None:
    """Make a network's weights the mean of its own and those of others that are built like it.

    Runs that began from the same weights end around the same minimum, each off it in a direction of its own, and their
    mean lies nearer than any of them. Source: model soups, arXiv 2203.05482.
    """
    states = [each.state_dict() for each in (network, *others)]
    mean = {
        key: torch.stack([state[key] for state in states]).mean(0)
        for key, tensor in states[0].items()
        if tensor.is_floating_point()
    }
    network.load_state_dict({**states[0], **mean})


def save_weights(network: nn.Module, path: Path, *, half: bool = False) -> None:
    """Write a network's tensors to a ``.safetensors`` file, whole or not at all.

    Args:
        network: whose state it is.
        path: the file.
        half: whether kernels and matrices are stored in float16, which halves the file. Norms, biases and scales
            never are: a variance or a scale of 1e-5 need not fit.

    Raises:
        OutputError: the folder cannot be written to.
    """
    state = {key: tensor.contiguous() for key, tensor in network.state_dict().items()}
    if half:
        wide = [key for key, tensor in state.items() if tensor.ndim >= 2 and key.endswith("weight")]
        state |= {key: state[key].half() for key in wide}
    with atomic(path) as temporary:
        save_file(state, temporary)


def _refuse_training_heads(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Raise for a whole network with something of its training beside it; anything else is told by the faults."""
    more = [k for k, v in state.items() if k not in expected and (_TRAINING.search(k) or v.ndim == 2)]
    if more and all(k in state for k in expected):
        told = ", ".join(f"{k} {tuple(state[k].shape)}" for k in more[:3])
        raise InvalidModel(
            f"{path}: {len(more)} tensors of its training among the network's: {told}. Class centres and optimiser "
            "state must not leave with a model: save the network's own tensors alone"
        )


def _unwrap(state: Any, path: Path) -> dict[str, Tensor]:
    while isinstance(state, Mapping) and (inner := next((state[k] for k in WRAPPERS if k in state), None)) is not None:
        state = inner
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        others = [k for k, v in state.items() if not isinstance(v, Tensor)] if isinstance(state, Mapping) else []
        came = f"{type(state).__name__}{' with ' + ', '.join(map(str, others[:3])) if others else ''}"
        known = ", ".join(WRAPPERS)
        raise InvalidModel(f"{path}: expected a mapping of names to tensors, or one under {known}; got a {came}")
    for prefix in PREFIXES:
        if state and all(k.startswith(prefix) for k in state):
            state = {k.removeprefix(prefix): v for k, v in state.items()}
    return dict(state)
