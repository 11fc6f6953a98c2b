"""Golden vectors: what this runtime answers, for runtimes in other languages to be held to."""

from __future__ import annotations

from .files import read_vectors, schema, write_vectors
from .judge import faults
from .operations import OPERATIONS
from .pictures import Pictures
from .vectors import Case, Operation, Question

__all__ = [
    "OPERATIONS",
    "Case",
    "Operation",
    "Pictures",
    "Question",
    "faults",
    "read_vectors",
    "schema",
    "write_vectors",
]
