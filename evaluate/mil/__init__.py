"""Run a saved Core ML package on any machine: an interpreter of ML Programs.

It proves that converter, file and weights say what the network says; it cannot prove what Apple's kernels make of it,
for it computes with torch's. Importing this package adds the engine ``mil`` for Core ML files to those of
:mod:`pocketface.runtime.backends`, so that on Linux an ``.mlpackage`` can be run like any other model.
"""

from __future__ import annotations

from ...runtime.backends import register_backend
from .backend import MilBackend, load_mil
from .interpreter import Interpreter, open_package

__all__ = ["Interpreter", "MilBackend", "load_mil", "open_package"]

register_backend("mil", "coreml", load_mil)
