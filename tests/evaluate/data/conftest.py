"""Small pictures that differ from each other, and data sets made of them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Jpeg = Callable[[int], bytes]
Tar = Callable[..., Path]


@pytest.fixture(scope="session")
def png() -> Jpeg:
    """``png(seed, side=8)``: a picture of noise, encoded without loss."""

    def make(seed: int, side: int = 8) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)).save(stream, "PNG")
        return stream.getvalue()

    return make


@pytest.fixture(scope="session")
def write_tar() -> Tar:
    """``write_tar(path, {name: bytes or a finished TarInfo})``."""

    def write(path: Path, members: dict[str, bytes | tarfile.TarInfo], format: int = tarfile.PAX_FORMAT) -> Path:
        with tarfile.open(path, "w", format=format) as archive:
            for name, content in members.items():
                info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
                data = b"" if isinstance(content, tarfile.TarInfo) else content
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return path

    return write


@pytest.fixture
def people(tmp_path: Path, png: Jpeg) -> Path:
    """LFW's layout: three people with three pictures each."""
    for person in range(3):
        name = f"Person_{'ABC'[person]}"
        (tmp_path / "lfw" / name).mkdir(parents=True)
        for i in range(1, 4):
            (tmp_path / "lfw" / name / f"{name}_{i:04d}.jpg").write_bytes(png(10 * person + i))
    return tmp_path / "lfw"
