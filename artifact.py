"""An artifact: a model file and its contract, checked when it is loaded and whole when it is saved.

A model ``NAME.onnx`` (or ``.tflite``, ``.mlpackage``) has a sidecar ``NAME.onnx.json`` with its contract, size and
SHA-256. The contract is also inside the file, so a file that lost its sidecar still loads; a file that was
truncated or altered does not.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from .contract import ModelContract
from .embedded import read_embedded, write_embedded
from .errors import InvalidContract, InvalidModel, OutputError

#: File suffix -> the format's name.
FORMATS = {".onnx": "onnx", ".tflite": "tflite", ".mlpackage": "coreml"}


class Sidecar(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What stands beside a model file."""

    contract: ModelContract
    sha256: str
    size_bytes: int
    parent: str | None = None


@dataclass(frozen=True)
class Artifact:
    """A model file that was found sound.

    Attributes:
        path: the file, or the folder of an ``.mlpackage``.
        contract: how to feed it and read its answer.
        sha256: of the content; of a folder, over the names and contents of its files.
        size_bytes: of the content.
        parent: SHA-256 of the artifact that this one was made from, if it was.
    """

    path: Path
    contract: ModelContract
    sha256: str
    size_bytes: int
    parent: str | None = None

    @property
    def format(self) -> str:
        """``onnx``, ``tflite`` or ``coreml``."""
        return FORMATS[self.path.suffix]


def load_artifact(path: str | Path) -> Artifact:
    """Load a model file and check it against its sidecar and the contract inside.

    Raises:
        InvalidModel: no such file, an unknown suffix, an unreadable, altered or truncated file, or no contract.
        InvalidContract: the contract has an unknown key, version or value.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise InvalidModel(f"{path}: unknown model format {path.suffix!r}, expected one of {', '.join(FORMATS)}")
    if not path.exists():
        raise InvalidModel(f"{path}: no such model file")
    if path.is_dir() != (path.suffix == ".mlpackage"):
        raise InvalidModel(f"{path}: a .mlpackage must be a folder, every other model a file")
    try:
        sha256, size_bytes = digest(path)
    except OSError as e:
        raise InvalidModel(f"{path}: cannot be read: {e.strerror or e}") from e
    sidecar = _read_sidecar(path)
    if sidecar and (sidecar.sha256, sidecar.size_bytes) != (sha256, size_bytes):
        raise InvalidModel(
            f"{path}: altered or truncated since it was written: {size_bytes} bytes with SHA-256 {sha256[:12]}, its "
            f"sidecar says {sidecar.size_bytes} bytes with {sidecar.sha256[:12]}; export it again or copy it again"
        )
    contract = _contract_of(path, sidecar)
    return Artifact(path, contract, sha256, size_bytes, sidecar.parent if sidecar else None)


def write_sidecar(path: Path, contract: ModelContract, parent: str | None = None) -> Artifact:
    """Write the sidecar of a finished model file and return the artifact.

    Raises:
        InvalidContract: the contract holds values that could not be read back, which only code can put there.
        OutputError: the folder cannot be written to.
    """
    ModelContract.from_json(contract.to_json())
    sha256, size_bytes = digest(path)
    sidecar = Sidecar(contract=contract, sha256=sha256, size_bytes=size_bytes, parent=parent)
    text = msgspec.json.format(msgspec.json.encode(sidecar, order="sorted"), indent=2)
    with atomic(sidecar_path(path)) as temporary:
        temporary.write_bytes(text + b"\n")
    return Artifact(path, contract, sha256, size_bytes, parent)


def content_digest(artifact: Artifact) -> str:
    """SHA-256 (hex) of graph and weights: of the file with an empty contract inside.

    It stays what it is when thresholds are written into a file. Where the file is no longer the one that was loaded, or
    there is no room for a temporary copy, it is the artifact's own SHA-256.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / artifact.path.name
            _copy(artifact.path, copy)
            if digest(copy)[0] != artifact.sha256:
                return artifact.sha256
            write_embedded(copy, "")
            return digest(copy)[0]
    except OSError:
        return artifact.sha256


