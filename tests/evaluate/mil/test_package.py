"""Packages that are damaged, hostile or of another kind are refused with the reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb  # noqa: N813
from coremltools.proto import Model_pb2

from pocketface.errors import InvalidContract, InvalidModel, UnsupportedModel
from pocketface.evaluate.mil import open_package

MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"


def edit_manifest(package: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    manifest = json.loads((package / "Manifest.json").read_text())
    change(manifest)
    (package / "Manifest.json").write_text(json.dumps(manifest))


def edit_model(package: Path, change: Callable[[Any], Any]) -> None:
    spec = Model_pb2.Model()
    spec.ParseFromString((package / MODEL).read_bytes())
    change(spec)
    (package / MODEL).write_bytes(spec.SerializeToString())


def block(spec: Any) -> Any:
    function = spec.mlProgram.functions["main"]
    return function.block_specializations[function.opset]


def operation(spec: Any, op: str) -> Any:
    return next(o for o in block(spec).operations if o.type == op)


def in_model(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    return lambda package: edit_model(package, change)


def weight_of(spec: Any) -> Any:
    return next(
        o.attributes["val"]
        for o in block(spec).operations
        if o.attributes["val"].WhichOneof("value") == "blobFileValue"
    )


def relocate(path: Any) -> Callable[[Path], None]:
    def change(manifest: dict[str, Any]) -> None:
        manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"] = path

    return lambda package: edit_manifest(package, change)


def rewrite(file: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def write(package: Path) -> None:
        (package / file).write_bytes(change((package / file).read_bytes()))

    return write


def blob(name: str, value: Any) -> Callable[[Path], None]:
    return in_model(lambda spec: setattr(weight_of(spec).blobFileValue, name, value))


def weight_type(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    return in_model(lambda spec: change(weight_of(spec).type.tensorType))


def add_result(spec: Any) -> None:
    block(spec).operations[0].outputs.add().CopyFrom(operation(spec, "relu").outputs[0])


def relu(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    return in_model(lambda spec: change(operation(spec, "relu")))


def main(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    return in_model(lambda spec: change(spec.mlProgram.functions["main"]))


SENTINEL = b"\xef\xbe\xad\xde"
DAMAGE: list[tuple[str, Callable[[Path], Any], str]] = [
    ("no manifest", lambda p: (p / "Manifest.json").unlink(), "no Manifest.json"),
    ("manifest not JSON", rewrite("Manifest.json", lambda _: b"{"), "does not name the model"),
    ("manifest without root", rewrite("Manifest.json", lambda _: b"{}"), "does not name the model"),
    ("manifest of a list", rewrite("Manifest.json", lambda _: b"[1]"), "does not name the model"),
    ("no model", lambda p: (p / MODEL).unlink(), "there is no file"),
    ("path upwards", relocate("../../other/model.mlmodel"), "leads out of the package"),
    ("absolute path", relocate("/etc/hostname"), "leads out of the package"),
    ("a zero byte in a path", relocate("model\0"), "cannot be a path"),
    ("a path too long", relocate("m" * 5000), "cannot be a path"),
    ("path of another type", relocate(7), "must be text"),
    ("truncated model", rewrite(MODEL, lambda data: data[:-9]), "damaged or truncated"),
    ("empty model", rewrite(MODEL, lambda _: b""), "not an ML Program but of type None"),
    ("another model", in_model(lambda s: s.neuralNetwork.SetInParent()), "not an ML Program but of type neuralNetwork"),
    ("no weights", lambda p: (p / WEIGHTS).unlink(), "there is no file"),
    ("truncated weights", rewrite(WEIGHTS, lambda data: data[:-4]), "truncated"),
    ("wrong sentinel", rewrite(WEIGHTS, lambda data: data.replace(SENTINEL, b"None")), "sentinel"),
    ("offset past the end", blob("offset", 1 << 40), "the file ends at"),
    ("weights upwards", blob("fileName", "@model_path/../../../x"), "leads out"),
    ("weights elsewhere", blob("fileName", "/etc/hostname"), "does not start with"),
    ("unknown element type", weight_type(lambda t: setattr(t, "dataType", 99)), "element type 99"),
    ("huge weight", weight_type(lambda t: setattr(t.dimensions[0].constant, "size", 1 << 50)), "the program declares"),
    ("rank without dimensions", weight_type(lambda t: setattr(t, "rank", 9)), "rank 9"),
    ("never computed", relu(lambda o: setattr(o.inputs["x"].arguments[0], "name", "no")), "'no' is used before"),
    ("two values for one", relu(lambda o: o.inputs["x"].arguments.add(name="x")), "x takes one value, got 2"),
    ("name given twice", relu(lambda o: setattr(o.outputs[0], "name", "x")), "name that is already taken"),
    ("no result", relu(lambda o: o.outputs.pop()), "it has no result"),
    ("constant without value", in_model(lambda s: block(s).operations[0].attributes.pop("val")), "lacks val"),
    ("two results for one", in_model(add_result), "2 are declared"),
    ("output unknown", in_model(lambda s: block(s).outputs.append("no")), "output 'no' is never computed"),
    ("operand missing", in_model(lambda s: operation(s, "conv").inputs.pop("weight")), "lacks weight"),
    ("no block for the opset", main(lambda f: setattr(f, "opset", "CoreML99")), "no block"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "reason"), [pytest.param(d, r, id=name) for name, d, r in DAMAGE])
def test_damage_is_refused_with_its_reason(package: Path, damage: Callable[[Path], Any], reason: str) -> None:
    open_package(package)
    damage(package)
    with pytest.raises(InvalidModel, match=reason):
        open_package(package)


def test_a_link_that_leads_out_is_refused(package: Path, tmp_path: Path) -> None:
    shutil.move(package / WEIGHTS, tmp_path / "elsewhere.bin")
    (package / WEIGHTS).symlink_to(tmp_path / "elsewhere.bin")
    with pytest.raises(InvalidModel, match="leads out of the package"):
        open_package(package)


def test_constants_must_have_as_many_elements_as_declared(package: Path) -> None:
    def lengthen(spec: Any) -> None:
        names = {o.outputs[0].name: o for o in block(spec).operations if o.type == "const"}
        strides = names[operation(spec, "conv").inputs["strides"].arguments[0].name]
        strides.attributes["val"].immediateValue.tensor.ints.values.append(1)

    edit_model(package, lengthen)
    with pytest.raises(InvalidModel, match=r"int32\(2\) has 3 elements"):
        open_package(package)


def test_all_unknown_operations_are_named_at_once(save: Any, tmp_path: Path) -> None:
    def program(x: Any) -> Any:
        return mb.cumsum(x=mb.band_part(x=mb.relu(x=mb.cumsum(x=x))))

    path = save(tmp_path / "net.mlpackage", program, [(1, 3, 4, 4)])
    with pytest.raises(UnsupportedModel, match=r"does not know: cumsum, band_part$"):
        open_package(path)


def test_an_unknown_argument_or_attribute_is_refused(package: Path) -> None:
    def add(spec: Any) -> None:
        conv = operation(spec, "conv")
        conv.inputs["mode"].CopyFrom(conv.inputs["pad_type"])
        conv.attributes["fast"].CopyFrom(conv.attributes["name"])

    edit_model(package, add)
    with pytest.raises(UnsupportedModel, match=r"conv\(mode=\), conv\(fast=\)"):
        open_package(package)


def test_blocks_inside_an_operation_are_refused(package: Path) -> None:
    edit_model(package, lambda spec: operation(spec, "relu").blocks.add())
    with pytest.raises(UnsupportedModel, match="relu with blocks"):
        open_package(package)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s.mlProgram.functions["other"].CopyFrom(s.mlProgram.functions.pop("main")), r"only \['other'\]"),
        (lambda s: s.description.functions.add(name="embed"), r"functions \['embed'\]"),
        (lambda s: setattr(weight_of(s).type.tensorType, "dataType", 12), "float64"),
        (lambda s: setattr(s.mlProgram.functions["main"].inputs[0].type.tensorType, "dataType", 13), "bfloat16"),
        (lambda s: s.mlProgram.functions["main"].inputs[0].type.listType.SetInParent(), "listType"),
    ],
)
def test_what_is_sound_but_unknown_is_refused(package: Path, change: Callable[[Any], Any], reason: str) -> None:
    edit_model(package, change)
    with pytest.raises(UnsupportedModel, match=reason):
        open_package(package)


def test_a_declared_shape_that_is_not_computed_is_refused(package: Path) -> None:
    def shrink(spec: Any) -> None:
        operation(spec, "relu").outputs[0].type.tensorType.dimensions[3].constant.size = 4

    edit_model(package, shrink)
    interpreter = open_package(package)
    with pytest.raises(
        UnsupportedModel, match=r"gave shape \(1, 4, 3, 5\), the program declares float32\(1, 4, 3, 4\)"
    ):
        interpreter.run({"x": np.zeros((1, 3, 5, 7))})


@pytest.mark.parametrize("file", [MODEL, WEIGHTS, "Manifest.json"])
def test_a_damaged_byte_is_harmless_or_refused(package: Path, file: str) -> None:
    """Wherever a byte is damaged, nothing else than our own two errors comes of it."""
    sound = (package / file).read_bytes()
    refused = 0
    for at in range(0, len(sound), 7):
        (package / file).write_bytes(sound[:at] + bytes([sound[at] ^ (1 << at % 8)]) + sound[at + 1 :])
        try:
            open_package(package).run({"x": np.ones((1, 3, 5, 7))})
        except (InvalidModel, UnsupportedModel, InvalidContract):
            refused += 1
    assert refused
