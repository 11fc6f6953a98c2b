"""Make the suite test this checkout, even where another pocketface is installed: the root is the package."""

from __future__ import annotations

import fcntl
import gc
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
sys.path.insert(0, VIEW)
if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores; one that takes all of them slows the others down
    os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [VIEW, os.environ.get("PYTHONPATH", "")]))
os.environ["POCKETFACE_CACHE"] = str(Path(VIEW) / "cache")  # what another run left in the user's changes nothing here


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # coremltools collects garbage after every conversion; this spares it a look at all that was imported


def pytest_unconfigure() -> None:
    shutil.rmtree(VIEW)  # the link, not what it leads to


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


class Exports(dict[tuple[str, str, str], "Exported"]):
    """(model, format, precision) -> proven export, made when it is first asked for, once for all workers.

    Every worker has a copy of its own, because coremltools writes a package's manifest anew whenever it opens one.
    """

    def __init__(self, once: Callable[..., Exported], own: Path, seed: int | None) -> None:
        super().__init__()
        self._once, self._own, self._seed = once, own, seed

    def __missing__(self, key: tuple[str, str, str]) -> Exported:
        model, format, precision = key

        def make(folder: Path) -> Exported:
            from pocketface.export import build_model, export_model

            built = build_model(model, seed=self._seed)
            (made,) = export_model(built, folder, formats=[format], precisions=[precision])
            return made

        made = self._once("-".join(("bundled" if self._seed is None else "seeded", *key)), make)
        shutil.copytree(made.artifact.path.parent, self._own, dirs_exist_ok=True)
        self[key] = replace(made, artifact=replace(made.artifact, path=self._own / made.artifact.path.name))
        return self[key]


@pytest.fixture(scope="session")
def exports(once: Callable[..., Exported], tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """Exports of networks with seeded weights: what is tested with them must hold for any weights."""
    return Exports(once, tmp_path_factory.mktemp("exports"), seed=0)


@pytest.fixture(scope="session")
def bundled_exports(once: Callable[..., Exported], tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """Exports of networks with the bundled weights, for what only a trained network does."""
    return Exports(once, tmp_path_factory.mktemp("bundled"), seed=None)
