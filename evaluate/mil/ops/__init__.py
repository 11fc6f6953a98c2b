"""The operations that the interpreter knows; importing this package fills the table in :mod:`..kernels`.

What each computes is said in the reference of the MIL builder (coremltools, ``converters/mil/mil/ops/defs``); where it
is silent or the runtimes are known to differ, an operation refuses.
"""

from __future__ import annotations

from . import attention, convolution, elementwise, normalization, pooling, quantization, reduction, resize, shapes

__all__ = [
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
