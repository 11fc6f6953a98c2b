"""The golden vectors are what this runtime answers, made by one command to the same bytes, and small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from pocketface.evaluate.golden import OPERATIONS, Operation, Pictures, Question, faults, read_vectors, schema
from pocketface.evaluate.golden.pictures import encode_png

VECTORS = Path(__file__).resolve().parents[2] / "bindings" / "golden" / "vectors"
LIMIT_BYTES = 3_000_000
each = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


@each
def test_the_runtime_answers_so(operation: Operation) -> None:
    """Only the question is read; the answer is made anew from it."""
    committed = Pictures(VECTORS / "pictures")
    cases = read_vectors(VECTORS, operation)
    assert cases
    for case in cases:
        drawn = Pictures(VECTORS / "pictures")
        answer = operation.case(Question(case.name, case.why, case.given), drawn)
        assert faults(case, answer, committed, drawn) == []


def test_the_command_writes_the_same_bytes(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "pocketface.evaluate.golden", tmp_path / "vectors"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    folders = tmp_path / "vectors", VECTORS
    made, committed = ({p.relative_to(f): p.read_bytes() for p in f.rglob("*.*")} for f in folders)
    assert made.keys() == committed.keys()
    assert [name for name in made if made[name] != committed[name]] == []


def test_they_are_small() -> None:
    assert sum(file.stat().st_size for file in VECTORS.parent.rglob("*") if file.is_file()) < LIMIT_BYTES


def test_the_index_names_every_file() -> None:
    index = msgspec.json.decode((VECTORS / "index.json").read_bytes())
    assert index["vectors"] == [f"{operation.name}.json" for operation in OPERATIONS]
    assert {*index["vectors"], "index.json", "schema.json"} == {file.name for file in VECTORS.glob("*.json")}
    assert index["pictures"] == sorted(file.name for file in (VECTORS / "pictures").iterdir())


def test_no_picture_is_left_over_and_none_is_missing() -> None:
    text = "".join((VECTORS / f"{operation.name}.json").read_text() for operation in OPERATIONS)
    assert all(f'"{file.name}"' in text for file in (VECTORS / "pictures").iterdir())


def test_the_schema_describes_every_operation() -> None:
    committed = msgspec.json.decode((VECTORS / "schema.json").read_bytes())
    assert committed == msgspec.json.decode(msgspec.json.encode(schema()))
    described = {root["$ref"].rpartition("/")[2] for root in schema()["oneOf"]}
    assert described == {f"{operation.name}_vectors" for operation in OPERATIONS}


@each
def test_every_answer_states_its_tolerance(operation: Operation) -> None:
    cases = read_vectors(VECTORS, operation)
    assert len({case.name for case in cases}) == len(cases)
    for case in cases:
        assert (case.expected is msgspec.UNSET) == bool(case.error)
        if not case.error:
            told, inner = set(msgspec.to_builtins(case.expected)), {"box", "score", "landmarks", "rotation", "pose"}
            assert set(case.tolerance) == (inner if operation.name == "detect" else told)


def test_a_file_that_is_not_as_the_schema_says_is_refused(tmp_path: Path) -> None:
    gate = next(operation for operation in OPERATIONS if operation.name == "gate")
    text = (VECTORS / "gate.json").read_text()
    spoiled = (
        ('"side_px"', '"side"'),
        ('"operation":"gate"', '"operation":"nms"'),
        ('"refused":"size"', '"refused":1'),
    )
    for old, new in spoiled:
        (tmp_path / "gate.json").write_text(text.replace(old, new))
        with pytest.raises(msgspec.ValidationError):
            read_vectors(tmp_path, gate)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (150, 200)])
def test_pictures_are_png_that_others_read(size: tuple[int, int], tmp_path: Path) -> None:
    """The largest needs several blocks of 65535 bytes."""
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    (tmp_path / "a.png").write_bytes(encode_png(image))
    with Image.open(tmp_path / "a.png") as read:
        assert read.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(read), image)
