"""Open data by what is there: a list of pairs, a folder, tar shards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from ...errors import InvalidData
from .assemble import Entry, assemble
from .csv_pairs import read_csv_pairs
from .folder import FolderShelf
from .insightface_bin import read_bin
from .labels import Labels, identity_of_folder, read_columns, read_identities
from .lfw import identity_of_name, place_lfw, read_lfw
from .pairs import Pair, join_pairs
from .samples import ImageSet, PairSet
from .shelf import Shelf, named
from .tar_shards import TarShelf

_LISTS = {".txt", ".csv", ".bin"}


def open_data(
    path: Path,
    *,
    images: Path | None = None,
    identities: Path | None = None,
    columns: Path | None = None,
    scheme: str | None = None,
    aligned: bool = False,
    strict: bool = False,
) -> PairSet | ImageSet:
    """Open a list of pairs where there is one, else pictures whose identities make the pairs.

    Arguments and errors are those of :func:`open_pairs` and :func:`open_images`.
    """
    labels = {"identities": identities, "columns": columns}
    if _list_of(path):
        return open_pairs(path, images=images, **labels, scheme=scheme, aligned=aligned, strict=strict)
    return open_images(images or path, **labels, scheme=scheme, aligned=aligned, strict=strict)


def open_images(
    path: Path,
    *,
    identities: Path | None = None,
    columns: Path | None = None,
    scheme: str | None = None,
    aligned: bool = False,
    strict: bool = False,
) -> ImageSet:
    """Open the pictures of a folder, a tar file, a folder of tar shards, or a list of pairs.

    Args:
        path: the data. Who a picture shows is said by ``identities``, by an ``identities.json`` in or beside it (beside
            a tar file also ``NAME_identities.json``), or else by the folder that the picture lies in.
        identities: a JSON file: name of a picture -> identity.
        columns: a CSV file with a column ``name``; its other columns go to the samples of that name.
        scheme: what the pictures' names say: ``utkface`` (age, gender, group) or ``allage`` (age).
        aligned: whether the pictures are square crops on the ArcFace template, scaled to their side.
        strict: whether to stop at a fault of the data instead of listing it in ``problems``.

    Raises:
        InvalidData: nothing that can be read, no picture in it, or with ``strict`` any fault.
    """
    if _list_of(path):
        labelled = {"identities": identities, "columns": columns}
        return open_pairs(path, **labelled, scheme=scheme, aligned=aligned, strict=strict).images
    shelf = open_shelf(path)
    names = shelf.names()
    labels = _labels(path, identity_of_folder, identities, columns, scheme)
    problems = [*shelf.problems, *labels.strangers(names), *labels.faults(names)]
    reads = {name: shelf.find(name) for name in names}
    if lost := [name for name, read in reads.items() if read is None]:
        problems.append(f"{len(lost)} names lead to no file: {named(lost)}")
    entries = [Entry(name, read, labels.identity(name), labels.columns(name)) for name, read in reads.items() if read]
    return assemble(path.name, entries, aligned=aligned, problems=problems, strict=strict)


def open_pairs(
    path: Path,
    *,
    images: Path | None = None,
    identities: Path | None = None,
    columns: Path | None = None,
    scheme: str | None = None,
    aligned: bool = False,
    strict: bool = False,
) -> PairSet:
    """Open a list of pairs: LFW's ``pairs.txt`` or a folder with one, an InsightFace ``.bin``, or a CSV.

    Args:
        path: the list. A CSV has columns a, b, same (1 or 0) and, if it has folds, fold; others go to ``columns`` of
            the pair set.
        images: folder or tar with the pictures; by default the list's folder.
        identities: as in :func:`open_images`. LFW's lists say themselves who a picture shows.
        columns: as in :func:`open_images`, by the names that the list gives the pictures.
        scheme: as in :func:`open_images`.
        aligned: whether the pictures are square crops on the ArcFace template; those of a ``.bin`` always are.
        strict: whether to stop at a fault of the data instead of listing it in ``images.problems``.

    Raises:
        InvalidData: not such a list, no pair whose pictures are there, or with ``strict`` any fault.
    """
    file = _list_of(path)
    if file is None:
        raise InvalidData(f"{path}: no list of pairs; expected a pairs.txt, a .bin, a .csv, or a folder with pairs.txt")
    if not file.is_file():
        raise InvalidData(f"{file}: no such file")
    if file.suffix == ".bin":
        return _open_bin(file, _labels(None, _nobody, identities, columns, scheme), strict)
    shelf = open_shelf(images or file.parent)
    if file.suffix == ".csv":
        pairs, places = read_csv_pairs(file), None
        labels = _labels(shelf.path, _nobody, identities, columns, scheme)
    else:
        pairs, places = read_lfw(file), place_lfw(shelf)
        labels = _labels(None, identity_of_name, identities, columns, scheme)
    return join_pairs(
        file.name,
        pairs,
        lambda key: shelf.find(key if places is None else places.get(key, "")),
        labels,
        problems=shelf.problems,
        aligned=aligned,
        strict=strict,
    )


def open_shelf(path: Path) -> Shelf:
    """A folder of pictures, a tar file, or a folder of tar files with no pictures beside them.

    Raises:
        InvalidData: nothing of the kind, or a damaged tar file.
    """
    if path.is_file():
        return TarShelf(path, [path])
    if not path.is_dir():
        raise InvalidData(f"{path}: no such file or folder")
    folder, shards = FolderShelf(path), sorted(path.glob("*.tar"))
    return TarShelf(path, shards) if shards and not folder.names() else folder


def _list_of(path: Path) -> Path | None:
    if path.suffix in _LISTS and not path.is_dir():
        return path
    return path / "pairs.txt" if (path / "pairs.txt").is_file() else None


def _labels(
    near: Path | None,
    by_name: Callable[[str], str | None],
    identities: Path | None,
    columns: Path | None,
    scheme: str | None,
) -> Labels:
    """Labels from the files named, and identities else from a file in or beside ``near``."""
    if identities is None and near is not None:
        beside = [near.with_name(f"{near.stem}_identities.json"), near.with_name("identities.json")]
        places = [near / "identities.json"] if near.is_dir() else beside
        identities = next((file for file in places if file.is_file()), None)
    owners = read_identities(identities) if identities else None
    return Labels(owners, by_name, read_columns(columns) if columns else {}, scheme)


def _nobody(name: str) -> str | None:
    return None


def _open_bin(path: Path, labels: Labels, strict: bool) -> PairSet:
    """Pictures that are there several times, as LFW's are, are taken once."""
    spans, pairs = read_bin(path)
    first: dict[bytes, str] = {}
    keys = {str(i): first.setdefault(hashlib.sha256(span()).digest(), f"{i:06d}") for i, span in enumerate(spans)}
    pairs = [Pair(keys[pair.a], keys[pair.b], pair.same) for pair in pairs]
    return join_pairs(path.name, pairs, lambda key: spans[int(key)], labels, aligned=True, strict=strict)
