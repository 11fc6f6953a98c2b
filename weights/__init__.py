"""The weights that come with the package, each with a card that says what it was trained on and what it can do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from ..artifact import digest
from ..errors import InvalidModel

FOLDER = Path(__file__).resolve().parent
#: Says how good a detected face is, see :mod:`pocketface.runtime.forest`.
FOREST = FOLDER / "landmark_forest.npz"


class Bundled(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One file of weights.

    Attributes:
        model: the network's name in the registry; a network has one file at most.
        file: name of the ``.safetensors`` in this folder; the card is the ``.md`` beside it.
        sha256: of the file.
        license: SPDX identifier, as the data that it was trained on allow.
        summary: a line for a listing.
    """

    model: str
    file: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]+\.[a-z]+$")]
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    license: str
    summary: str

    @property
    def path(self) -> Path:
        """Where the file is."""
        return FOLDER / self.file

    @property
    def card(self) -> Path:
        """The model card: data, recipe, measured figures, limits."""
        return self.path.with_suffix(".md")


def list_bundled() -> tuple[Bundled, ...]:
    """All bundled weights, as ``manifest.json`` names them."""
    return msgspec.json.decode((FOLDER / "manifest.json").read_bytes(), type=tuple[Bundled, ...])


def find_bundled(model: str) -> Bundled | None:
    """The bundled weights of a network, checked against their SHA-256, or None where there are none.

    Raises:
        InvalidModel: the file is missing or altered.
    """
    found = next((one for one in list_bundled() if one.model == model), None)
    if found is None:
        return None
    if not found.path.is_file():
        raise InvalidModel(f"{found.path}: the bundled weights are missing; install pocketface again")
    if (sha256 := digest(found.path)[0]) != found.sha256:
        raise InvalidModel(
            f"{found.path}: not the weights that were bundled: SHA-256 {sha256[:12]}, expected {found.sha256[:12]}; "
            "install pocketface again"
        )
    return found
