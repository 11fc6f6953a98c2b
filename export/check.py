"""Look at a finished file: nothing of the machine that made it may be inside."""

from __future__ import annotations

import getpass
import platform
import sys
from pathlib import Path

from ..errors import ExportError


def check_file(path: Path) -> None:
    """Raise if a file, or any file of a package, names a folder, the user or the host of this machine.

    Raises:
        ExportError: a trace was found; the message says which.

    """
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    for file in files:
        content = file.read_bytes()
        for trace in _traces():
            if trace.encode() in content:
                raise ExportError(f"{path.name} carries a trace of this machine: {trace!r} in {file.name}")


def _traces() -> set[str]:
    folders = {str(Path.home()), str(Path.cwd()), sys.prefix, str(Path(__file__).resolve().parents[1])}
    names = {f"/{getpass.getuser()}/", platform.node()}
    return {trace for trace in folders | names if len(trace) > 4}
