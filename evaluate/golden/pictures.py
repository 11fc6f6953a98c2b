"""The pictures of the golden vectors: noise, ramps and faces, in files that are the same bytes wherever they are made.

A PNG from a library depends on which zlib that library has. Here nothing is compressed: rows are unfiltered and lie in
stored blocks, so a program without zlib can read them too.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...runtime.images import load_image

Image = NDArray[np.uint8]
#: The name of a picture's file, in the folder ``pictures`` beside the vectors.
Picture = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]+\.png$")]

_STORED = 65535  # bytes that one block of a zlib stream holds at most


@dataclass(frozen=True)
class Pictures:
    """Pictures by the names of their files: drawn now, or read from a folder.

    Attributes:
        folder: where those lie that were not drawn; None for nowhere.
        drawn: name -> picture.
        result: what the picture that an operation makes is to be called.
    """

    folder: Path | None = None
    drawn: dict[str, Image] = field(default_factory=dict)
    result: str = ""

    def __getitem__(self, name: str) -> Image:
        if name in self.drawn or self.folder is None:
            return self.drawn[name]
        return load_image(self.folder / name)

    def for_result(self, name: str) -> Pictures:
        """The same pictures, for an operation whose result is called so."""
        return replace(self, result=name)

    def put(self, name: str, image: Image) -> str:
        """Add a picture; the name under which it can be had."""
        self.drawn[name] = image
        return name

    def keep(self, image: Image) -> str:
        """Add the result of the operation at hand."""
        return self.put(self.result, image)

    def noise(self, height: int, width: int) -> str:
        """Every pixel different from its neighbours, so that none can be taken for another."""
        state, values = 1000 * height + width, []
        for _ in range(3 * height * width):
            state = (1664525 * state + 1013904223) % 2**32  # Numerical Recipes; numpy promises no sequence
            values.append(state >> 24)
        return self.put(f"noise_{height}x{width}.png", np.array(values, np.uint8).reshape(height, width, 3))


def encode_png(image: Image) -> bytes:
    """``(H, W, 3) uint8`` RGB as an uncompressed PNG."""
    height, width = image.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # the first byte of each is its filter: none
    rows[:, 1:] = image.reshape(height, 3 * width)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", b"".join(_zlib_stored(rows.tobytes()))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _zlib_stored(content: bytes) -> Iterator[bytes]:
    """Source: RFC 1950, RFC 1951 section 3.2.4."""
    yield b"\x78\x01"
    for start in range(0, len(content), _STORED):
        block = content[start : start + _STORED]
        yield struct.pack("<BHH", start + _STORED >= len(content), len(block), len(block) ^ 0xFFFF) + block
    yield struct.pack(">I", zlib.adler32(content))
