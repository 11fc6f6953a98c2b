"""The networks, in torch: a registry, one file per family, and the algebra that folds them for deployment."""

from __future__ import annotations

from .registry import ModelSpec, create_model, list_models, model_spec, register_model
from .reparam import reparameterize

__all__ = ["ModelSpec", "create_model", "list_models", "model_spec", "register_model", "reparameterize"]
