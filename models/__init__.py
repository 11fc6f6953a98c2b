"""The networks, in torch: a registry, one file per family, and the algebra that folds them for deployment."""

from __future__ import annotations

from ..errors import MissingExtra

try:
    import torch  # noqa: F401
except ModuleNotFoundError as e:
    raise MissingExtra("torch", "export", "build networks") from e

from . import facelivt, facelivtv2, mobilefacenet, mos, recognizability  # noqa: F401  (importing a family registers its networks)
from .checkpoint import average_weights, save_weights
from .count import macs, parameters
from .layout import channels_last
from .registry import ModelSpec, create_model, list_models, model_spec, register_model
from .reparam import reparameterize

__all__ = [
    "ModelSpec",
    "average_weights",
    "channels_last",
    "create_model",
    "list_models",
    "macs",
    "model_spec",
    "parameters",
    "register_model",
    "reparameterize",
    "save_weights",
]
