"""What is known of pictures beside their pixels: who they show, and columns such as age, pose or group."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import msgspec

from ...errors import InvalidData
from .shelf import named, printable, read_text

Columns = dict[str, str]

#: What the names of a set's pictures say, as named groups of a pattern.
#: ``utkface``: age_gender_race_date, gender 0 (male) or 1 (female), race 0..4, which becomes ``group``.
#: ``allage``: the age after the last A. Sources: the sets' own pages.
SCHEMES: dict[str, re.Pattern[str]] = {
    "utkface": re.compile(r"^(?P<age>\d{1,3})_(?P<gender>[01])_(?P<group>[0-4])_"),
    "allage": re.compile(r"A(?P<age>\d{1,3})$"),
}
_WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "utkface": {"gender": ("male", "female"), "group": ("White", "Black", "Asian", "Indian", "Others")}
}


@dataclass(frozen=True)
class Labels:
    """Where the labels of a set's pictures come from.

    Attributes:
        owners: name of a picture -> who it shows; None where no file says so.
        by_name: who a picture shows as its name has it, where no file says so.
        table: name of a picture -> columns.
        scheme: one of ``SCHEMES``, for columns that the names themselves give; None for none.
    """

    owners: Mapping[str, str] | None = None
    by_name: Callable[[str], str | None] = lambda name: None
    table: Mapping[str, Columns] = field(default_factory=dict)
    scheme: str | None = None

    def __post_init__(self) -> None:
        if self.scheme is not None and self.scheme not in SCHEMES:
            raise InvalidData(f"unknown naming scheme {self.scheme!r}, expected one of {', '.join(SCHEMES)}")

    def identity(self, name: str) -> str | None:
        """Who a picture shows; None where that is not known."""
        return self.by_name(name) if self.owners is None else self.owners.get(name)

    def columns(self, name: str) -> Columns:
        """What else is known of it."""
        said = columns_of_name(name, self.scheme) if self.scheme else None
        return (said or {}) | self.table.get(name, {})

    def faults(self, names: Sequence[str]) -> list[str]:
        """A sentence on the pictures that have no identity, no columns, or a name outside the scheme."""
        kinds = (
            ("pictures have no identity", self.owners, lambda name: name in (self.owners or ())),
            ("pictures have no columns", self.table, lambda name: name in self.table),
            (f"names do not follow the scheme {self.scheme}", self.scheme, self.columns),
        )
        faults = []
        for what, wanted, known in kinds:
            if wanted and (without := [name for name in names if not known(name)]):
                faults.append(f"{len(without)} {what}: {named(without)}")
        return faults

    def strangers(self, names: Sequence[str]) -> list[str]:
        """A sentence on pictures that are labelled, but not there."""
        absent = sorted((set(self.owners or ()) | set(self.table)) - set(names))
        return [f"{len(absent)} pictures have labels but are not there: {named(absent)}"] if absent else []


def read_identities(path: Path) -> dict[str, str]:
    """A JSON file that maps a picture's name to an identity, or an identity to a list of names.

    Raises:
        InvalidData: it cannot be read, is neither, or gives one picture to two identities.
    """
    try:
        found = msgspec.json.decode(read_text(path), type=dict[str, str | int | list[str]])
    except (msgspec.MsgspecError, RecursionError) as e:
        shapes = '{"picture.jpg": "who"} or {"who": ["picture.jpg"]}'
        raise InvalidData(f"{path}: expected JSON as {shapes}: {e}") from e
    owners: dict[str, str] = {}
    for key, value in found.items():
        for name, who in [(n, key) for n in value] if isinstance(value, list) else [(key, str(value))]:
            if owners.setdefault(name, who) != who:
                raise InvalidData(f"{path}: {printable(name)} belongs to both {owners[name]} and {who}")
    return owners


def identity_of_folder(name: str) -> str | None:
    """The folder that a picture lies in, which names the person; None for one that lies in none."""
    return PurePosixPath(name).parent.name or None


def read_columns(path: Path) -> dict[str, Columns]:
    """A CSV file with a column ``name``: name of a picture -> its other columns.

    Raises:
        InvalidData: it cannot be read, has no such column, or has a name twice with different values.
    """
    table: dict[str, Columns] = {}
    for line, row in read_rows(path, needed=("name",)):
        name = row.pop("name").replace("\\", "/").removeprefix("./")
        if table.setdefault(name, row) != row:
            raise InvalidData(f"{path}, line {line}: {printable(name)} was there before, with other values")
    return table


def read_rows(path: Path, needed: tuple[str, ...]) -> Iterator[tuple[int, Columns]]:
    """Line number and values of each row of a CSV file with a header.

    Raises:
        InvalidData: it cannot be read, lacks a needed column, or has a row of another length.
    """
    reader = csv.reader(read_text(path).splitlines())
    try:
        header = [column.strip() for column in next(reader, [])]
        if missing := [column for column in needed if column not in header]:
            raise InvalidData(
                f"{path}: no column {', '.join(missing)}; its first line names {', '.join(header) or '-'}"
            )
        for row in filter(None, reader):
            if len(row) != len(header):
                raise InvalidData(f"{path}, line {reader.line_num}: {len(row)} values for {len(header)} columns")
            yield reader.line_num, dict(zip(header, map(str.strip, row), strict=True))
    except csv.Error as e:
        raise InvalidData(f"{path}, line {reader.line_num}: {e}") from e


def columns_of_name(name: str, scheme: str) -> Columns | None:
    """What a picture's name says by one of ``SCHEMES``; None where it does not follow it."""
    if not (match := SCHEMES[scheme].search(PurePosixPath(name).stem)):
        return None
    words: Mapping[str, tuple[str, ...]] = _WORDS.get(scheme, {})
    return {key: words[key][int(v)] if key in words else str(int(v)) for key, v in match.groupdict().items()}
