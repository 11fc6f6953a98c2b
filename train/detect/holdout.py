"""Which pictures training never sees: a tenth of each source, told by the name of the file alone."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath

#: One picture in so many is held out.
ONE_IN = 10


def held_out(name: str) -> bool:
    """Whether a picture is held out: the SHA-256 of its file name without folders, as a number, is divisible by 10.

    The same on every machine and for every order of files, and a file that is added later moves no other one.
    """
    digest = hashlib.sha256(PurePosixPath(name).name.encode()).digest()
    return int.from_bytes(digest, "big") % ONE_IN == 0
