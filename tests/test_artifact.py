"""A model file loads only as it was written, and a file is written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pocketface.artifact import (
    atomic,
    content_digest,
    digest,
    discard_unfinished,
    load_artifact,
    replace_contract,
    sidecar_path,
    write_sidecar,
)
from pocketface.contract import InputSpec, ModelContract, Recognition
from pocketface.embedded import append_zip
from pocketface.errors import InvalidContract, InvalidModel, OutputError

TFLITE = b"\x10\0\0\0TFL3" + bytes(range(200))


def contract(**changes: object) -> ModelContract:
    values: dict[str, object] = {
        "model": "tiny",
        "task": Recognition(embedding_size=4),
        "input": InputSpec(name="image", layout="NHWC", height=112, width=112),
        "outputs": {"embedding": "embedding"},
        "fingerprint": "ab" * 32,
        "weights": "seeded:0",
        "trained": False,
    }
    return ModelContract(**{**values, **changes})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A .tflite with the contract inside and beside it."""
    path = tmp_path / "net.tflite"
    path.write_bytes(append_zip(TFLITE, contract().to_json()))
    write_sidecar(path, contract(), parent="cd" * 32)
    return path


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A .mlpackage with the contract beside it only."""
    path = tmp_path / "net.mlpackage"
    (path / "Data" / "com.apple.CoreML" / "weights").mkdir(parents=True)
    (path / "Manifest.json").write_text("{}")
    (path / "Data" / "com.apple.CoreML" / "model.mlmodel").write_bytes(b"\x08\x07")
    (path / "Data" / "com.apple.CoreML" / "weights" / "weight.bin").write_bytes(b"weights")
    write_sidecar(path, contract())
    return path


def test_loads_what_was_written(model: Path, package: Path) -> None:
    artifact = load_artifact(str(model))
    assert artifact.contract == contract()
    assert (artifact.path, artifact.format, artifact.parent) == (model, "tflite", "cd" * 32)
    assert artifact.size_bytes == model.stat().st_size
    assert load_artifact(package).format == "coreml"
    assert load_artifact(package).size_bytes == len("{}") + 2 + len("weights")


def test_a_file_without_its_sidecar_still_loads(model: Path) -> None:
    sidecar_path(model).unlink()
    assert load_artifact(model).contract == contract()
    assert load_artifact(model).parent is None


@pytest.mark.parametrize("at", [0, 100, -1])
def test_an_altered_byte_is_found(model: Path, at: int) -> None:
    data = bytearray(model.read_bytes())
    data[at] ^= 1
    model.write_bytes(data)
    with pytest.raises(InvalidModel, match=r"altered or truncated.*SHA-256.*export it again or copy it again"):
        load_artifact(model)


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_truncated_file_is_found_with_and_without_its_sidecar(model: Path, kept: int) -> None:
    model.write_bytes(model.read_bytes()[:kept])
    with pytest.raises(InvalidModel, match="altered or truncated"):
        load_artifact(model)
    sidecar_path(model).unlink()
    with pytest.raises(InvalidModel, match=r"no contract inside it or beside it|damaged"):
        load_artifact(model)


def test_every_change_to_a_package_is_found(package: Path) -> None:
    weights = package / "Data" / "com.apple.CoreML" / "weights" / "weight.bin"
    before, _ = digest(package)
    for change in (
        lambda: weights.write_bytes(b"weighty"),
        lambda: weights.rename(weights.with_name("other.bin")),
        lambda: (package / "extra").touch(),
    ):
        change()
        after, _ = digest(package)
        assert after != before
        before = after
        with pytest.raises(InvalidModel, match="altered"):
            load_artifact(package)


def test_contents_cannot_pass_for_another_file(tmp_path: Path) -> None:
    """What lies at the end of one file must not read like the name and content of the next."""
    two, one = tmp_path / "two", tmp_path / "one"
    two.mkdir()
    one.mkdir()
    (two / "a").write_bytes(b"")
    (two / "b").write_bytes(b"xy")
    (one / "a").write_bytes(b"b\0" + b"2\0" + b"xy")
    assert digest(two)[0] != digest(one)[0]


def test_a_digest_does_not_depend_on_the_place(model: Path, package: Path, tmp_path: Path) -> None:
    moved = package.rename(tmp_path / "renamed.mlpackage")
    assert load_artifact(model).sha256 == digest(model)[0]
    assert json.loads(sidecar_path(package).read_text())["sha256"] == digest(moved)[0]


def test_contracts_inside_and_beside_must_agree(model: Path) -> None:
    write_sidecar(model, contract(trained=True))
    with pytest.raises(InvalidContract, match=r"contract inside differs from the one in net.tflite.json"):
        load_artifact(model)


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000, "\xff", '{"contract": 1}', '{"unknown": 1}'])
def test_a_damaged_sidecar_is_refused(model: Path, text: str) -> None:
    sidecar_path(model).write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidContract, match=r"net.tflite.json: not a valid sidecar"):
        load_artifact(model)


def test_what_is_not_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").mkdir()
    (tmp_path / "net.mlpackage").write_text("x")
    (tmp_path / "bare.onnx").write_bytes(b"\x08\x07")
    for name, reason in {
        "net.pt": "unknown model format '.pt', expected one of .onnx, .tflite, .mlpackage",
        "gone.onnx": "no such model file",
        "net.onnx": "must be a folder, every other model a file",
        "net.mlpackage": "must be a folder, every other model a file",
        "bare.onnx": "no contract inside it or beside it (bare.onnx.json)",
    }.items():
        with pytest.raises(InvalidModel) as caught:
            load_artifact(tmp_path / name)
        assert reason in str(caught.value)
        assert str(tmp_path / name) in str(caught.value)


def test_an_unreadable_file_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pocketface.artifact.digest", denied)
    with pytest.raises(InvalidModel, match="cannot be read: Permission denied"):
        load_artifact(model)


def test_a_contract_that_could_not_be_read_back_is_not_written(model: Path) -> None:
    before = sidecar_path(model).read_bytes()
    with pytest.raises(InvalidContract):
        write_sidecar(model, contract(fingerprint="not a digest"))
    assert sidecar_path(model).read_bytes() == before


def test_another_contract_goes_inside_and_beside_and_names_its_parent(model: Path, package: Path) -> None:
    for path in (model, package):
        before = load_artifact(path)
        changed = replace_contract(before, contract(trained=True))
        assert load_artifact(path) == changed
        assert changed.contract == contract(trained=True)
        assert changed.parent == before.sha256 != changed.sha256
        sidecar_path(path).unlink()
        assert load_artifact(path).contract == changed.contract
    assert model.read_bytes().startswith(TFLITE)
    assert (package / "Data" / "com.apple.CoreML" / "weights" / "weight.bin").read_bytes() == b"weights"
    assert {p.name for p in model.parent.iterdir()} == {"net.tflite", "net.mlpackage"}


def test_a_contract_goes_only_into_the_file_that_was_loaded(model: Path) -> None:
    artifact = load_artifact(model)
    model.write_bytes(model.read_bytes() + b"\0")
    before = model.read_bytes()
    with pytest.raises(InvalidModel, match="altered since it was loaded"):
        replace_contract(artifact, contract(trained=True))
    with pytest.raises(InvalidContract):
        replace_contract(artifact, contract(fingerprint="not a digest"))
    assert model.read_bytes() == before


def test_an_interrupt_between_file_and_sidecar_leaves_a_file_that_loads(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    artifact = load_artifact(model)
    monkeypatch.setattr("pocketface.artifact.write_sidecar", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace_contract(artifact, contract(trained=True))
    assert load_artifact(model).contract == contract(trained=True)


def written(path: Path) -> object:
    return path.read_text() if path.is_file() else sorted(p.name for p in path.iterdir())


@pytest.fixture(params=["file", "folder"])
def standing(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file or folder that stands where something is about to be written."""
    path = tmp_path / "out" / "net.x"
    path.parent.mkdir()
    write(path, request.param, "old")
    return path


