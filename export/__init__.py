"""From a network in torch to files that phones run, each proven on faces before it gets its name."""

from __future__ import annotations

from .pipeline import Exported, export_model, original_of
from .prepare import BuiltModel, build_model

__all__ = ["BuiltModel", "Exported", "build_model", "export_model", "original_of"]
