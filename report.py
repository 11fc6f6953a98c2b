"""A report: what was run, what came out, on which files and on which machine.

JSON comes first: it holds every number unrounded, in the unit that its key names (``latency_ms``, ``size_bytes``).
The tables on the terminal and the HTML page are made from the same rows; see ``render``.
"""

from __future__ import annotations

import hashlib
import math
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from .artifact import Artifact
from .environment import Environment, current_environment

Value = str | int | float | bool | None
Row = dict[str, Value]
#: What became of a check: it held, it did not, or it was not made.
State = Literal["pass", "fail", "open"]

#: A verdict in a table, in words: colour alone tells some readers nothing.
WORDS: dict[State, str] = {"pass": "✓ pass", "fail": "✗ fail", "open": "– not run"}
MISSING = "–"


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One figure of every row.

    Attributes:
        key: the key of a row, with the unit as its suffix: ``latency_ms``.
        name: what the tables call it.
        unit: shown behind the name.
        kind: ``text``, ``number``, ``count`` (shown in thousands, millions or billions), ``bytes`` (shown in kB or
            MB), ``sha256`` (hex, shown short), or ``verdict``: True if a check held, False if not, None if it was not
            made.
        spec: how to show a number, a format specification such as ``.2f``; four digits if empty.
        bar: whether the page draws numbers as bars that share one scale.
    """

    key: str
    name: str
    unit: str = ""
    kind: Literal["text", "number", "count", "bytes", "sha256", "verdict"] = "text"
    spec: str = ""
    bar: bool = False

    @property
    def heading(self) -> str:
        """Name and unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    def show(self, value: Value) -> str:
        """A value as the tables show it."""
        if self.kind == "verdict":
            return WORDS[state_of(value)]
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return MISSING
        if self.kind == "bytes":
            return _size(float(value))
        if self.kind == "count":
            return _count(float(value))
        if self.kind == "sha256":
            return str(value)[:12]
        if self.kind == "number" and not isinstance(value, str):
            return format(value, self.spec or (",d" if isinstance(value, int) else ".4g"))
        return str(value)


class Picture(msgspec.Struct, frozen=True, omit_defaults=True):
    """A PNG or JPEG file's bytes, and what it shows.

    Attributes:
        title: what it shows.
        data: the file's bytes.
        plot: dark ink on white, which the page turns over for a reader of dark pages; False for a photograph.
    """

    title: str
    data: bytes
    plot: bool = False

    @property
    def url(self) -> str:
        """The picture as a ``data:`` URL."""
        kind = "png" if self.data.startswith(b"\x89PNG") else "jpeg"
        return f"data:image/{kind};base64,{b64encode(self.data).decode()}"


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A table with what is to be said about it.

    Attributes:
        title: names the section.
        columns: of the table, from left to right; the first names the row.
        rows: column key -> value. A missing key is a value that was not measured.
        notes: a sentence each, shown above the table.
        pictures: shown below the table.
    """

    title: str
    columns: Sequence[Column] = ()
    rows: Sequence[Row] = ()
    notes: Sequence[str] = ()
    pictures: Sequence[Picture] = ()

    def __post_init__(self) -> None:
        keys = {column.key for column in self.columns}
        for row in self.rows:
            if unknown := row.keys() - keys:
                raise ValueError(f"section {self.title!r} has no column for {sorted(unknown)}, only for {sorted(keys)}")
            for key, value in row.items():
                if not isinstance(value, Value):  # found now, not when a long run is over and cannot be saved
                    raise TypeError(f"section {self.title!r}: {key} is a {type(value).__name__}, not a plain value")

    @property
    def checks(self) -> list[State]:
        """What became of every check of the table."""
        keys = [column.key for column in self.columns if column.kind == "verdict"]
        return [state_of(row.get(key)) for row in self.rows for key in keys]

    @property
    def failed(self) -> list[str]:
        """Names of the rows with a check that did not hold, each once."""
        verdicts = {column.key for column in self.columns if column.kind == "verdict"}
        rows = (row for row in self.rows if any(state_of(row.get(key)) == "fail" for key in verdicts))
        return list(dict.fromkeys(self.columns[0].show(row.get(self.columns[0].key)) for row in rows))


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one run found.

    Attributes:
        title: what was run.
        summary: one or two sentences for a reader who reads no further.
        command: what to type to get the same again; empty if nobody typed anything.
        sections: the results.
        environment: where they were measured.
        created: when, in UTC, ISO 8601.
    """

    title: str
    summary: str = ""
    command: str = ""
    sections: Sequence[Section] = ()
    environment: Environment = msgspec.field(default_factory=current_environment)
    created: str = msgspec.field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))

    @property
    def checks(self) -> list[State]:
        """What became of every check of every section."""
        return [state for section in self.sections for state in section.checks]

    @property
    def state(self) -> State:
        """``fail`` if any check failed, ``pass`` if all were made and held, else ``open``."""
        if "fail" in self.checks:
            return "fail"
        return "pass" if set(self.checks) == {"pass"} else "open"

    @property
    def verdict(self) -> str:
        """The state in words, with the number of checks."""
        passed, failed, skipped = (self.checks.count(state) for state in ("pass", "fail", "open"))
        if not self.checks:
            return "Measurements only, nothing was to be checked"
        total = passed + failed
        checks = "check" if total == 1 else "checks"
        words = f"{failed} of {total} {checks} failed" if failed else f"{total} {checks} passed"
        return f"{words}, {skipped} not run" if skipped else words

    def to_json(self) -> str:
        """Indented JSON. A picture is named by its title and SHA-256; a number that is not finite becomes null."""
        plain = {"verdict": self.state, **msgspec.to_builtins(self, builtin_types=(bytes,))}
        for section in plain["sections"]:
            for picture in section["pictures"]:
                picture["sha256"] = hashlib.sha256(picture.pop("data")).hexdigest()
        return msgspec.json.format(msgspec.json.encode(plain), indent=2).decode() + "\n"


def state_of(value: Value) -> State:
    """What a verdict's value means."""
    return "open" if value is None else "pass" if value else "fail"


def artifact_section(artifacts: Sequence[Artifact]) -> Section:
    """The files that a report speaks of: what they are, how large, and their hashes."""
    columns = (
        Column(key="file", name="file"),
        Column(key="model", name="model"),
        Column(key="format", name="format"),
        Column(key="precision", name="precision"),
        Column(key="weights", name="weights"),
        Column(key="size_bytes", name="size", kind="bytes", bar=True),
        Column(key="sha256", name="SHA-256", kind="sha256"),
    )
    rows: list[Row] = [
        {
            "file": artifact.path.name,
            "model": artifact.contract.model,
            "format": artifact.format,
            "precision": artifact.contract.precision,
            "weights": artifact.contract.weights,
            "size_bytes": artifact.size_bytes,
            "sha256": artifact.sha256,
        }
        for artifact in artifacts
    ]
    untrained = sorted({a.contract.model for a in artifacts if not a.contract.trained})
    note = f"Not trained, so what it says of a face means nothing: {', '.join(untrained)}."
    return Section(title="Files", columns=columns, rows=rows, notes=(note,) if untrained else ())


def _size(size_bytes: float) -> str:
    return f"{size_bytes / 1e6:,.2f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:,.1f} kB"


def _count(count: float) -> str:
    for unit, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= 0.9995 * unit:  # so that 999,600 is 1.00 M, not 1000 k
            return f"{count / unit:#.3g}{prefix}".replace(". ", " ")
    return f"{count:g}"
