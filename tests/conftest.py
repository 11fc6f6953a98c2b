"""Make the suite test this checkout, even where another pocketface is installed: the root is the package."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pocketface.export import Exported

ROOT = Path(__file__).resolve().parent.parent


def _view_of_this_checkout() -> str:
    view = Path(tempfile.mkdtemp(prefix="pocketface-view-"))
    (view / "pocketface").symlink_to(ROOT)
    return str(view)


VIEW = _view_of_this_checkout()
MODELS = ("mos_xs", "facelivtv2_xs")
sys.path.insert(0, VIEW)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [VIEW, os.environ.get("PYTHONPATH", "")]))


def pytest_unconfigure() -> None:
    (Path(VIEW) / "pocketface").unlink()
    Path(VIEW).rmdir()


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], Exported]:
    """A detector and a recogniser in all formats: (model, format, precision) -> proven export.

    Their weights are seeded: what is tested with them must hold for any weights.
    """
    from pocketface.export import build_model, export_model

    folder = tmp_path_factory.mktemp("exports")
    proven = [one for name in MODELS for one in export_model(build_model(name, seed=0), folder)]
    return {(e.artifact.contract.model, e.artifact.format, e.artifact.contract.precision): e for e in proven}
