"""Steps of 8 bits with which no answer lies between two of them, so that the last digits of float decide nothing.

Between its integers ONNX Runtime still computes in float, and not alike everywhere: GELU by a polynomial, the sum of
two tensors in float32, with fused multiply-add or without, or on ARM in whole numbers of 22 bits (MLAS, ``qladd.cpp``).
What falls next to the edge between two steps is then rounded up on one processor and down on another. But a tensor of
8 bits has 256 values, and two have 65,536 pairs: all cases can be looked at. Where one is in doubt, the steps of the
answer are widened by half a thousandth, and all are looked at again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ExportError

if TYPE_CHECKING:
    import onnx

#: Operations that make one value of one value, with an accuracy that engines choose.
ELEMENTWISE = frozenset(
    {"Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Sigmoid", "Softplus", "Swish", "Tanh"}
)
#: Answers so near to an edge, in steps, are in doubt: float32 is good for 2**-17 of 128 steps, a polynomial for less.
_MARGIN = 2.0**-12
_WIDER = np.float32(1 + 2.0**-11)
#: Steps tried for one tensor, 1.1 times as wide in the end. In about half of all sums some pair is in doubt.
_PATIENCE = 200
#: MLAS adds in whole numbers on ARM if both ratios of steps are at least the first and below the second.
_WHOLE = (2.0**-14, 2.0**8)


@dataclass(frozen=True)
class Scale:
    """What the integers of a tensor mean: ``step * (integer - zero)``.

    Attributes:
        step: what one of them is worth.
        zero: the integer that means 0.
        least: the least integer: 0, or -128.
    """

    step: np.float32
    zero: int
    least: int

    @property
    def levels(self) -> NDArray[np.int64]:
        """All 256 integers, counted from the one that means 0."""
        return np.arange(self.least, self.least + 256) - self.zero

    def clipped(self, levels: NDArray[Any]) -> NDArray[np.int64]:
        """Levels, kept to those that there are."""
        return np.clip(levels, self.levels[0], self.levels[-1]).astype(np.int64)


def settled(model: onnx.ModelProto) -> dict[str, Scale]:
    """The tensors that need other steps -> a scale that leaves nothing in doubt, whatever the input.

    Args:
        model: with pairs of QuantizeLinear and DequantizeLinear, in an order in which it can run.

    Raises:
        ExportError: all steps that were tried leave something in doubt.
    """
    import onnx

    stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer if len(t.dims) < 2}
    after = {node.output[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}
    before = {node.input[0]: node for node in model.graph.node if node.op_type == "QuantizeLinear"}
    changed = dict[str, Scale]()

    def scale(pair: Any) -> Scale:
        step, zero = (stored[name] for name in pair.input[1:3])
        return changed.get(pair.input[1]) or Scale(np.float32(step), int(zero), int(np.iinfo(zero.dtype).min))

    found = dict[str, Scale]()
    for node in model.graph.node:
        known = node.op_type == "Add" or node.op_type in ELEMENTWISE
        if known and node.output[0] in before and all(name in after for name in node.input):
            pair = before[node.output[0]]
            takes, first = [scale(after[name]) for name in node.input], scale(pair)
            gives = _settle(node, takes, first, model)
            if gives != first:
                changed[pair.input[1]] = found[node.output[0]] = gives
    return found


def _settle(node: Any, takes: list[Scale], gives: Scale, model: onnx.ModelProto) -> Scale:
    """The narrowest steps from the given ones on that leave nothing in doubt."""
    values = None if node.op_type == "Add" else _values(node, takes[0], model)
    for _ in range(_PATIENCE):
        doubt = _sum_in_doubt(takes[0], takes[-1], gives) if values is None else _near_an_edge(values, gives)
        if not doubt:
            return gives
        gives = replace(gives, step=gives.step * _WIDER)
    raise ExportError(f"{node.output[0]}: none of {_PATIENCE} steps gives the same integers on every processor")


def _values(node: Any, takes: Scale, model: onnx.ModelProto) -> NDArray[np.float32]:
    """What an elementwise operation makes of all 256 values."""
    import onnx
    import onnxruntime as ort

    kind = onnx.TensorProto.FLOAT
    ends = [[onnx.helper.make_tensor_value_info(names[0], kind, [256])] for names in (node.input, node.output)]
    graph = onnx.helper.make_graph([node], "values", *ends)
    part = onnx.ModelProto(graph=graph, ir_version=model.ir_version, opset_import=model.opset_import)
    session = ort.InferenceSession(part.SerializeToString(), providers=["CPUExecutionProvider"])
    fed = takes.levels.astype(np.float32) * takes.step
    return session.run(None, {node.input[0]: fed})[0]  # type: ignore[no-any-return]


def _near_an_edge(values: NDArray[np.float32], gives: Scale) -> bool:
    steps = values / np.float64(gives.step)
    inside = (steps > gives.levels[0] - 1) & (steps < gives.levels[-1] + 1)
    return bool((np.abs(steps - np.floor(steps) - 0.5)[inside] < _MARGIN).any())


def _sum_in_doubt(a: Scale, b: Scale, gives: Scale) -> bool:
    """Whether some pair of integers has a sum that depends on who adds."""
    first, *others = (gives.clipped(way) for way in sums(a, b, gives))
    return any((first != other).any() for other in others)


def sums(a: Scale, b: Scale, gives: Scale) -> Iterator[NDArray[Any]]:
    """The levels ``(256, 256)`` of the sum of every pair, not clipped, in all ways in which they are computed."""
    x, y = a.levels[:, None], b.levels[None]
    yield np.rint((x * float(a.step) + y * float(b.step)) / float(gives.step))
    parts = x.astype(np.float32) * a.step, y.astype(np.float32) * b.step
    yield np.rint((parts[0] + parts[1]) / gives.step)  # dequantized, added, quantized
    ratios = a.step / gives.step, b.step / gives.step
    yield from _in_float(ratios, a, b, gives)
    if all(_WHOLE[0] <= ratio < _WHOLE[1] for ratio in ratios):
        shift = 22 - int(np.frexp(max(ratios))[1])
        total = x * int(np.rint(ratios[0] * 2.0**shift)) + y * int(np.rint(ratios[1] * 2.0**shift))
        yield np.asarray((total - (total < 0) + (1 << (shift - 1))) >> shift)  # halves away from zero


def _in_float(ratios: tuple[np.float32, np.float32], a: Scale, b: Scale, gives: Scale) -> Iterator[NDArray[Any]]:
    """In float32, signed and unsigned (x86 turns the one into the other), each product rounded for itself and fused."""
    for least in (0, -128):
        zeros = [np.float32(scale.zero - scale.least + least) for scale in (a, b, gives)]
        rest = zeros[2] - (ratios[0] * zeros[0] + ratios[1] * zeros[1])
        x, y = ((np.arange(256) + least).astype(np.float32) for _ in "ab")
        x, y = x[:, None], y[None]
        yield np.rint((rest + x * ratios[0]) + y * ratios[1]) - zeros[2]
        for one, other in (((x, ratios[0]), (y, ratios[1])), ((y, ratios[1]), (x, ratios[0]))):
            yield np.rint(_fused(*other, _fused(*one, rest))) - zeros[2]


def _fused(x: NDArray[np.float32], ratio: np.float32, rest: Any) -> NDArray[np.float32]:
    """Multiply and add with one rounding; the product is exact in float64."""
    return np.asarray(x.astype(np.float64) * np.float64(ratio) + rest, np.float32)
