"""The npm package beside the Python one: one version, pinned tools, and no registry named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pocketface

WEB = Path(__file__).resolve().parents[2] / "bindings" / "web"
PACKAGE = json.loads((WEB / "package.json").read_text())
LOCK = json.loads((WEB / "package-lock.json").read_text())


def test_it_has_the_version_of_the_python_package() -> None:
    assert PACKAGE["version"] == LOCK["version"] == pocketface.__version__


def test_it_brings_no_package_and_every_tool_is_pinned_with_its_hash() -> None:
    assert "dependencies" not in PACKAGE
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in PACKAGE["devDependencies"].values())
    assert all("integrity" in package for path, package in LOCK["packages"].items() if path)


def test_the_lock_names_no_host() -> None:
    assert all("resolved" not in package for package in LOCK["packages"].values())
