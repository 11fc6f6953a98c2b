"""Open the folder of an ``.mlpackage``: manifest, model and weight files.

``Manifest.json`` names the model file below ``Data``; the model names its weight files relative to its own folder, as
``@model_path/weights/weight.bin``. Nothing outside the package is ever opened.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from ...errors import InvalidModel
from .blobs import BlobFile
from .elements import Array, Element
from .quiet import coremltools

_MODEL_PATH = "@model_path/"


class Package:
    """An ML Program on disk.

    Attributes:
        path: the package's folder.
        spec: its model, a ``Model`` message of Core ML.

    Raises:
        InvalidModel: no package, a damaged manifest or model, a path that leads out of the package, or a model that
            is not an ML Program.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._model = _model_file(path)
        self._files: dict[str, BlobFile] = {}
        self.spec = _parse(self._model)

    def blob(self, file: str, offset: int, element: Element, count: int) -> Array:
        """``(count,)`` elements of one blob of a weight file.

        Raises:
            InvalidModel: no such file or blob in the package.
        """
        if file not in self._files:
            if not file.startswith(_MODEL_PATH):
                raise InvalidModel(f"{self.path}: weight file {file!r} does not start with {_MODEL_PATH}")
            self._files[file] = BlobFile(_inside(self.path, self._model.parent, file.removeprefix(_MODEL_PATH)))
        return self._files[file].read(offset, element, count)


def _model_file(path: Path) -> Path:
    manifest = path / "Manifest.json"
    if not manifest.is_file():
        raise InvalidModel(f"{path}: no Manifest.json in it, so it is not an .mlpackage")
    try:
        content = json.loads(manifest.read_bytes())
        name = content["itemInfoEntries"][content["rootModelIdentifier"]]["path"]
    except (ValueError, KeyError, TypeError) as e:
        raise InvalidModel(f"{manifest}: does not name the model ({type(e).__name__}: {e})") from e
    if not isinstance(name, str):
        raise InvalidModel(f"{manifest}: the model's path must be text, got {name!r}")
    return _inside(path, path / "Data", name)


def _inside(package: Path, folder: Path, name: str) -> Path:
    """An existing file of the package, by a name that somebody else wrote."""
    file = folder / name
    try:
        if not file.resolve().is_relative_to(package.resolve()):
            raise InvalidModel(f"{package}: the path {name!r} leads out of the package")
        exists = file.is_file()
    except (OSError, ValueError) as e:  # longer than a path may be, or with a zero byte
        raise InvalidModel(f"{package}: {name!r} cannot be a path: {e}") from e
    if not exists:
        raise InvalidModel(f"{package}: there is no file {name!r} in it, which its manifest or program names")
    return file


def _parse(file: Path) -> Any:
    coremltools()  # its __init__ runs before its messages can be had, and must be quiet
    from coremltools.proto import Model_pb2

    spec = Model_pb2.Model()
    try:
        spec.ParseFromString(file.read_bytes())
    except import_module("google.protobuf.message").DecodeError as e:
        raise InvalidModel(f"{file}: damaged or truncated, not a Core ML model: {e}") from e
    if spec.WhichOneof("Type") != "mlProgram":
        raise InvalidModel(f"{file}: not an ML Program but of type {spec.WhichOneof('Type')}")
    return spec
