"""The contract inside a model file: found by the standard library alone, whoever wrote the file, however hostile."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from pocketface.embedded import KEY, MAX_BYTES, append_zip, read_embedded, write_embedded
from pocketface.errors import InvalidModel

TEXT = '{"name": "Zoë 顔"}'
TFLITE = b"\x10\0\0\0TFL3" + bytes(range(64))


def onnx_bytes(props: dict[str, str]) -> bytes:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [value])
    model = helper.make_model(graph)
    helper.set_model_props(model, props)
    return model.SerializeToString()


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def mlpackage(folder: Path, model: bytes) -> Path:
    inner = folder / "net.mlpackage" / "Data" / "com.apple.CoreML"
    inner.mkdir(parents=True)
    (inner / "model.mlmodel").write_bytes(model)
    return folder / "net.mlpackage"


def coreml_bytes(props: dict[str, str]) -> bytes:
    """Model.description.metadata.userDefined, as Core ML's Model.proto numbers them."""
    entries = b"".join(field(100, field(1, k.encode()) + field(2, v.encode())) for k, v in props.items())
    return b"\x08\x07" + field(2, field(1, field(1, b"input")) + field(100, field(1, b"short") + entries))


def write(folder: Path, suffix: str, data: bytes) -> Path:
    path = folder / f"net{suffix}"
    path.write_bytes(data)
    return path


def test_onnx_written_by_onnx(tmp_path: Path) -> None:
    assert read_embedded(write(tmp_path, ".onnx", onnx_bytes({"other": "1", KEY: TEXT}))) == TEXT
    assert read_embedded(write(tmp_path, ".onnx", onnx_bytes({"other": "1"}))) is None


def test_tflite_followed_by_an_archive(tmp_path: Path) -> None:
    both = append_zip(TFLITE, TEXT)
    assert both.startswith(TFLITE)
    assert both == append_zip(TFLITE, TEXT)
    assert read_embedded(write(tmp_path, ".tflite", both)) == TEXT
    assert read_embedded(write(tmp_path, ".tflite", TFLITE)) is None
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("labels.txt", "face")
    assert read_embedded(write(tmp_path, ".tflite", TFLITE + other.getvalue())) is None


def test_mlpackage(tmp_path: Path) -> None:
    assert read_embedded(mlpackage(tmp_path / "a", coreml_bytes({"other": "1", KEY: TEXT}))) == TEXT
    assert read_embedded(mlpackage(tmp_path / "b", coreml_bytes({"other": "1"}))) is None


