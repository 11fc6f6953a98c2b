"""From encoded pictures to an image set: hash every one, name the faults, fix the order."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ...errors import InvalidData, InvalidImage
from ...runtime.images import load_image
from .samples import Image, ImageSet, Sample
from .shelf import Read, named, printable


@dataclass(frozen=True)
class Entry:
    """An encoded picture and what is known of it."""

    name: str
    read: Read
    identity: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


def assemble(
    name: str, entries: Sequence[Entry], *, aligned: bool, problems: Iterable[str] = (), strict: bool = False
) -> ImageSet:
    """Make an image set of pictures in the order given.

    Every picture's bytes are read once and hashed with SHA-256: about as fast as the disk, and the only way to notice
    that a picture was replaced, or stands under two people. One that cannot be read stays in the set, and fails.

    Raises:
        InvalidData: there is no picture, or with ``strict`` any fault.
    """
    if not entries:
        raise InvalidData("; ".join([f"{name}: no picture in it", *problems]))
    digests, unreadable = _digests(entries)
    total = hashlib.sha256(b"aligned\0" if aligned else b"not aligned\0")
    for entry, (digest, size) in zip(entries, digests, strict=True):
        total.update(f"{printable(entry.name)}\0{size}\0{digest}\0".encode())
    found = [*problems, *unreadable, *_identity_faults(entries, [digest for digest, _ in digests])]
    settle(name, found, strict)
    return ImageSet(name, tuple(_sample(entry, aligned) for entry in entries), total.hexdigest(), tuple(found))


def settle(name: str, problems: Sequence[str], strict: bool) -> None:
    """Stop at any problem if ``strict``.

    Raises:
        InvalidData: naming all of them.
    """
    if strict and problems:
        raise InvalidData(f"{name}: {'; '.join(problems)}")


def _sample(entry: Entry, aligned: bool) -> Sample:
    identity = None if entry.identity is None else printable(entry.identity)
    columns = {key: printable(value) for key, value in entry.columns.items()}
    return Sample(printable(entry.name), partial(_decode, entry.name, entry.read), aligned, identity, columns)


def _decode(name: str, read: Read) -> Image:
    try:
        return load_image(read())
    except InvalidImage as e:
        raise InvalidImage(f"{printable(name)}: {str(e).removeprefix('the given bytes: ')}") from e


def _digests(entries: Sequence[Entry]) -> tuple[list[tuple[str, int]], list[str]]:
    """SHA-256 and size of each picture's bytes, and a sentence on those that cannot be read."""
    digests, unreadable = [], []
    for entry in entries:
        try:
            content = entry.read()
        except InvalidImage as e:
            unreadable.append(f"{entry.name} ({e})")
            digests.append((f"unreadable {entry.name}", 0))
        else:
            digests.append((hashlib.sha256(content).hexdigest(), len(content)))
    return digests, [f"{len(unreadable)} pictures cannot be read: {named(unreadable)}"] if unreadable else []


def _identity_faults(entries: Sequence[Entry], digests: Sequence[str]) -> list[str]:
    """One person under two names, or two people with one picture: a genuine pair that counts as impostor."""
    spellings, holders, repeated = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set), 0
    for entry, digest in zip(entries, digests, strict=True):
        if entry.identity is not None:
            spellings[" ".join(entry.identity.casefold().replace("_", " ").split())].add(entry.identity)
            repeated += entry.identity in holders[digest]
            holders[digest].add(entry.identity)
    faults = []
    if alike := sorted(" = ".join(sorted(names)) for names in spellings.values() if len(names) > 1):
        faults.append(f"{len(alike)} identities are there in several spellings: {named(alike)}")
    shared = defaultdict[str, int](int)
    for people in holders.values():
        if len(people) > 1:
            shared[" and ".join(sorted(people))] += 1
    if shared:
        who = named(f"{people} ({count})" for people, count in sorted(shared.items()))
        faults.append(f"{sum(shared.values())} pictures are there under several identities: {who}")
    if repeated:
        faults.append(f"{repeated} pictures repeat another of the same identity byte for byte")
    return faults
