"""A deployed network that rounds as its file in 8 bits will, and yet can learn: torchao's PT2E, told what our files do.

Every activation is rounded where TFLite's kernels and ONNX's QDQ pairs round it: behind each operation that computes
something new, with one scale and zero point for the whole tensor, from a range that is learnt. Weights are rounded
symmetrically, with a scale for each output channel of a convolution or a linear layer, and one in all for the matrix of
a product.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor, fx, nn

from ..errors import MissingExtra
from .learned_range import LearnedRange

_KERNELS = (torch.ops.aten.conv2d.default, torch.ops.aten.linear.default)
_PRODUCTS = (torch.ops.aten.matmul.default,)
_RELUS = (torch.ops.aten.relu.default, torch.ops.aten.relu_.default)
#: They lay out or pick what was rounded already.
_MOVES = {
    *("view", "reshape", "flatten", "unflatten", "permute", "transpose", "squeeze", "unsqueeze", "slice", "select"),
    *("chunk", "split", "split_with_sizes", "unbind", "getitem", "contiguous", "clone", "expand", "alias"),
}


def fake_quantize(deployed: nn.Module, images: Tensor, pace: float = 1.0) -> fx.GraphModule:
    """The graph of a deployed network with rounding to 8 bits in it, through which gradients pass.

    It shares its parameters with the network, under the same names: what it learns, the network has learnt. Ranges of
    activations are parameters beside them, those of weights always follow the weights.

    Args:
        deployed: a folded network: nothing of a BatchNorm is left in it to learn or to follow.
        images: ``(B, 3, H, W)`` as it takes them, to begin the ranges with; the graph takes batches of this size only.
        pace: how many times faster than weights ranges learn, see :class:`~.learned_range.LearnedRange`.

    Raises:
        MissingExtra: torchao is not installed.
    """
    pt2e = _pt2e()
    graph = torch.export.export(deployed, (images,)).module()
    prepared: fx.GraphModule = pt2e.quantize_pt2e.prepare_qat_pt2e(graph, _quantizer(pt2e))
    pt2e.allow_exported_model_train_eval(prepared)  # without it, train() and eval() raise
    for node in _roundings(prepared):
        pixels = node.all_input_nodes[0].op == "placeholder"  # 256 levels fit into 256 steps
        setattr(prepared, str(node.target), LearnedRange(0.0 if pixels else pace))
    _measure(prepared, images)
    return prepared.requires_grad_(True)


def ranges_of(rounded: fx.GraphModule) -> dict[str, tuple[float, float]]:
    """What :func:`fake_quantize` made and training changed: name of a node of the exported network -> its range."""
    found = {}
    for node in _roundings(rounded):
        low, high = rounded.get_submodule(str(node.target)).range().tolist()  # type: ignore[operator]
        found[node.all_input_nodes[0].name] = (low, high)
    return found


def _roundings(graph: fx.GraphModule) -> list[fx.Node]:
    """Where an activation is rounded."""
    modules = {name: module for name, module in graph.named_modules() if _of_activation(module)}
    return [node for node in graph.graph.nodes if node.op == "call_module" and node.target in modules]


def _of_activation(module: nn.Module) -> bool:
    return isinstance(module, LearnedRange) or getattr(module, "qscheme", None) == torch.per_tensor_affine


@torch.no_grad()
def _measure(graph: fx.GraphModule, images: Tensor) -> None:
    """Let the ranges begin at what pictures reach in a network that rounds nothing but its weights."""
    learned = [module for module in graph.modules() if isinstance(module, LearnedRange)]
    for module in learned:
        module.measuring = True
    graph(images)
    for module in learned:
        module.measuring = False


def _pt2e() -> Any:
    """``torchao.quantization.pt2e``, which complains in the log of the kernels for GPUs that a CPU cannot load."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        import torchao.quantization.pt2e.quantize_pt2e
        import torchao.quantization.pt2e.quantizer
    except ImportError as e:
        raise MissingExtra("torchao", "train", "train a network that is to be quantized") from e
    finally:
        logging.disable(before)
    return torchao.quantization.pt2e


def _quantizer(pt2e: Any) -> Any:
    """What PT2E asks where to round, and how."""
    whole, each, matrix = _specs(pt2e)

    class Ours(pt2e.quantizer.Quantizer):  # type: ignore[misc]
        def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
            live = _live(model.graph)
            for node in live:
                how = pt2e.quantizer.QuantizationAnnotation(_annotated=True)
                if node.target in _KERNELS:
                    how.input_qspec_map = {node.args[1]: each}
                elif node.target in _PRODUCTS:
                    how.input_qspec_map = {operand: matrix for operand in node.args if operand not in live}
                how.output_qspec = whole if _rounds(node) else None
                node.meta["quantization_annotation"] = how
            return model

        def validate(self, model: fx.GraphModule) -> None:
            """Nothing that is annotated can be wrong here."""

    return Ours()


def _live(graph: fx.Graph) -> dict[fx.Node, None]:
    """The nodes that depend on the picture, in order: what the others compute becomes a constant of the file."""
    found: dict[fx.Node, None] = {}
    for node in graph.nodes:
        if node.op == "placeholder" or (node.op != "output" and any(n in found for n in node.all_input_nodes)):
            found[node] = None
    return found


def _rounds(node: fx.Node) -> bool:
    """Whether what a node gives is rounded: not where it only moved, nor before a ReLU, which is part of the kernel."""
    moves = getattr(node.target, "__name__", "").partition(".")[0] in _MOVES
    users = list(node.users)
    return not moves and not (len(users) == 1 and users[0].target in _RELUS)


def _specs(pt2e: Any) -> tuple[Any, Any, Any]:
    """Of an activation; of the weights of a convolution or a linear layer; of the matrix of a product."""
    spec, fake = pt2e.quantizer.QuantizationSpec, pt2e.FakeQuantize.with_args
    by_channel = pt2e.observer.MovingAveragePerChannelMinMaxObserver
    by_tensor = pt2e.observer.MovingAverageMinMaxObserver
    place = fake(observer=by_tensor)  # a LearnedRange takes it
    each = fake(observer=by_channel, averaging_constant=1.0)  # 1: the range of the weights as they are now
    matrix = fake(observer=by_tensor, averaging_constant=1.0)
    return (
        spec(torch.int8, place, -128, 127, torch.per_tensor_affine),
        spec(torch.int8, each, -127, 127, torch.per_channel_symmetric, ch_axis=0),
        spec(torch.int8, matrix, -127, 127, torch.per_tensor_symmetric),
    )
