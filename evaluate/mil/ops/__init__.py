"""The operations that the interpreter knows; importing this package fills the table.

What each computes is said in the reference of the MIL builder (coremltools, ``converters/mil/mil/ops/defs``); where it
is silent or the runtimes are known to differ, an operation refuses.
"""

from __future__ import annotations

from ..kernels import KERNELS
from . import attention, convolution, elementwise, normalization, pooling, quantization, reduction, resize, shapes

__all__ = [
    "KERNELS",
    "attention",
    "convolution",
    "elementwise",
    "normalization",
    "pooling",
    "quantization",
    "reduction",
    "resize",
    "shapes",
]
