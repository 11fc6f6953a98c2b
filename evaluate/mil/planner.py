"""Turn a program into a plan.

All that can be known is settled here, once: constants are read and converted, weights unpacked, and everything that
the interpreter does not know is collected, so that one error names it all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ...errors import InvalidModel, UnsupportedModel
from .elements import FLOAT16, Array
from .kernels import Kernel
from .ops import KERNELS
from .plan import Named, Plan, Step, with_dead
from .values import Blobs, TensorType, read_constant, read_type
from .weights import CONSTEXPR


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
    planner = _Planner({i.name: read_type(i.type) for i in function.inputs}, blobs)
    for operation in block.operations:
        planner.add(operation)
    return planner.finish(block.outputs)


def _refuse_unknown(operations: Sequence[Any]) -> None:
    unknown: dict[str, None] = {}
    for operation in operations:
        kernel = CONSTEXPR.get(operation.type) or KERNELS.get(operation.type)
        if kernel is None:
            unknown[operation.type] = None
            continue
        given = [*operation.inputs, *(a for a in operation.attributes if a != "name")]
        unknown |= {f"{operation.type}({name}=)": None for name in given if name not in kernel.parameters}
        if operation.blocks:
            unknown[f"{operation.type} with blocks"] = None
    if unknown:
        raise UnsupportedModel(f"operations that this interpreter does not know: {', '.join(unknown)}")


class _Planner:
    def __init__(self, inputs: Mapping[str, TensorType], blobs: Blobs) -> None:
        self.inputs, self.blobs = inputs, blobs
        self.types = dict(inputs)
        self.constants: dict[str, Array] = {}
        self.tensors: dict[str, torch.Tensor] = {}
        self.by_name: dict[str, torch.Tensor] = {}
        self.steps: list[Step] = []

    def add(self, operation: Any) -> None:
        outputs = tuple((o.name, read_type(o.type)) for o in operation.outputs)
        try:
            self._add(operation, outputs)
        except (InvalidModel, UnsupportedModel) as e:
            raise type(e)(f"{operation.type} {[name for name, _ in outputs]}: {e}") from e

    def finish(self, outputs: Sequence[str]) -> Plan:
        for name in outputs:
            if name not in self.types:
                raise InvalidModel(f"the output {name!r} is never computed")
            if name in self.constants:
                self.by_name[name] = self._tensor(name)
        steps = with_dead(self.steps, {*outputs, *self.by_name})
        return Plan(self.inputs, {name: self.types[name] for name in outputs}, self.by_name, steps)

    def _add(self, operation: Any, outputs: Named) -> None:
        if not outputs or any(name in self.types for name, _ in outputs):
            raise InvalidModel("it has no result, or one of a name that is already taken")
        given = [*operation.inputs, *operation.attributes]
        if operation.type in CONSTEXPR:
            _require(CONSTEXPR[operation.type], given)
            self._keep(outputs, self._unpacked(operation))
        else:
            _require(KERNELS[operation.type], given)
            self.steps.append(self._step(operation, outputs))
        self.types |= dict(outputs)

    def _unpacked(self, operation: Any) -> tuple[Array, ...]:
        """The results of a constant operation; its operands are attributes in iOS 16 and arguments in iOS 18."""
        attributes = {k: read_constant(v, self.blobs)[1] for k, v in operation.attributes.items() if k != "name"}
        arguments = {k: self._constant(self._only_name(k, a)) for k, a in operation.inputs.items()}
        try:
            return tuple(CONSTEXPR[operation.type].function(**attributes, **arguments))
        except (ValueError, IndexError, TypeError) as e:
            raise InvalidModel(f"its operands do not fit together: {e}") from e

    def _constant(self, name: str) -> Array:
        if name not in self.constants:
            raise InvalidModel(f"{name!r} is not a constant")
        return self.constants[name]

    def _keep(self, outputs: Named, values: Sequence[Array]) -> None:
        if len(values) != len(outputs):
            raise InvalidModel(f"it gives {len(values)} results, {len(outputs)} are declared")
        for (name, kind), value in zip(outputs, values, strict=True):
            if not kind.fits(value.shape) or not np.issubdtype(value.dtype, kind.element.numpy):
                raise InvalidModel(f"a constant of {value.dtype}{value.shape} where {kind} is declared")
            self.constants[name] = value

    def _step(self, operation: Any, outputs: Named) -> Step:
        kernel = KERNELS[operation.type]
        fixed: dict[str, Any] = _defaults(kernel, outputs[0][1])
        bound: dict[str, str | tuple[str, ...]] = {}
        for parameter, argument in operation.inputs.items():
            wanted = kernel.parameters[parameter]
            if wanted.many:
                bound[parameter] = names = tuple(self._name(binding) for binding in argument.arguments)
                self.by_name |= {name: self._tensor(name) for name in names if name in self.constants}
                continue
            name = self._only_name(parameter, argument)
            if name not in self.constants:
                bound[parameter] = name
            else:
                fixed[parameter] = wanted.convert(self.constants[name]) if wanted.convert else self._tensor(name)
        return Step(operation.type, kernel, fixed, bound, outputs)

    def _only_name(self, parameter: str, argument: Any) -> str:
        if len(argument.arguments) != 1:
            raise InvalidModel(f"{parameter} takes one value, got {len(argument.arguments)}")
        return self._name(argument.arguments[0])

    def _name(self, binding: Any) -> str:
        """The name of a value; a constant that is written in place gets one."""
        if binding.WhichOneof("binding") == "value":
            name = f"<constant {len(self.constants)}>"
            self.types[name], self.constants[name] = read_constant(binding.value, self.blobs)
            return name
        if binding.name not in self.types:
            raise InvalidModel(f"{binding.name!r} is used before it is computed, or never computed")
        return str(binding.name)

    def _tensor(self, name: str) -> torch.Tensor:
        if name not in self.tensors:
            self.tensors[name] = self.types[name].element.to_torch(self.constants[name])
        return self.tensors[name]


def _require(kernel: Kernel, given: Sequence[str]) -> None:
    missing = [name for name, parameter in kernel.parameters.items() if parameter.required and name not in given]
    if missing:
        raise InvalidModel(f"lacks {', '.join(missing)}")


def _defaults(kernel: Kernel, result: TensorType) -> dict[str, Any]:
    """Defaults of a program in half are numbers in half: an epsilon of 1e-12 is then zero."""
    floats = {n: p.default for n, p in kernel.parameters.items() if isinstance(p.default, float)}
    return {n: float(np.float16(v)) for n, v in floats.items()} if result.element is FLOAT16 else {}
