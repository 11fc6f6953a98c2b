"""Find and replace the contract inside a model file, with the standard library alone.

A phone's runtime, and ours, must be able to read a contract without onnx, flatbuffers or coremltools. Where it lies:

- ONNX: ``metadata_props["pocketface"]`` (ModelProto field 14)
- TFLite: ``pocketface.json`` in a ZIP archive that follows the flatbuffer, TFLite's own rule for associated files
- Core ML: ``userDefined["pocketface"]`` of the package's model description
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

from .errors import InvalidModel
from .wire import encode_field, fields, put

#: Name of the entry that holds the contract, in every format.
KEY = "pocketface"
#: Longest contract that is read, in bytes.
MAX_BYTES = 1 << 20


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


def write_embedded(path: Path, text: str) -> None:
    """Put a contract's JSON text into a model file, in the place of the one inside if there is one.

    Everything else in the file stays as it is, byte for byte. The file is overwritten: give a copy.

    Raises:
        InvalidModel: the file is damaged, so that the place cannot be found.
    """
    try:
        _WRITERS[path.suffix](path, text)
    except Exception as e:
        raise InvalidModel(f"{path}: damaged {path.suffix} file: {e}") from e


def append_zip(model: bytes, text: str, others: Sequence[tuple[zipfile.ZipInfo, bytes]] = ()) -> bytes:
    """TFLite bytes followed by a ZIP archive with the contract; the same input gives the same bytes.

    Args:
        model: the flatbuffer.
        text: the contract.
        others: entries that stand before it: labels and the like.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for info, content in others:
            archive.writestr(info, content)
        archive.writestr(zipfile.ZipInfo(f"{KEY}.json"), text)
    return model + buffer.getvalue()


def _onnx(path: Path) -> str | None:
    return _entry(_ONNX[0], memoryview(path.read_bytes()))


def _write_onnx(path: Path, text: str) -> None:
    path.write_bytes(put(memoryview(path.read_bytes()), _ONNX, _pair(text), _is_ours))


def _tflite(path: Path) -> str | None:
    data = _tflite_bytes(path)
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return None
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return _bounded(archive, f"{KEY}.json")


def _write_tflite(path: Path, text: str) -> None:
    data = _tflite_bytes(path)
    others, end = [], len(data)
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            others = [(entry, archive.read(entry)) for entry in entries if entry.filename != f"{KEY}.json"]
            end = min((entry.header_offset for entry in entries), default=archive.start_dir)
    path.write_bytes(append_zip(data[:end], text, others))


def _tflite_bytes(path: Path) -> bytes:
    data = path.read_bytes()
    if data[4:8] != b"TFL3":
        raise ValueError("no TFLite identifier at byte 4")
    return data


def _bounded(archive: zipfile.ZipFile, name: str) -> str | None:
    if name not in archive.namelist():
        return None
    if (size := archive.getinfo(name).file_size) > MAX_BYTES:
        raise ValueError(f"{name} has {size} bytes, at most {MAX_BYTES} are read")
    return archive.read(name).decode()


def _coreml(path: Path) -> str | None:
    description, metadata, entries = _COREML
    for field, described in fields(memoryview(_specification(path).read_bytes())):
        if field == description:
            for inner, told in fields(described):
                if inner == metadata:
                    return _entry(entries, told)
    return None


def _write_coreml(path: Path, text: str) -> None:
    model = _specification(path)
    model.write_bytes(put(memoryview(model.read_bytes()), _COREML, _pair(text), _is_ours))


def _specification(path: Path) -> Path:
    model = path / "Data" / "com.apple.CoreML" / "model.mlmodel"
    if not model.is_file():
        raise ValueError("no Data/com.apple.CoreML/model.mlmodel in it")
    return model


#: The numbers of the protobuf fields that lead to the repeated {1: key, 2: value} messages.
_ONNX, _COREML = (14,), (2, 100, 100)
_READERS = {".onnx": _onnx, ".tflite": _tflite, ".mlpackage": _coreml}
_WRITERS = {".onnx": _write_onnx, ".tflite": _write_tflite, ".mlpackage": _write_coreml}


def _entry(field: int, message: memoryview) -> str | None:
    """The value of our key among repeated {1: key, 2: value} messages of protobuf field ``field``."""
    for number, body in fields(message):
        if number == field and _is_ours(body):
            return bytes(dict(fields(body)).get(2, b"")).decode()
    return None


def _is_ours(entry: memoryview) -> bool:
    return bytes(dict(fields(entry)).get(1, b"")) == KEY.encode()


def _pair(text: str) -> bytes:
    return encode_field(1, KEY.encode()) + encode_field(2, text.encode())
