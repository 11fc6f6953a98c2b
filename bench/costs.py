"""Time and memory of whole jobs, each in a process of its own: export a model, analyse a large photo."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ..report import Column, Row, Section

COLUMNS = (
    Column(key="job", name="job"),
    Column(key="time_s", name="time", unit="s", kind="number", spec=".1f"),
    Column(key="limit_s", name="limit", unit="s", kind="number", spec=".0f"),
    Column(key="peak_mb", name="peak memory", unit="MB", kind="number", spec=".0f"),
    Column(key="limit_mb", name="limit", unit="MB", kind="number", spec=".0f"),
    Column(key="within", name="verdict", kind="verdict"),
)
#: Runs the command line in its process, then says how long it took and the most memory it held.
_CHILD = """
import json, sys, time
from pocketface.bench.system import peak_memory_bytes
from pocketface.cli import cli
start = time.perf_counter()
try:
    cli(sys.argv[1:])
except SystemExit as end:
    status = end.code or 0
peak_mb = (peak_memory_bytes() or 0) / 1e6
print(json.dumps({"status": status, "time_s": time.perf_counter() - start, "peak_mb": peak_mb}))
"""


def measure_export(model: str = "facelivtv2_xs", limit_s: float = 90, limit_mb: float = 4000) -> Section:
    """Export a model to all three formats, each proven on faces."""
    with tempfile.TemporaryDirectory() as folder:
        row = _job(f"export {model} to all formats", ["export", model, "--out", folder], limit_s, limit_mb)
    return Section(title="Exporting", columns=COLUMNS, rows=[row])


def measure_photo(detector: Path, recognizer: Path, limit_s: float = 10, limit_mb: float = 400) -> Section:
    """Detect and embed in a photo of 12 megapixels, reading the file included."""
    from PIL import Image

    from ..evaluate.faces import BUNDLED

    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        with Image.open(BUNDLED / "person_000.jpg") as portrait:
            portrait.resize((3464, 3464)).save(photo)
        models = ["--detector", str(detector), "--recognizer", str(recognizer)]
        call = ["embed", str(photo), *models, "--threshold", "0.3", "--out", str(Path(folder) / "e.npz")]
        row = _job("detect and embed in a 12-megapixel photo", call, limit_s, limit_mb)
    return Section(title="A large photo", columns=COLUMNS, rows=[row])


def _job(name: str, arguments: Sequence[str], limit_s: float, limit_mb: float) -> Row:
    start = time.perf_counter()
    call = [sys.executable, "-c", _CHILD, *arguments]
    done = subprocess.run(call, check=True, capture_output=True, text=True)
    told = json.loads(done.stdout.splitlines()[-1])
    time_s, peak_mb = time.perf_counter() - start, float(told["peak_mb"])
    within = told["status"] == 0 and time_s <= limit_s and peak_mb <= limit_mb
    return {
        "job": name,
        "time_s": time_s,
        "limit_s": limit_s,
        "peak_mb": peak_mb,
        "limit_mb": limit_mb,
        "within": within,
    }
