"""What an app might do to a golden picture on its way into the model, each as a function of our own pipeline.

A change replaces one step: how the picture is cut (``cut``), what is done to where its pixels lie (``pixels``) and to
their values (``colors``), which mean and std are applied (``spec``), how the tensor is filled (``tensor``). Changes of
different steps can be combined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...contract import InputSpec, ModelContract, Recognition
from ..faces import Image
from .cuts import Cut, detection_cuts, recognition_cuts

#: Mean and std, for 0..255, that networks of this field were trained with.
KNOWN = {
    "0..255": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "0..1": ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
    "-1..1": ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "ImageNet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}


@dataclass(frozen=True)
class Change:
    """One departure from what the contract says.

    Attributes:
        fault: its name in ``FAULTS``.
        detail: which variant of it.
        cut: portrait, contract -> picture of the model's size, and the scale (x, y) that it was cut with.
        pixels: ``(N, H, W, 3)`` RGB -> the same shape; what is done to where they lie.
        colors: likewise; what is done to their values.
        spec: mean and std to apply instead of the contract's.
        tensor: the laid-out tensor -> one of the same shape.
    """

    fault: str
    detail: str
    cut: Cut | None = None
    pixels: Callable[[Image], Image] | None = None
    colors: Callable[[Image], Image] | None = None
    spec: Callable[[InputSpec], InputSpec] | None = None
    tensor: Callable[[NDArray[Any]], NDArray[Any]] | None = None

    @property
    def step(self) -> str:
        """The one step that it replaces."""
        return next(name for name in ("cut", "pixels", "colors", "spec", "tensor") if getattr(self, name))


#: Changes of different steps, all made at once; the empty one is what the contract says.
Changes = tuple[Change, ...]


def input_changes(contract: ModelContract) -> list[Change]:
    """Everything that an app might do wrong before this model."""
    cuts = recognition_cuts() if isinstance(contract.task, Recognition) else detection_cuts()
    changes = [Change(fault, detail, cut=cut) for fault, detail, cut in cuts]
    changes.append(Change("channels swapped", "red for blue", colors=lambda images: images[..., ::-1]))
    blank = Change("blank input", "all zeros", colors=np.zeros_like)
    if isinstance(contract.task, Recognition):  # a detector's picture is mirrored or turned before it is letterboxed
        changes += [Change(fault, detail, pixels=function) for fault, detail, function in _PIXELS]
    if contract.input.layout == "image" or contract.input.dtype == "uint8":
        return [*changes, blank]  # an image type fixes values and layout: there is nothing to get wrong
    layout = Change("layout confused", f"the other layout in {contract.input.layout}", tensor=_other_layout)
    return [*changes, *_value_changes(contract.input), layout, blank]


def combine(changes: Sequence[Change], other: Change) -> Changes | None:
    """The changes and one more; None where it replaces a step that is already replaced."""
    return None if any(c.step == other.step for c in changes) else (*changes, other)


def _value_changes(spec: InputSpec) -> list[Change]:
    """Other ranges of values than the contract's, named by what that means for this contract."""
    plain = _is(spec, *KNOWN["0..255"])
    found = []
    for name, (mean, std) in KNOWN.items():
        if _is(spec, mean, std):
            continue
        fault = "normalisation doubled" if plain else "wrong normalisation"
        fault = "normalisation missing" if name == "0..255" else fault
        found.append(Change(fault, f"values {name}", spec=_with(mean, std)))
    if not plain:  # (x - m) / s once more: (x - (m + m s)) / s²
        twice = tuple(m + m * s for m, s in zip(spec.mean, spec.std, strict=True))
        square = tuple(s * s for s in spec.std)
        found.append(Change("normalisation doubled", "mean and std twice", spec=_with(twice, square)))
    return found


def _is(spec: InputSpec, mean: Sequence[float], std: Sequence[float]) -> bool:
    return np.allclose(spec.mean, mean, atol=2) and np.allclose(spec.std, std, rtol=0.02)


def _with(mean: Sequence[float], std: Sequence[float]) -> Callable[[InputSpec], InputSpec]:
    return lambda spec: msgspec.structs.replace(spec, mean=tuple(mean), std=tuple(std))


def _other_layout(tensor: NDArray[Any]) -> NDArray[Any]:
    """The same bytes, as someone leaves them who takes the last axis for the channels, or the first."""
    axes = (0, 2, 3, 1) if tensor.shape[1] == 3 else (0, 3, 1, 2)
    return np.ascontiguousarray(tensor.transpose(axes)).reshape(tensor.shape)


_PIXELS: tuple[tuple[str, str, Callable[[Image], Image]], ...] = (
    ("mirrored", "left for right", lambda images: images[:, :, ::-1]),
    ("turned", "by 90° to the left", lambda images: _turned(images, 1)),
    ("turned", "by 180°", lambda images: _turned(images, 2)),
    ("turned", "by 90° to the right", lambda images: _turned(images, 3)),
)


def _turned(images: Image, quarters: int) -> Image:
    """Square crops turned; others, which a quarter turn would reshape, are stretched to the nearest pixel."""
    turned = np.rot90(images, quarters, axes=(1, 2))
    rows, columns = (np.arange(n) * m // n for n, m in zip(images.shape[1:3], turned.shape[1:3], strict=True))
    return turned[:, rows][:, :, columns]
