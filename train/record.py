"""What a run leaves beside its weights where a file will be made from them that must say what they rest on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from ..artifact import atomic
from ..errors import InvalidData

#: Name of the record in the run's folder.
RECORD = "trained.json"
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of one run.

    Attributes:
        network: name in the registry.
        began: hex SHA-256 of the file of weights that it began from.
        steps: of the optimiser.
        data: fingerprint of each set of pictures.
        digests: hex SHA-256 of each crop that was drawn, see :func:`pocketface.evaluate.data.digest.digest_of`.
        people: everyone in the data, as far as that is known.
        ranges: node of the exported network -> the least and the greatest value that it learnt to be rounded between.
    """

    network: str
    began: Sha256
    steps: Annotated[int, msgspec.Meta(ge=1)]
    data: tuple[Sha256, ...]
    digests: tuple[Sha256, ...]
    people: tuple[str, ...] = ()
    ranges: dict[str, tuple[float, float]] = {}

    def to_json(self) -> str:
        """One line."""
        return msgspec.json.encode(self).decode() + "\n"


def leave_record(record: Record, run: Path) -> None:
    """Write the record of a run that came to its end; what an earlier end of the same run was trained on stays in it.

    Raises:
        InvalidData: a damaged record is there.
        OutputError: the folder cannot be written to.
    """
    if (run / RECORD).is_file():
        old = open_record(run)
        both = {name: _both(getattr(old, name), getattr(record, name)) for name in ("data", "digests", "people")}
        record = msgspec.structs.replace(record, **both)
    with atomic(run / RECORD) as temporary:
        temporary.write_text(record.to_json())


def _both(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def open_record(run: Path) -> Record:
    """The record in the folder of a run.

    Raises:
        InvalidData: there is none, or a damaged one.
    """
    file = run / RECORD
    try:
        return msgspec.json.decode(file.read_bytes(), type=Record)
    except OSError as e:
        raise InvalidData(
            f"{file}: cannot be read: {e.strerror or e}; expected the folder of a finished run of qat_xs"
        ) from e
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as e:
        raise InvalidData(f"{file}: not the record of a training: {e}") from e
