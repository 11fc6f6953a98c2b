"""Is it still right? Parity of exports with their originals, measured on faces.

Importing this package registers ``mil``, the interpreter that runs Core ML packages where there is no Core ML.
"""

from __future__ import annotations

from . import mil as mil
from .parity import TOLERANCES, Original, Parity, Tolerance, check_parity

__all__ = ["TOLERANCES", "Original", "Parity", "Tolerance", "check_parity"]
