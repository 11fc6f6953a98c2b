"""What a user gets from `pip install`: the right files, under one name, running on the declared packages alone."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from email import message_from_bytes
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pocketface.weights import list_bundled

if TYPE_CHECKING:
    from pocketface.export import Exported

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BASE = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
#: What torch brings where it was not built for the CPU alone; it says itself which versions.
CUDA = ("nvidia-", "cuda-", "triton")
NOT_SHIPPED = ("tests", "bindings", "docs", "build", "dist", "out")
INVISIBLE = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "out", "node_modules")


def modules() -> set[str]:
    """Every module of the package, as its path from the root."""
    paths = (path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
    return {p.as_posix() for p in paths if p.parts[0] not in NOT_SHIPPED and not p.parts[0].startswith(".")}


def closure(requirements: list[str]) -> dict[str, metadata.Distribution]:
    """Every installed distribution that the requirements bring on this platform, by its canonical name."""
    todo, seen = [(Requirement(r), "") for r in requirements], {}
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        for wanted in ("", *requirement.extras):
            key = canonicalize_name(requirement.name), wanted
            if key not in seen:
                seen[key] = metadata.distribution(requirement.name)
                todo += [(Requirement(r), wanted) for r in seen[key].requires or []]
    return {name: distribution for (name, _), distribution in seen.items()}


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program that sees nothing of this test run's Python paths."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | environment
    return subprocess.run(list(map(str, command)), cwd=cwd, env=clean, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel built from it, of a copy of this checkout."""
    copy, dist = tmp_path_factory.mktemp("checkout") / "some name", tmp_path_factory.mktemp("dist")
    shutil.copytree(ROOT, copy, ignore=INVISIBLE)
    built = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, copy, cwd=dist)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    return next(dist.glob("*.tar.gz")), next(dist.glob("*.whl"))


