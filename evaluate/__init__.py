"""Is it still right? Accuracy of exported files in decisions, and parity of exports with their originals, on faces.

Importing this package registers ``mil``, the interpreter that runs Core ML packages where there is no Core ML. The
interpreter and parity compute with torch, which is loaded when one of them is used: the protocols need none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtra
from ..runtime.backends import Backend, register_backend

if TYPE_CHECKING:
    from ..artifact import Artifact
    from .parity import TOLERANCES, Original, Parity, Tolerance, check_parity

__all__ = ["TOLERANCES", "Original", "Parity", "Tolerance", "check_parity"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(".parity", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _load_mil(artifact: Artifact, threads: int | None = None) -> Backend:
    try:
        from .mil import load_mil
    except ModuleNotFoundError as e:
        raise MissingExtra(e.name or "torch", "export", "run a Core ML package without Core ML") from e
    return load_mil(artifact, threads)


register_backend("mil", "coreml", _load_mil)
