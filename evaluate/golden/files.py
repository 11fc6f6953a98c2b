"""The folder of golden vectors: one JSON file for each operation, the pictures, a list of both and a schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ... import contract
from ...artifact import atomic
from .operations import OPERATIONS
from .pictures import Pictures, encode_png
from .vectors import Case, Operation

SCHEMA = "https://json-schema.org/draft/2020-12/schema"


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in the folder: a program that cannot list it begins here."""

    vectors: tuple[str, ...]
    pictures: tuple[str, ...]


def write_vectors(folder: Path) -> dict[str, int]:
    """Ask this runtime everything and write questions and answers to a folder; whole or not at all.

    Returns:
        Operation -> number of cases.

    Raises:
        OutputError: the folder cannot be written to.
    """
    pictures = Pictures()
    cases = {operation.name: tuple(operation.cases(pictures)) for operation in OPERATIONS}
    index = Index(tuple(f"{name}.json" for name in cases), tuple(sorted(pictures.drawn)))
    with atomic(folder) as temporary:
        (temporary / "pictures").mkdir(parents=True)
        for name, rows in cases.items():
            (temporary / f"{name}.json").write_bytes(_lines(name, rows))
        for name, image in pictures.drawn.items():
            (temporary / "pictures" / name).write_bytes(encode_png(image))
        for name, content in (("index", msgspec.json.encode(index)), ("schema", msgspec.json.encode(schema()))):
            (temporary / f"{name}.json").write_bytes(msgspec.json.format(content, indent=1) + b"\n")
    return {name: len(rows) for name, rows in cases.items()}


def read_vectors(folder: Path, operation: Operation) -> tuple[Case[Any, Any], ...]:
    """The cases of an operation; msgspec's errors where the file is not what the schema says."""
    content = (folder / f"{operation.name}.json").read_bytes()
    return msgspec.json.decode(content, type=operation.file_type).cases  # type: ignore[attr-defined, no-any-return]


def schema() -> dict[str, Any]:
    """JSON Schema of the files, one of which each must match."""
    kinds = [operation.file_type for operation in OPERATIONS]
    roots, shared = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    for name in shared.keys() & vars(contract).keys():
        shared[name].pop("description")  # told there
    return {"$schema": SCHEMA, "title": "Golden vectors of pocketface", "oneOf": list(roots), "$defs": shared}


def _lines(name: str, cases: tuple[Case[Any, Any], ...]) -> bytes:
    """A line for each case, so that a change can be read."""
    rows = b",\n".join(msgspec.json.encode(case) for case in cases)
    return b'{"operation":' + msgspec.json.encode(name) + b',"cases":[\n' + rows + b"\n]}\n"
