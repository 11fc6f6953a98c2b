"""Make the suite test this checkout, even where another pocketface is installed: the root is the package."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from pocketface.export import Exported

ROOT = Path(__file__).resolve().parent.parent
Made = TypeVar("Made")


def _view_of_this_checkout() -> str:
    view = Path(tempfile.mkdtemp(prefix="pocketface-view-"))
    (view / "pocketface").symlink_to(ROOT)
    return str(view)


VIEW = _view_of_this_checkout()
MODELS = ("mos_xs", "facelivtv2_xs")
sys.path.insert(0, VIEW)
if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores; one that takes all of them slows the others down
    os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [VIEW, os.environ.get("PYTHONPATH", "")]))


def pytest_unconfigure() -> None:
    (Path(VIEW) / "pocketface").unlink()
    Path(VIEW).rmdir()


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], Made]], Made]:
    """``once(name, make)``: what ``make(folder)`` gives, made once for all workers of this run.

    The first that asks makes it, the others wait; it passes between them as a pickle in the run's own folder.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "once"

    def get(name: str, make: Callable[[Path], Made]) -> Made:
        folder = shared / name
        folder.mkdir(parents=True, exist_ok=True)
        made = folder.with_suffix(".pickle")
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                made.write_bytes(pickle.dumps(make(folder)))
        found: Made = pickle.loads(made.read_bytes())
        return found

    return get


@pytest.fixture(scope="session")
def exports(
    once: Callable[..., list[Exported]], tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str, str], Exported]:
    """A detector and a recogniser in all formats: (model, format, precision) -> proven export.

    Their weights are seeded: what is tested with them must hold for any weights. Every worker has a copy of its own,
    because coremltools writes a package's manifest anew whenever it opens one.
    """

    def make(folder: Path) -> list[Exported]:
        from pocketface.export import build_model, export_model

        return [one for name in MODELS for one in export_model(build_model(name, seed=0), folder)]

    proven, own = once("exports", make), tmp_path_factory.mktemp("exports")
    shutil.copytree(proven[0].artifact.path.parent, own, dirs_exist_ok=True)
    moved = [replace(e, artifact=replace(e.artifact, path=own / e.artifact.path.name)) for e in proven]
    return {(e.artifact.contract.model, e.artifact.format, e.artifact.contract.precision): e for e in moved}
