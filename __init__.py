"""pocketface: an on-device face SDK. Build, fold, quantize and export compact face models, run them, prove them equal.

The public names load on first use, so ``import pocketface`` costs nothing:

>>> import pocketface
>>> pocketface.__version__
'0.1.0'
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

#: Public name -> the module that defines it.
_PUBLIC: dict[str, str] = {
    "Artifact": ".artifact",
    "Decision": ".runtime.decision",
    "DetectedFace": ".runtime.detector",
    "Detector": ".runtime.detector",
    "Embedder": ".runtime.embedder",
    "Embedding": ".runtime.embedding",
    "Face": ".runtime.analyzer",
    "FaceAnalyzer": ".runtime.analyzer",
    "FakeBackend": ".runtime.backends",
    "ModelContract": ".contract",
    "Pose": ".runtime.detector",
    "compare": ".runtime.embedding",
    "load_artifact": ".artifact",
    "load_image": ".runtime.images",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name], __name__), name)
    raise AttributeError(f"module 'pocketface' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