@pytest.fixture(scope="module")
def clean(archives: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an environment with the wheel and what `pip install pocketface` brings with it, nothing else.

    The packages are links to the ones that are installed here, so that no network is needed.
    """
    folder = tmp_path_factory.mktemp("clean") / "environment"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", archives[1])
    installed = run(*pip, cwd=folder)
    assert installed.returncode == 0, installed.stderr
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).stdout.strip())
    for distribution in closure(BASE).values():
        for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))))
    return folder


def test_every_folder_with_modules_is_a_package_and_listed() -> None:
    folders = {Path(module).parent.as_posix() for module in modules()}
    names = {"pocketface" if folder == "." else f"pocketface.{folder.replace('/', '.')}" for folder in folders}
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(names)
    assert {f"{folder}/__init__.py" for folder in folders - {"."}} <= modules()


def test_the_pinned_versions_are_whole_and_hold_nothing_else() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines == sorted(lines, key=lambda line: canonicalize_name(line.split("==")[0]))
    pins = {canonicalize_name(r.name): r for r in map(Requirement, lines) if not r.marker or r.marker.evaluate()}
    everything = closure([*BASE, *(r for extra in EXTRAS.values() for r in extra)])
    needed = {name: found for name, found in everything.items() if not name.startswith(CUDA)}
    assert needed.keys() <= pins.keys()
    if (sys.platform, platform.machine()) == ("linux", "x86_64"):  # elsewhere, what is needed differs by a little
        assert pins.keys() <= needed.keys()
    for name, distribution in needed.items():
        assert pins[name].specifier.contains(distribution.version), f"{name} {distribution.version} is installed"


@pytest.mark.parametrize("requirement", sorted({*BASE, *(r for extra in EXTRAS.values() for r in extra)}))
def test_a_pinned_version_is_one_that_is_allowed(requirement: str) -> None:
    asked = Requirement(requirement)
    pin = re.search(rf"^{re.escape(asked.name)}==([^\s;]+)", (ROOT / "constraints.txt").read_text(), re.M | re.I)
    assert pin
    assert asked.specifier.contains(pin[1])


def test_the_wheel_holds_the_package_and_nothing_else(archives: tuple[Path, Path]) -> None:
    _, wheel = archives
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        info = next(name.split("/")[0] for name in names if name.endswith(".dist-info/METADATA"))
        about = message_from_bytes(archive.read(f"{info}/METADATA"))
    assert {name.split("/")[0] for name in names} == {"pocketface", info}
    inside = {name.removeprefix("pocketface/") for name in names if name.startswith("pocketface/")}
    assert {name for name in inside if name.endswith(".py")} == modules()
    assert {name for name in inside if not name.endswith(".py")} == {
        "py.typed",
        "report.html.j2",
        *(path.relative_to(ROOT).as_posix() for path in (ROOT / "bench" / "serve" / "page").iterdir()),
        "evaluate/faces/landmarks.json",
        *(f"evaluate/people/person_{who}_{i}.jpg" for who in "abcde" for i in (1, 2, 3)),
        "weights/manifest.json",
        "weights/landmark_forest.npz",
        "weights/landmark_forest.md",
        *(f"weights/{one.file}" for one in list_bundled()),
        *(f"weights/{one.card.name}" for one in list_bundled()),
        *(f"evaluate/faces/person_{i:03}.jpg" for i in range(48)),
    }
    assert f"{info}/licenses/LICENSE" in names
    assert about["License-Expression"] == "Apache-2.0"
    assert wheel.stat().st_size < 25e6


def test_the_sdist_holds_no_tests_and_no_bindings(archives: tuple[Path, Path]) -> None:
    with tarfile.open(archives[0]) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert not {name for name in inside if name.split("/")[0] in (*NOT_SHIPPED, ".ci")}
    assert {"pyproject.toml", "constraints.txt", "LICENSE", "README.md"} <= inside


def test_the_declared_packages_are_enough_for_the_runtime(clean: Path) -> None:
    code = """
import importlib, importlib.util, pkgutil, sys
import pocketface, pocketface.runtime
for missing in ("torch", "onnx", "coremltools", "litert_torch", "ai_edge_litert", "jinja2", "pytest"):
    assert importlib.util.find_spec(missing) is None, missing
for name in ("artifact", "report", "render", "cli", "bench"):
    importlib.import_module(f"pocketface.{name}")
for module in pkgutil.walk_packages(pocketface.runtime.__path__, "pocketface.runtime."):
    importlib.import_module(module.name)
print(pocketface.__file__)
"""
    done = run(clean / "bin" / "python", "-c", code, cwd=clean)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(clean)


def test_the_console_script_runs(clean: Path) -> None:
    known = "from importlib.metadata import version; print('pocketface, version', version('pocketface'))"
    done = run(clean / "bin" / "pocketface", "--version", cwd=clean)
    assert done.returncode == 0, done.stderr
    assert done.stdout == run(clean / "bin" / "python", "-c", known, cwd=clean).stdout
    helped = run(clean / "bin" / "python", "-m", "pocketface", "--help", cwd=clean)
    assert helped.returncode == 0, helped.stderr
    assert "export" in helped.stdout


def test_a_command_that_needs_an_extra_names_it(clean: Path) -> None:
    done = run(clean / "bin" / "pocketface", "export", "facelivtv2_xs", cwd=clean)
    assert done.returncode == 1
    assert "pip install 'pocketface[export]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_exported_onnx_runs_on_the_declared_packages(
    clean: Path, exports: dict[tuple[str, str, str], Exported]
) -> None:
    code = """
import sys
import numpy as np
from pocketface.runtime.embedder import Embedder
crops = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), np.uint8)
print(np.linalg.norm(Embedder(sys.argv[1]).embed(crops), axis=1).tolist())
"""
    path = exports["facelivtv2_xs", "onnx", "float32"].artifact.path
    done = run(clean / "bin" / "python", "-c", code, path, cwd=clean)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == pytest.approx([1, 1], abs=1e-5)
