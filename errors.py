"""The exception tree. Every error that pocketface raises on purpose is one of these.

    PocketfaceError
    ├── InvalidData       a data set, a list or an annotation that is missing, malformed or empty
    ├── InvalidImage      a picture that cannot be read, or has the wrong shape, type or size
    ├── InvalidGeometry   landmarks, boxes or rotations of the wrong shape, not finite, or degenerate
    ├── InvalidContract   a contract with an unknown key or version, or values that do not fit together
    ├── InvalidModel      a model file that is missing, truncated, altered, or without a contract
    ├── UnsupportedModel  a sound file that the engine at hand cannot run, or would run wrongly
    ├── EmbeddingMismatch two embeddings that different networks made, which cannot be compared
    ├── MissingExtra      a package that an optional extra brings is not installed
    ├── ExportError       a network that cannot be converted, or whose export does not prove itself
    │   └── ParityError   an export that departs from the network it came from
    ├── TrainingError     a training that diverged
    ├── DeviceError       a phone that cannot be reached or used, or a program that failed on it
    └── OutputError       a result that could not be written

A message says what came, what was expected, and what to do. The command line prints it in one line
and exits with status 1; anything else that escapes is a bug.
"""

from __future__ import annotations

__all__ = [
    "DeviceError",
    "EmbeddingMismatch",
    "ExportError",
    "InvalidContract",
    "InvalidData",
    "InvalidGeometry",
    "InvalidImage",
    "InvalidModel",
    "MissingExtra",
    "OutputError",
    "ParityError",
    "PocketfaceError",
    "TrainingError",
    "UnsupportedModel",
]


class PocketfaceError(Exception):
    """The root of the tree."""


class InvalidData(PocketfaceError):
    """A data set, a list of pairs or an annotation file that is missing, malformed or empty."""


class InvalidImage(PocketfaceError):
    """A picture that cannot be read, or an array that is not ``(H, W, 3) uint8`` RGB."""


class InvalidGeometry(PocketfaceError):
    """Landmarks, boxes or rotations of the wrong shape, with NaN, or too degenerate to compute with."""


class InvalidContract(PocketfaceError):
    """A model contract with an unknown key or version, or values that do not fit together."""


class InvalidModel(PocketfaceError):
    """A model file that is missing, truncated, altered since it was written, or without a contract."""


class UnsupportedModel(PocketfaceError):
    """A sound model file that the chosen engine cannot run, or would run wrongly."""


class EmbeddingMismatch(PocketfaceError):
    """Two embeddings that different networks made: their cosine would mean nothing."""


class MissingExtra(PocketfaceError):
    """A package that comes with an optional extra is not installed.

    Args:
        package: name of the missing package, as pip knows it.
        extra: the pocketface extra that brings it; None for a package that pocketface itself requires.
        purpose: what it is needed for, completing "needed to ...".
    """

    def __init__(self, package: str, extra: str | None, purpose: str) -> None:
        wanted = f"'pocketface[{extra}]'" if extra else package
        super().__init__(f"{package} is needed to {purpose}: pip install {wanted}")
        self.package, self.extra = package, extra


class ExportError(PocketfaceError):
    """A network that cannot be converted, or whose export does not prove itself."""


class ParityError(ExportError):
    """An export whose outputs depart from the network it came from by more than the tolerance."""


class TrainingError(PocketfaceError):
    """A training that diverged: its loss is not finite any more."""


class DeviceError(PocketfaceError):
    """A phone that cannot be reached or used, or a program that failed on it."""


class OutputError(PocketfaceError):
    """A result that could not be written: no such folder, no permission, a full disk."""
