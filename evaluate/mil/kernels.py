"""The table of operations, and how the arguments in a file become the arguments of a function.

An operation is one function with the name and the parameters of the MIL operation. The annotations of its parameters
say what they want: a ``Tensor`` or a ``list[Tensor]`` to compute with, or an ``int``, ``float``, ``bool``, ``str`` or
list of them to be told. Parameters that a file gives and the function does not have are refused, never ignored.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from ...errors import InvalidModel
from .elements import Array

Tensor = torch.Tensor
Function = TypeVar("Function", bound=Callable[..., Any])


#: What a parameter wants -> the kinds of numpy type that it accepts.
_ACCEPTS: dict[type, str] = {int: "iu", float: "iuf", bool: "b", str: "U"}


def _several(kind: type, value: Array) -> list[Any]:
    if value.dtype.kind not in _ACCEPTS[kind]:
        raise InvalidModel(f"expected {kind.__name__}, got {value.dtype}")
    return [kind(v) for v in value.reshape(-1)]


def _scalar(kind: type, value: Array) -> Any:
    if value.size != 1:
        raise InvalidModel(f"expected one {kind.__name__}, got {value.size}")
    return _several(kind, value)[0]


#: Annotation -> how to turn a constant into it; None for what is taken as it is.
_CONVERTERS: dict[Any, Callable[[Array], Any] | None] = {
    Tensor: None,
    list[Tensor]: None,
    Array: None,
    **{kind: functools.partial(_scalar, kind) for kind in _ACCEPTS},
    **{list[kind]: functools.partial(_several, kind) for kind in _ACCEPTS},  # type: ignore[valid-type]
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of an operation.

    Attributes:
        convert: turns an array into what the function wants, or None where it wants tensors.
        many: whether it takes a list of tensors.
        default: ``inspect.Parameter.empty`` where the file must give it.
    """

    convert: Callable[[Array], Any] | None
    many: bool
    default: Any

    @property
    def required(self) -> bool:
        """Whether a file must give it."""
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True)
class Kernel:
    """One operation: the function that computes it, and its parameters by name."""

    function: Callable[..., Any]
    parameters: dict[str, Parameter]


KERNELS: dict[str, Kernel] = {}


def op(function: Function) -> Function:
    """Enter a function into the table under its own name."""
    return register(function.__name__, function)


def register(name: str, function: Function) -> Function:
    """Enter a function into the table."""
    KERNELS[name] = describe(function)
    return function


def describe(function: Callable[..., Any]) -> Kernel:
    """Read a function's parameters from its signature."""
    hints = typing.get_type_hints(function)
    signature = inspect.signature(function).parameters
    return Kernel(function, {name: _parameter(hints[name], p.default) for name, p in signature.items()})


def _parameter(hint: Any, default: Any) -> Parameter:
    wanted = [h for h in typing.get_args(hint) if h is not type(None)] if default is None else [hint]
    return Parameter(_CONVERTERS[wanted[0]], wanted[0] == list[Tensor], default)