def replace_contract(artifact: Artifact, contract: ModelContract) -> Artifact:
    """Write another contract into a model file and beside it; its graph and weights stay byte for byte.

    The file's SHA-256 changes with it; the old one becomes its parent.

    Raises:
        InvalidContract: the contract holds values that could not be read back.
        InvalidModel: the file is not what it was when it was loaded, or damaged.
        OutputError: the folder cannot be written to; the old file stands.
    """
    ModelContract.from_json(contract.to_json())
    with atomic(artifact.path) as temporary:
        _copy(artifact.path, temporary)
        if digest(temporary)[0] != artifact.sha256:
            raise InvalidModel(f"{artifact.path}: altered since it was loaded; load it again")
        had_one = read_embedded(temporary) is not None
        write_embedded(temporary, contract.to_json())
        if had_one:  # an interrupt between the two renames then leaves a file that still loads
            sidecar_path(artifact.path).unlink(missing_ok=True)
    return write_sidecar(artifact.path, contract, artifact.sha256)


def _copy(source: Path, target: Path) -> None:
    """Contents alone, of a file or a folder: rights and times stay behind."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(source, target)


def sidecar_path(path: Path) -> Path:
    """``NAME.onnx`` -> ``NAME.onnx.json``."""
    return path.with_name(path.name + ".json")


def digest(path: Path) -> tuple[str, int]:
    """SHA-256 (hex) and size in bytes of a file, or of all files below a folder in the order of their names."""
    names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()) if path.is_dir() else [""]
    total, size = hashlib.sha256(), 0
    for name in names:
        file = path / name
        if name:  # with the size, so that no content can pass for a name
            total.update(f"{name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                total.update(block)
                size += len(block)
    return total.hexdigest(), size


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path to write a file or a folder to, and move it to ``path`` only if all went well.

    The temporary path has the same suffix and lies in the same folder, so the move is one rename. On any error or
    interrupt nothing of it is left, and what stood at ``path`` still stands.

    Raises:
        OutputError: the folder cannot be made or written to, or the disk is full.
    """
    scratch = path.parent / f".{path.name}.{secrets.token_hex(4)}"
    _UNFINISHED[scratch] = path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.mkdir(mode=0o700)
    except OSError as e:
        del _UNFINISHED[scratch]
        raise OutputError(f"cannot write to {path.parent}: {e.strerror or e}") from e
    temporary = scratch / path.name
    try:
        yield temporary
        _replace(temporary, path, scratch / "old")
    except OSError as e:
        raise OutputError(f"cannot write {path}: {e.strerror or e}") from e
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        _UNFINISHED.pop(scratch, None)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for files on the way to others, which is gone afterwards: after an error or an interrupt as well.

    Raises:
        OutputError: there is no place for temporary files.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="pocketface-"))
    except OSError as e:
        raise OutputError(f"cannot make a temporary folder: {e.strerror or e}") from e
    _UNFINISHED[folder] = folder
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _UNFINISHED.pop(folder, None)


def discard_unfinished() -> None:
    """Remove what is being written, for a process that must end at once and cannot unwind; old files stand."""
    for scratch, path in list(_UNFINISHED.items()):
        if (scratch / "old").exists() and not path.exists():
            (scratch / "old").replace(path)
        shutil.rmtree(scratch, ignore_errors=True)


#: Scratch folders that stand, and what is to be made in each.
_UNFINISHED: dict[Path, Path] = {}


def _replace(new: Path, path: Path, aside: Path) -> None:
    """Rename, and where a folder stands, which no rename replaces, set it aside; should that fail, put it back."""
    if not path.is_dir():
        new.replace(path)
        return
    path.replace(aside)
    try:
        new.replace(path)
    except BaseException:
        aside.replace(path)
        raise


def _read_sidecar(path: Path) -> Sidecar | None:
    beside = sidecar_path(path)
    if not beside.is_file():
        return None
    try:
        return msgspec.json.decode(beside.read_bytes(), type=Sidecar)
    except OSError as e:
        raise InvalidContract(f"{beside}: cannot be read: {e.strerror or e}") from e
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as e:
        raise InvalidContract(f"{beside}: not a valid sidecar: {e}") from e


def _contract_of(path: Path, sidecar: Sidecar | None) -> ModelContract:
    text = read_embedded(path)
    inside = ModelContract.from_json(text) if text is not None else None
    if sidecar and inside and sidecar.contract != inside:
        raise InvalidContract(f"{path}: the contract inside differs from the one in {sidecar_path(path).name}")
    contract = inside or (sidecar.contract if sidecar else None)
    if contract is None:
        raise InvalidModel(
            f"{path}: no contract inside it or beside it ({sidecar_path(path).name}), so how to feed it is unknown; "
            "export it with pocketface, or write a contract for it"
        )
    return contract
