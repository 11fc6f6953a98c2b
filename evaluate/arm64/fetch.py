"""Run one of the machine's own clients, and say in one line why nothing came."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

#: Seconds that a download may take.
_PATIENCE = 600
_ADDRESS = re.compile(r"\S*://\S+")


class Unavailable(Exception):
    """Something that the emulation needs cannot be had here; the text says what and why, without any address."""


def fetch(command: Sequence[str], folder: Path) -> None:
    """Run a command in a folder.

    Raises:
        Unavailable: no such command, or it failed or took too long.
    """
    try:
        subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=_PATIENCE)
    except OSError as e:
        raise Unavailable(f"{Path(command[0]).name} cannot be run here: {e.strerror}") from e
    except subprocess.TimeoutExpired as e:
        raise Unavailable(f"{Path(command[0]).name} took more than {_PATIENCE} s") from e
    except subprocess.CalledProcessError as e:
        lines = [line for line in f"{e.stdout}\n{e.stderr}".splitlines() if line.strip()]
        said = _ADDRESS.sub("…", lines[-1].strip()) if lines else f"status {e.returncode}"
        raise Unavailable(f"{Path(command[0]).name} {_verb(command)}: {said}") from e


def _verb(command: Sequence[str]) -> str:
    return next((word for word in command[1:] if word in ("update", "download", "-x")), "")
