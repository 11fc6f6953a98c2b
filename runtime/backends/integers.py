"""Inputs and outputs in 8 bits: the one place where they are made of numbers, and numbers of them.

A quantized tensor holds ``q``, and stands for ``scale * (q - zero_point)``. Scale and zero point are the file's own:
two files of one network differ in them, so nobody else may assume them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ...errors import UnsupportedModel
from .tensors import Array, Feeds


class Steps(NamedTuple):
    """What the integers of one tensor stand for."""

    scale: float
    zero_point: int
    dtype: np.dtype[Any]


def steps_of(details: Mapping[str, Any], model: str) -> dict[str, Steps]:
    """The quantized tensors among a signature's inputs or outputs, by name; those in float are left out.

    Args:
        details: as TensorFlow Lite's signature runners give them.
        model: for the error.

    Raises:
        UnsupportedModel: 8 bits without a scale, or with one for each channel.
    """
    found = {}
    for name, detail in details.items():
        dtype = np.dtype(detail["dtype"])
        if dtype.name not in ("int8", "uint8", "int16"):
            continue
        scales, zeros = (detail["quantization_parameters"][key] for key in ("scales", "zero_points"))
        if not len(scales) and dtype.name == "uint8":
            continue  # plain bytes, such as pixels
        if len(scales) != 1 or not scales[0] > 0:
            raise UnsupportedModel(f"{model}: {name!r} is {dtype} with {len(scales)} scales, expected one")
        found[name] = Steps(float(scales[0]), int(zeros[0]), dtype)
    return found


def quantize(feeds: Feeds, steps: Mapping[str, Steps]) -> dict[str, Array]:
    """Feeds as the file takes them: to the nearest step, halves to even, and what is out of range at its end."""
    return {name: np.ascontiguousarray(_integers(a, steps[name]) if name in steps else a) for name, a in feeds.items()}


def dequantize(outputs: Mapping[str, Array], steps: Mapping[str, Steps]) -> dict[str, Array]:
    """Outputs as numbers, float32."""
    return {name: _numbers(array, steps[name]) if name in steps else array for name, array in outputs.items()}


def _integers(array: Array, steps: Steps) -> Array:
    ends = np.iinfo(steps.dtype)
    nearest: Array = np.clip(np.rint(array / np.float32(steps.scale)) + steps.zero_point, ends.min, ends.max)
    return nearest.astype(steps.dtype)


def _numbers(array: Array, steps: Steps) -> Array:
    numbers: Array = (array.astype(np.float32) - steps.zero_point) * np.float32(steps.scale)
    return numbers
