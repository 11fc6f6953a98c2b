"""Make the suite test this checkout, even where another pocketface is installed: the root is the package."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def _view_of_this_checkout() -> str:
    view = Path(tempfile.mkdtemp(prefix="pocketface-view-"))
    (view / "pocketface").symlink_to(ROOT)
    return str(view)


VIEW = _view_of_this_checkout()
sys.path.insert(0, VIEW)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [VIEW, os.environ.get("PYTHONPATH", "")]))


def pytest_unconfigure() -> None:
    (Path(VIEW) / "pocketface").unlink()
    Path(VIEW).rmdir()
