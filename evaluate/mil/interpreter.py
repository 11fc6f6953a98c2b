"""Run an ML Program: every step in order, every result in the type that the program declares for it.

What this proves, and what not: that converter, file and weights say what the network says, in float32 or in half with
every intermediate result rounded. It computes with torch's kernels and sums up in float32; Apple's kernels may add in
another order or in half, and their planner may run parts elsewhere. Only a device shows that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from ...errors import InvalidContract, InvalidModel, UnsupportedModel
from .elements import Array
from .images import ImageInput, image_inputs
from .package import Package
from .plan import Plan, Step
from .planner import make_plan
from .values import TensorType

Observer = Callable[[str, Array], None]


def open_package(path: Path) -> Interpreter:
    """Read an ``.mlpackage`` and plan its program.

    Raises:
        MissingExtra: coremltools is not installed.
        InvalidModel: the package is damaged or no ML Program.
        UnsupportedModel: the program does something that this interpreter does not know; all of it is named.
    """
    package = Package(path)
    try:
        images = image_inputs(package.spec.description)
        return Interpreter(make_plan(package.spec.mlProgram, package), images)
    except (InvalidModel, UnsupportedModel) as e:
        raise type(e)(f"{path}: {e}") from e


class Interpreter:
    """An ML Program, planned and ready to run.

    Attributes:
        inputs: name -> declared type. An image is fed as ``(1, H, W, 3) uint8`` RGB all the same.
        outputs: name -> declared type.
        images: name -> channel order, of those inputs that are images.
    """

    def __init__(self, plan: Plan, images: Mapping[str, ImageInput]) -> None:
        self._plan, self.images = plan, images
        self.inputs: Mapping[str, TensorType] = plan.inputs
        self.outputs: Mapping[str, TensorType] = plan.outputs

    @property
    def operations(self) -> tuple[str, ...]:
        """Types of the operations that a run computes, in the order of the program."""
        return tuple(step.op for step in self._plan.steps)

    @torch.no_grad()
    def run(self, feeds: Mapping[str, Array], observe: Observer | None = None) -> dict[str, Array]:
        """Run once.

        Args:
            feeds: input name -> array; images as ``(1, H, W, 3) uint8`` RGB, tensors in any type that converts safely.
            observe: called with the name and the value of every input and every result, in the order of the program.

        Returns:
            Output name -> a new array of the declared type.

        Raises:
            InvalidContract: an input that is missing, unknown, or of another shape or type.
            UnsupportedModel: a step that cannot be computed on these values.
        """
        values = dict(self._plan.constants)
        for name, tensor in self._fed(feeds).items():
            values[name] = tensor
            if observe:
                observe(name, self.inputs[name].element.to_numpy(tensor))
        for step in self._plan.steps:
            for (name, kind), tensor in zip(step.outputs, _compute(step, values), strict=True):
                values[name] = tensor
                if observe:
                    observe(name, kind.element.to_numpy(tensor))
            for name in step.dead:
                del values[name]
        return {name: kind.element.to_numpy(values[name]) for name, kind in self.outputs.items()}

    def values(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run once and return every input and every result by name, in the order of the program."""
        found: dict[str, Array] = {}
        self.run(feeds, found.__setitem__)
        return found

    def _fed(self, feeds: Mapping[str, Array]) -> dict[str, torch.Tensor]:
        if feeds.keys() != self.inputs.keys():
            raise InvalidContract(f"fed with {sorted(feeds)}, but the program takes {sorted(self.inputs)}")
        return {name: _feed(name, kind, feeds[name], self.images.get(name)) for name, kind in self.inputs.items()}


def _feed(name: str, kind: TensorType, array: Array, image: ImageInput | None) -> torch.Tensor:
    if image:
        array = image.planes(array)
    converts = array.dtype.kind in ("biuf" if kind.element.is_float else "biu")
    if not converts or not kind.fits(array.shape):
        raise InvalidContract(f"input {name!r} is {array.dtype} of shape {array.shape}, but the program takes {kind}")
    return kind.element.round(torch.tensor(array))


def _compute(step: Step, values: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
    """The results of a step, rounded to their types."""
    try:
        results = step.kernel.function(**step.fixed, **_arguments(step, values))
    except (RuntimeError, IndexError, ValueError, TypeError) as e:
        raise UnsupportedModel(f"{step.op} {step.outputs[0][0]!r} cannot be computed: {e}") from e
    except (InvalidModel, UnsupportedModel) as e:
        raise type(e)(f"{step.op} {step.outputs[0][0]!r}: {e}") from e
    several = results if isinstance(results, tuple) else (results,)
    if len(several) != len(step.outputs):
        raise InvalidModel(f"{step.op} {step.outputs[0][0]!r} gives {len(several)} results, not {len(step.outputs)}")
    rounded = [kind.element.round(r) for (_, kind), r in zip(step.outputs, several, strict=True)]
    for (name, kind), tensor in zip(step.outputs, rounded, strict=True):
        if not kind.fits(tuple(tensor.shape)):
            raise UnsupportedModel(f"{step.op} {name!r} gave shape {tuple(tensor.shape)}, the program declares {kind}")
    return rounded


def _arguments(step: Step, values: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for parameter, bound in step.bound.items():
        convert = step.kernel.parameters[parameter].convert
        if isinstance(bound, tuple):
            found[parameter] = [values[name] for name in bound]
        else:
            found[parameter] = convert(values[bound].numpy()) if convert else values[bound]
    return found
