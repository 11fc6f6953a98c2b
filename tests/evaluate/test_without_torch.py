"""The protocols run on a machine that has the runtime and no torch, onnx or coremltools."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
for name in ("torch", "onnx", "coremltools", "tensorflow", "matplotlib"):
    sys.modules[name] = None
from pathlib import Path
from pocketface.artifact import Artifact
from pocketface.cli import cli
from pocketface.errors import MissingExtra
from pocketface.evaluate import calibrate, verification_run, verification_table
from pocketface.runtime.backends import available_backends, open_backend
assert available_backends("coreml")[-1] == "mil"
try:
    open_backend(Artifact(Path("net.mlpackage"), None, "", 0), "mil")
except MissingExtra as error:
    print(error)
"""


def test_verification_needs_no_torch():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("torch is needed to run a Core ML package without Core ML: pip install")
