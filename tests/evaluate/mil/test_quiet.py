"""coremltools comes without its remarks, or with the name of the extra that brings it."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from pocketface.errors import MissingExtra
from pocketface.evaluate.mil import quiet


def test_nothing_is_printed_and_logging_is_as_before() -> None:
    program = (
        "import logging; logging.disable(5)\n"
        "from pocketface.evaluate.mil.quiet import coremltools\n"
        "assert coremltools() is coremltools()\n"
        "print(coremltools().__name__, logging.root.manager.disable)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "coremltools 5\n"
    assert done.stderr == ""


def test_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "coremltools", None)
    with pytest.raises(MissingExtra, match=r"pocketface\[coreml\]"):
        quiet.coremltools.__wrapped__()
    assert logging.root.manager.disable == 0