def write(path: Path, kind: str, content: str) -> None:
    if kind == "file":
        path.write_text(content)
    else:
        path.mkdir()
        (path / content).touch()


def test_atomic_replaces_a_file_or_a_folder(standing: Path) -> None:
    with atomic(standing) as temporary:
        assert temporary.suffix == standing.suffix
        write(temporary, "folder" if standing.is_dir() else "file", "new")
        assert "old" in str(written(standing))  # until the very end
    assert "new" in str(written(standing))
    assert [p.name for p in standing.parent.iterdir()] == ["net.x"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError, GeneratorExit])
def test_an_interrupt_leaves_nothing_and_the_old_stands(standing: Path, error: type[BaseException]) -> None:
    before = written(standing)

    def half_written() -> None:
        with atomic(standing) as temporary:
            write(temporary, "folder" if standing.is_dir() else "file", "half")
            raise error

    with pytest.raises(error):
        half_written()
    assert written(standing) == before
    assert [p.name for p in standing.parent.iterdir()] == ["net.x"]


def test_the_old_stands_where_nothing_new_was_written(standing: Path) -> None:
    before = written(standing)
    with pytest.raises(OutputError, match="cannot write"), atomic(standing):
        pass
    assert written(standing) == before
    assert [p.name for p in standing.parent.iterdir()] == ["net.x"]


