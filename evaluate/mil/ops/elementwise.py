"""Operations that look at one element at a time: arithmetic, comparisons and activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F

from ....errors import UnsupportedModel
from ..kernels import Tensor, op, register


def _unary(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def compute(x: Tensor) -> Tensor:
        return function(x)

    return compute


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    def compute(x: Tensor, y: Tensor) -> Tensor:
        return function(x, y)

    return compute


_UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "abs": torch.abs,
    "ceil": torch.ceil,
    "cos": torch.cos,
    "erf": torch.erf,
    "exp": torch.exp,
    "floor": torch.floor,
    "identity": lambda x: x,
    "logical_not": torch.logical_not,
    "relu": torch.relu,
    "relu6": F.relu6,
    "round": torch.round,
    "sigmoid": torch.sigmoid,
    "sign": torch.sign,
    "silu": F.silu,
    "sin": torch.sin,
    "softplus": lambda x: F.softplus(x, threshold=1e9),  # torch's default turns linear above 20
    "softsign": F.softsign,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "tanh": torch.tanh,
}
_BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "equal": torch.eq,
    "floor_div": torch.floor_divide,
    "greater": torch.gt,
    "greater_equal": torch.ge,
    "less": torch.lt,
    "less_equal": torch.le,
    "logical_and": torch.logical_and,
    "logical_or": torch.logical_or,
    "logical_xor": torch.logical_xor,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "mod": torch.remainder,
    "mul": torch.mul,
    "not_equal": torch.ne,
    "pow": torch.pow,
    "sub": torch.sub,
}
for _name, _function in _UNARY.items():
    register(_name, _unary(_function))
for _name, _function2 in _BINARY.items():
    register(_name, _binary(_function2))


@op
def real_div(x: Tensor, y: Tensor) -> Tensor:
    """Quotient; of integers it is refused, as how it rounds is not documented."""
    if not x.is_floating_point():
        raise UnsupportedModel("a quotient of integers is not documented")
    return x / y


@op
def cast(x: Tensor, dtype: str) -> Tensor:
    """Change the element type; to an integer it cuts the fraction off."""
    if dtype in ("fp16", "fp32"):
        return x.half().float() if dtype == "fp16" else x.float()
    if dtype == "bool":
        return x != 0
    if dtype not in _RANGES:
        raise UnsupportedModel(f"dtype {dtype!r} is unknown")
    low, high = _RANGES[dtype]
    whole = x.double().trunc()
    if not bool(((whole >= low) & (whole <= high)).all()):
        raise UnsupportedModel(f"values outside of {dtype} (or not finite) convert differently on every processor")
    return whole.long()


_RANGES = {
    "int8": (-(2**7), 2**7 - 1),
    "uint8": (0, 2**8 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1),
}


@op
def clip(x: Tensor, alpha: float, beta: float) -> Tensor:
    """Limit to ``alpha``..``beta``."""
    return x.clamp(alpha, beta)


@op
def threshold(x: Tensor, alpha: float) -> Tensor:
    """Limit from below."""
    return x.clamp(min=alpha)


@op
def log(x: Tensor, epsilon: float = 1e-45) -> Tensor:
    """``ln(x + epsilon)``."""
    return (x + epsilon).log()


@op
def rsqrt(x: Tensor, epsilon: float = 1e-12) -> Tensor:
    """``1 / sqrt(x + epsilon)``."""
    return (x + epsilon).rsqrt()


@op
def inverse(x: Tensor, epsilon: float = 1e-4) -> Tensor:
    """``1 / (x + epsilon)``."""
    return (x + epsilon).reciprocal()


@op
def select(cond: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """``a`` where ``cond``, else ``b``."""
    return torch.where(cond, a, b)


@op
def prelu(x: Tensor, alpha: Tensor) -> Tensor:
    """Per-channel slope below zero; ``x (B, C, ...)``, ``alpha (C,)``."""
    return F.prelu(x, alpha)


@op
def leaky_relu(x: Tensor, alpha: float) -> Tensor:
    """``alpha * x`` below zero."""
    return F.leaky_relu(x, alpha)


@op
def clamped_relu(x: Tensor, alpha: float, beta: float) -> Tensor:
    """``alpha * x`` below zero, and nothing above ``beta``."""
    return F.leaky_relu(x, alpha).clamp(max=beta)


@op
def elu(x: Tensor, alpha: float) -> Tensor:
    """``alpha * (exp(x) - 1)`` below zero."""
    return F.elu(x, alpha)


@op
def linear_activation(x: Tensor, alpha: float, beta: float) -> Tensor:
    """``alpha * x + beta``."""
    return alpha * x + beta


@op
def scaled_tanh(x: Tensor, alpha: float, beta: float) -> Tensor:
    """``alpha * tanh(beta * x)``."""
    return alpha * torch.tanh(beta * x)


@op
def sigmoid_hard(x: Tensor, alpha: float, beta: float) -> Tensor:
    """``alpha * x + beta``, limited to 0..1."""
    return (alpha * x + beta).clamp(0, 1)


@op
def thresholded_relu(x: Tensor, alpha: float) -> Tensor:
    """``x`` from ``alpha`` on, else 0."""
    return torch.where(x >= alpha, x, 0.0)


@op
def gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    """Gaussian error linear unit: exact, with tanh, or as ``x * sigmoid(1.702 x)``."""
    if mode == "SIGMOID_APPROXIMATION":
        return x * torch.sigmoid(1.702 * x)
    kinds: dict[str, Literal["none", "tanh"]] = {"EXACT": "none", "TANH_APPROXIMATION": "tanh"}
    if mode not in kinds:
        raise UnsupportedModel(f"mode {mode!r} is unknown")
    return F.gelu(x, approximate=kinds[mode])


@op
def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Exponentials along one axis, divided by their sum."""
    return x.softmax(axis)
