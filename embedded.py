"""Find the contract inside a model file, with the standard library alone.

A phone's runtime, and ours, must be able to read a contract without onnx, flatbuffers or coremltools. Where it lies:

- ONNX: ``metadata_props["pocketface"]`` (ModelProto field 14)
- TFLite: ``pocketface.json`` in a ZIP archive that follows the flatbuffer, TFLite's own rule for associated files
- Core ML: ``userDefined["pocketface"]`` of the package's model description
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from .errors import InvalidModel

#: Name of the entry that holds the contract, in every format.
KEY = "pocketface"
#: Longest contract that is read, in bytes.
MAX_BYTES = 1 << 20

Wire = tuple[int, memoryview]


def read_embedded(path: Path) -> str | None:
    """The contract's JSON text inside a ``.onnx``, ``.tflite`` or ``.mlpackage``, or None where there is none.

    Raises:
        InvalidModel: the file is damaged, so that the search cannot be finished.
    """
    try:
        text = _READERS[path.suffix](path)
    except Exception as e:  # a hostile archive makes zipfile and zlib raise a dozen types without a common base
        raise InvalidModel(f"{path}: damaged {path.suffix} file: {e}") from e
    if text is not None and len(text) > MAX_BYTES:
        raise InvalidModel(f"{path}: its contract has {len(text)} characters, at most {MAX_BYTES} are read")
    return text


def append_zip(model: bytes, text: str) -> bytes:
    """TFLite bytes followed by a ZIP archive with the contract; the same input gives the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"{KEY}.json"), text)
    return model + buffer.getvalue()


def _onnx(path: Path) -> str | None:
    return _entry(14, memoryview(path.read_bytes()))


def _tflite(path: Path) -> str | None:
    data = path.read_bytes()
    if data[4:8] != b"TFL3":
        raise ValueError("no TFLite identifier at byte 4")
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return None
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return _bounded(archive, f"{KEY}.json")


def _bounded(archive: zipfile.ZipFile, name: str) -> str | None:
    if name not in archive.namelist():
        return None
    if (size := archive.getinfo(name).file_size) > MAX_BYTES:
        raise ValueError(f"{name} has {size} bytes, at most {MAX_BYTES} are read")
    return archive.read(name).decode()


def _coreml(path: Path) -> str | None:
    model = path / "Data" / "com.apple.CoreML" / "model.mlmodel"
    if not model.is_file():
        raise ValueError("no Data/com.apple.CoreML/model.mlmodel in it")
    for field, description in _fields(memoryview(model.read_bytes())):
        if field == 2:
            for inner, metadata in _fields(description):
                if inner == 100:
                    return _entry(100, metadata)
    return None


_READERS = {".onnx": _onnx, ".tflite": _tflite, ".mlpackage": _coreml}


def _entry(field: int, message: memoryview) -> str | None:
    """The value of our key among repeated {1: key, 2: value} messages of protobuf field ``field``."""
    for number, body in _fields(message):
        if number == field:
            pair = dict(_fields(body))
            if bytes(pair.get(1, b"")) == KEY.encode():
                return bytes(pair.get(2, b"")).decode()
    return None


#: Wire types of fixed size -> bytes.
_FIXED = {1: 8, 5: 4}


def _fields(message: memoryview) -> Iterator[Wire]:
    """Number and content of a protobuf message's length-delimited fields; the others are passed over."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            _, at = _varint(message, at)
            continue
        if kind == 2:
            size, at = _varint(message, at)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise ValueError(f"wire type {kind} is not protobuf")
        if at + size > len(message):
            raise ValueError(f"a field claims {size} bytes, {len(message) - at} are left")
        if kind == 2:
            yield tag >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number has more than ten bytes")
