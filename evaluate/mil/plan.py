"""Turn a program into a list of steps: what to call, on what, under which name to keep the result.

All that can be known is settled here, once: constants are read and converted, weights unpacked, and everything that
the interpreter does not know is collected, so that one error names it all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from ...errors import InvalidModel, PocketfaceError, UnsupportedModel
from . import ops, weights
from .elements import FLOAT16, Array
from .kernels import KERNELS, Kernel, Parameter
from .values import Blobs, TensorType, read_constant, read_type

__all__ = ["Plan", "Step", "make_plan", "ops"]


@dataclass(frozen=True)
class Step:
    """One operation, ready to run.

    Attributes:
        op: its type.
        kernel: what computes it.
        fixed: arguments that are the same in every run.
        bound: parameter -> the name, or names, of the values that it takes.
        outputs: names and declared types of its results.
        dead: names of values that no later step needs.
    """

    op: str
    kernel: Kernel
    fixed: Mapping[str, Any]
    bound: Mapping[str, str | tuple[str, ...]]
    outputs: tuple[tuple[str, TensorType], ...]
    dead: tuple[str, ...] = ()


@dataclass
class Plan:
    """A program, ready to run.

    Attributes:
        inputs: name -> type of what must be fed.
        outputs: name -> type of what comes out.
        constants: name -> tensor, of those that steps take by name.
        steps: in the order of the program.
    """

    inputs: dict[str, TensorType]
    outputs: dict[str, TensorType] = field(default_factory=dict)
    constants: dict[str, torch.Tensor] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)


def make_plan(program: Any, blobs: Blobs) -> Plan:
    """Plan the ``main`` function of a ``Program`` message.

    Raises:
        UnsupportedModel: operations, parameters or types that the interpreter does not know; all of them are named.
        InvalidModel: the program contradicts itself or its weights.
    """
    if "main" not in program.functions:
        raise UnsupportedModel(f"the program has no function 'main', only {sorted(program.functions)}")
    function = program.functions["main"]
    if function.opset not in function.block_specializations:
        raise InvalidModel(f"the program has no block for its own opset {function.opset!r}")
    block = function.block_specializations[function.opset]
    _refuse_unknown(block.operations)
    planner = _Planner(Plan({i.name: read_type(i.type) for i in function.inputs}), blobs)
    for operation in block.operations:
        planner.add(operation)
    return planner.finish(list(block.outputs))


def _refuse_unknown(operations: Sequence[Any]) -> None:
    unknown: dict[str, None] = {}
    for operation in operations:
        known = _known_parameters(operation.type)
        if known is None:
            unknown[operation.type] = None
            continue
        given = [*operation.inputs, *(a for a in operation.attributes if a != "name")]
        unknown.update({f"{operation.type}({name}=)": None for name in given if name not in known})
        if operation.blocks:
            unknown[f"{operation.type} with blocks"] = None
    if unknown:
        raise UnsupportedModel(f"operations that this interpreter does not know: {', '.join(unknown)}")


def _known_parameters(op: str) -> Sequence[str] | None:
    if op == "const":
        return ["val"]
    if op in weights.CONSTEXPR:
        return list(weights.parameters(op))
    return list(KERNELS[op].parameters) if op in KERNELS else None


class _Planner:
    def __init__(self, plan: Plan, blobs: Blobs) -> None:
        self.plan, self.blobs = plan, blobs
        self.types = dict(plan.inputs)
        self.constants: dict[str, Array] = {}
        self.tensors: dict[str, torch.Tensor] = {}

    def add(self, operation: Any) -> None:
        outputs = tuple((o.name, read_type(o.type)) for o in operation.outputs)
        try:
            self._add(operation, outputs)
        except PocketfaceError as e:
            name = outputs[0][0] if outputs else ""
            raise type(e)(f"{operation.type} {name!r}: {e}") from e
        for name, kind in outputs:
            if name in self.types:
                raise InvalidModel(f"the name {name!r} is given twice")
            self.types[name] = kind

    def _add(self, operation: Any, outputs: tuple[tuple[str, TensorType], ...]) -> None:
        attributes = {k: read_constant(v, self.blobs) for k, v in operation.attributes.items() if k != "name"}
        if operation.type == "const":
            self._keep(outputs, [attributes["val"][1]])
        elif operation.type in weights.CONSTEXPR:
            given = {k: v for k, (_, v) in attributes.items()}
            given |= {k: self._constant(a) for k, a in operation.inputs.items()}
            _require(weights.parameters(operation.type), given)
            self._keep(outputs, weights.CONSTEXPR[operation.type](**given))
        else:
            self.plan.steps.append(self._step(operation, outputs))

    def _keep(self, outputs: tuple[tuple[str, TensorType], ...], values: Sequence[Array]) -> None:
        for (name, kind), value in zip(outputs, values, strict=True):
            if not kind.fits(value.shape) or not np.issubdtype(value.dtype, kind.element.numpy):
                raise InvalidModel(f"a constant of {value.dtype}{value.shape} where {kind} is declared")
            self.constants[name] = value

    def _constant(self, argument: Any) -> Array:
        (binding,) = argument.arguments
        if binding.WhichOneof("binding") == "value":
            return read_constant(binding.value, self.blobs)[1]
        if binding.name not in self.constants:
            raise InvalidModel(f"{binding.name!r} is not a constant")
        return self.constants[binding.name]

    def _step(self, operation: Any, outputs: tuple[tuple[str, TensorType], ...]) -> Step:
        kernel = KERNELS[operation.type]
        _require(kernel.parameters, operation.inputs)
        step = Step(operation.type, kernel, _defaults(kernel, outputs), {}, outputs)
        fixed, bound = dict(step.fixed), dict(step.bound)
        for name, argument in operation.inputs.items():
            parameter = kernel.parameters[name]
            names = tuple(self._name(binding) for binding in argument.arguments)
            if parameter.many:
                bound[name] = names
                self.plan.constants |= {n: self._tensor(n) for n in names if n in self.constants}
            elif len(names) != 1:
                raise InvalidModel(f"{name} takes one value, got {len(names)}")
            elif names[0] in self.constants:
                fixed[name] = self._converted(parameter, names[0])
            else:
                bound[name] = names[0]
        return replace(step, fixed=fixed, bound=bound)

    def _name(self, binding: Any) -> str:
        """The name of an argument; a constant without one gets one."""
        if binding.WhichOneof("binding") == "value":
            kind, value = read_constant(binding.value, self.blobs)
            name = f"<constant {len(self.constants)}>"
            self.types[name], self.constants[name] = kind, value
            return name
        if binding.name not in self.types:
            raise InvalidModel(f"{binding.name!r} is used before it is computed, or never computed")
        return str(binding.name)

    def _converted(self, parameter: Parameter, name: str) -> Any:
        return parameter.convert(self.constants[name]) if parameter.convert else self._tensor(name)

    def _tensor(self, name: str) -> torch.Tensor:
        if name not in self.tensors:
            self.tensors[name] = self.types[name].element.to_torch(self.constants[name])
        return self.tensors[name]

    def finish(self, outputs: Sequence[str]) -> Plan:
        for name in outputs:
            if name not in self.types:
                raise InvalidModel(f"the output {name!r} is never computed")
            if name in self.constants:
                self.plan.constants[name] = self._tensor(name)
        self.plan.outputs = {name: self.types[name] for name in outputs}
        self.plan.steps = _with_dead(self.plan.steps, {*outputs, *self.plan.constants})
        return self.plan


def _require(parameters: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    missing = [n for n, p in parameters.items() if n not in given and _is_required(p)]
    if missing:
        raise InvalidModel(f"lacks {', '.join(missing)}")


def _is_required(parameter: Any) -> bool:
    return parameter.required if isinstance(parameter, Parameter) else parameter.default is parameter.empty


def _defaults(kernel: Kernel, outputs: Sequence[tuple[str, TensorType]]) -> dict[str, Any]:
    """Defaults of a program in half are numbers in half: an epsilon of 1e-12 is then zero."""
    if not outputs or outputs[0][1].element is not FLOAT16:
        return {}
    floats = {n: p.default for n, p in kernel.parameters.items() if isinstance(p.default, float)}
    return {n: float(np.float16(v)) for n, v in floats.items()}


def _with_dead(steps: Sequence[Step], kept: set[str]) -> list[Step]:
    seen, planned = set(kept), []
    for step in reversed(steps):
        used = {n for b in step.bound.values() for n in (b if isinstance(b, tuple) else (b,))}
        used |= {name for name, _ in step.outputs}
        planned.append(replace(step, dead=tuple(sorted(used - seen))))
        seen |= used
    return planned[::-1]