def test_a_full_disk_is_an_output_error(standing: Path) -> None:
    before = written(standing)
    with pytest.raises(OutputError, match="No space left on device"), atomic(standing):
        raise OSError(28, os.strerror(28))
    assert written(standing) == before


def test_an_unwritable_place_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for target in (tmp_path / "file" / "net.x", tmp_path / ("n" * 300)):
        with pytest.raises(OutputError, match="cannot write to"), atomic(target):
            pytest.fail("it must not come to writing")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", denied)  # root, who runs many a CI, is denied nothing
    with pytest.raises(OutputError, match=f"cannot write to {tmp_path}: Permission denied"):
        write_sidecar(tmp_path / "file", contract())


def test_a_process_that_must_end_at_once_discards_what_is_unfinished(tmp_path: Path) -> None:
    (tmp_path / "net.x").write_text("old")
    with atomic(tmp_path / "net.x") as temporary:
        temporary.write_text("half")
        discard_unfinished()
        assert written(tmp_path) == ["net.x"]
        temporary.parent.mkdir()
        temporary.write_text("new")  # and one that goes on all the same may
    assert (tmp_path / "net.x").read_text() == "new"


def test_folders_are_made_on_the_way(tmp_path: Path) -> None:
    with atomic(tmp_path / "a" / "b" / "net.x") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a" / "b" / "net.x").read_text() == "new"


@pytest.mark.parametrize("kind", ["model", "package"])
def test_graph_and_weights_are_told_whatever_the_contract_says(kind: str, request: pytest.FixtureRequest) -> None:
    first = load_artifact(request.getfixturevalue(kind))
    before = content_digest(first)
    second = replace_contract(first, contract(license="MIT"))
    assert second.sha256 != first.sha256
    assert content_digest(second) == before
    assert content_digest(first) == first.sha256  # it is not what is there any more
    assert load_artifact(second.path) == second  # nothing was changed by asking
    weights = second.path / "Data" / "com.apple.CoreML" / "weights" / "weight.bin" if kind == "package" else second.path
    content = bytearray(weights.read_bytes())
    content[-1 if kind == "package" else 20] ^= 1
    weights.write_bytes(content)
    sidecar_path(second.path).unlink()
    assert content_digest(load_artifact(second.path)) != before