def test_mlpackage_written_by_coremltools(tmp_path: Path) -> None:
    code = (
        "import sys, coremltools as ct\n"
        "from coremltools.proto import Model_pb2\n"
        "spec = Model_pb2.Model(specificationVersion=7)\n"
        "spec.description.metadata.userDefined['other'] = '1'\n"
        f"spec.description.metadata.userDefined[{KEY!r}] = {TEXT!r}\n"
        "open(sys.argv[1], 'wb').write(spec.SerializeToString())\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "spec"], check=True, capture_output=True)
    assert read_embedded(mlpackage(tmp_path, (tmp_path / "spec").read_bytes())) == TEXT


def test_another_contract_is_put_into_onnx_and_all_else_stays(tmp_path: Path) -> None:
    for props in ({"other": "1", KEY: "old", "last": "2"}, {"other": "1"}):
        path = write(tmp_path, ".onnx", onnx_bytes(props))
        before = onnx.load(path)
        write_embedded(path, TEXT)
        assert read_embedded(path) == TEXT
        after = onnx.load(path)
        assert {p.key: p.value for p in after.metadata_props} == {**props, KEY: TEXT}
        for model in (before, after):
            del model.metadata_props[:]
        assert after == before
        again = path.read_bytes()
        write_embedded(path, TEXT)
        assert path.read_bytes() == again


def test_of_two_entries_with_our_key_one_is_left(tmp_path: Path) -> None:
    old = field(14, field(1, KEY.encode()) + field(2, b"old"))
    path = write(tmp_path, ".onnx", old + b"\x08\x07" + old)
    write_embedded(path, TEXT)
    assert path.read_bytes() == field(14, field(1, KEY.encode()) + field(2, TEXT.encode())) + b"\x08\x07"


def test_another_contract_is_put_behind_tflite_and_other_entries_stay(tmp_path: Path) -> None:
    labels = io.BytesIO()
    with zipfile.ZipFile(labels, "w") as archive:
        archive.writestr("labels.txt", "face")
    for before in (TFLITE, append_zip(TFLITE, "old" * 99), TFLITE + labels.getvalue()):
        path = write(tmp_path, ".tflite", before)
        write_embedded(path, TEXT)
        assert read_embedded(path) == TEXT
        assert path.read_bytes().startswith(TFLITE + b"PK")
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["labels.txt", f"{KEY}.json"]
        assert archive.read("labels.txt") == b"face"


def test_another_contract_is_put_into_a_package_and_coremltools_finds_it(tmp_path: Path) -> None:
    sound = coreml_bytes({"other": "1", KEY: "old"})
    bare = b"\x08\x07" + field(2, field(1, field(1, b"input")))
    for name, data in {"with": sound, "without": bare, "empty": b""}.items():
        path = mlpackage(tmp_path / name, data)
        write_embedded(path, TEXT)
        assert read_embedded(path) == TEXT
    code = (
        "import sys, pathlib; from coremltools.proto import Model_pb2\n"
        "told = Model_pb2.Model.FromString(pathlib.Path(sys.argv[1]).read_bytes()).description.metadata.userDefined\n"
        "print(ascii(sorted(told.items())))"
    )
    spec = tmp_path / "with" / "net.mlpackage" / "Data" / "com.apple.CoreML" / "model.mlmodel"
    told = subprocess.run([sys.executable, "-c", code, spec], check=True, capture_output=True, text=True).stdout
    assert told.strip() == ascii([("other", "1"), (KEY, TEXT)])


@pytest.mark.parametrize(("suffix", "data"), [(".onnx", b"\xff" * 64), (".tflite", b"PK" + TFLITE)])
def test_nothing_is_put_into_a_damaged_file(tmp_path: Path, suffix: str, data: bytes) -> None:
    path = write(tmp_path, suffix, data)
    with pytest.raises(InvalidModel, match="damaged"):
        write_embedded(path, TEXT)
    assert path.read_bytes() == data


def zipped(**info: object) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{KEY}.json", TEXT)
    data = bytearray(buffer.getvalue())
    central = data.rfind(b"PK\x01\x02")
    for offset, value in info.values():
        data[central + offset : central + offset + len(value)] = value
    return TFLITE + bytes(data)


HOSTILE = {
    "onnx: longer than the file": (".onnx", varint(14 << 3 | 2) + varint(1 << 40)),
    "onnx: 2**63 bytes": (".onnx", b"\x72" + b"\xff" * 9 + b"\x7f"),
    "onnx: endless number": (".onnx", b"\xff" * 64),
    "onnx: ends in a number": (".onnx", b"\x08\x80"),
    "onnx: ends in a fixed number": (".onnx", b"\x09\x01"),
    "onnx: group": (".onnx", b"\x0b"),
    "onnx: not UTF-8": (".onnx", field(14, field(1, KEY.encode()) + field(2, b"\xff\xfe"))),
    "onnx: too long": (".onnx", onnx_bytes({KEY: "x" * (MAX_BYTES + 1)})),
    "tflite: no identifier": (".tflite", b"PK" + TFLITE),
    "tflite: empty": (".tflite", b""),
    "tflite: not UTF-8": (".tflite", append_zip(TFLITE, "x").replace(b"x", b"\xff")),
    "tflite: checksum": (".tflite", append_zip(TFLITE, TEXT).replace(b"name", b"game")),
    "tflite: too long": (".tflite", append_zip(TFLITE, "x" * (MAX_BYTES + 1))),
    "tflite: claims 4 GB": (".tflite", zipped(size=(24, struct.pack("<I", 0xFFFFFFF0)))),
    "tflite: unknown compression": (".tflite", zipped(method=(10, b"\x63\0"))),
    "tflite: encrypted": (".tflite", zipped(flags=(8, b"\x01\0"))),
    "tflite: name not UTF-8": (".tflite", zipped(flags=(8, b"\0\x08"), name=(46, b"\xff"))),
    "tflite: entry outside": (".tflite", zipped(offset=(42, b"\xff\xff\xff\x7f"))),
}


@pytest.mark.parametrize(("suffix", "data"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_with_its_name_and_a_reason(tmp_path: Path, suffix: str, data: bytes) -> None:
    path = write(tmp_path, suffix, data)
    with pytest.raises(InvalidModel) as caught:
        read_embedded(path)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) > len(str(path)) + 20


@pytest.mark.parametrize("wrap", [lambda b: field(2, field(100, b)), lambda b: field(14, b)], ids=["coreml", "onnx"])
def test_deep_nesting_costs_nothing(tmp_path: Path, wrap: object) -> None:
    nested = b"x"
    for _ in range(20_000):
        nested = field(1, nested)
    assert read_embedded(write(tmp_path, ".onnx", wrap(nested))) is None
    assert read_embedded(mlpackage(tmp_path, wrap(nested))) is None


def test_a_package_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.mlpackage").mkdir()
    with pytest.raises(InvalidModel, match=r"no Data/com.apple.CoreML/model.mlmodel"):
        read_embedded(tmp_path / "net.mlpackage")


@pytest.mark.parametrize("suffix", [".onnx", ".tflite", ".mlpackage"])
def test_random_and_altered_bytes_raise_nothing_but_invalid_model(tmp_path: Path, suffix: str) -> None:
    sound = {
        ".onnx": onnx_bytes({KEY: TEXT}),
        ".tflite": append_zip(TFLITE, TEXT),
        ".mlpackage": coreml_bytes({KEY: TEXT}),
    }[suffix]
    package = mlpackage(tmp_path, sound)
    path = package if suffix == ".mlpackage" else tmp_path / f"net{suffix}"
    file = package / "Data/com.apple.CoreML/model.mlmodel" if suffix == ".mlpackage" else path
    for seed in range(1000):
        rng = random.Random(seed)
        data = bytearray(rng.randbytes(rng.randrange(200)) if seed % 4 == 0 else sound)
        for _ in range(seed % 8 if data else 0):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if suffix == ".tflite" and seed % 4 == 0:
            data[4:8] = b"TFL3"
        file.write_bytes(data[: rng.randrange(len(data) + 1)] if seed % 5 == 0 else data)
        try:
            text = read_embedded(path)
        except InvalidModel:
            continue
        assert text is None or isinstance(text, str)
