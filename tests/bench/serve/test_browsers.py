"""The whole way in real browsers: the page runs real exports in real engines, and posts what it found by itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pocketface.bench.serve.address import lan_address
from pocketface.bench.serve.engines import ENGINES, find_engine
from pocketface.errors import UnsupportedModel
from pocketface.export import build_model, export_model

pytestmark = pytest.mark.slow

CHROMIUM = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--ignore-certificate-errors",
)
BROWSERS = {
    "chromium": lambda profile: (*CHROMIUM, f"--user-data-dir={profile}"),
    "firefox-esr": lambda profile: ("--headless", "--no-remote", "--profile", profile),
}


@contextmanager
def opened(browser: str, url: str) -> Iterator[None]:
    """A browser that shows the page, with a profile of its own."""
    program = shutil.which(browser)
    assert program
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        quiet = subprocess.DEVNULL
        command = [program, *BROWSERS[browser](profile), f"{url}#auto&name=tested"]
        process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
        try:
            yield
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The bundled detector and recogniser, one in each engine's format."""
    for engine in ENGINES:
        try:
            find_engine(engine.format)
        except UnsupportedModel as e:
            pytest.skip(str(e))
    folder, found = tmp_path_factory.mktemp("exports"), []
    for name, format in (("mos_xs", "onnx"), ("facelivtv2_xs_ri", "tflite")):
        (one,) = export_model(build_model(name), folder, formats=[format], precisions=["float32"])
        found.append(one.artifact.path)
    return found


LOCAL = ("--host", "127.0.0.1")


@pytest.mark.parametrize(
    ("browser", "options", "isolated"),
    [
        ("chromium", LOCAL, True),
        ("chromium", (*LOCAL, "--tls"), True),
        ("chromium", (), False),  # over plain http from another machine, as a phone has it
        ("firefox-esr", LOCAL, True),
    ],
)
def test_a_browser_answers_rightly(models: list[Path], browser: str, options: tuple[str, ...], isolated: bool) -> None:
    if shutil.which(browser) is None:
        pytest.skip(f"{browser} is not installed")
    if not isolated and lan_address() == "127.0.0.1":
        pytest.skip("this machine is in no network")
    command = [sys.executable, "-P", "-m", "pocketface", "bench", "serve", *map(str, models)]
    command += ["--seconds", "0.5", "--pictures", "4", "--timeout", "240", "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        said = ""
        while not (found := re.search(r"Open on the device: (\S+)\n", said)):
            line = process.stderr.readline()
            assert line, said
            said += line
        with opened(browser, found[1]):
            out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    (perf,) = json.loads(out)
    assert perf["device"]["name"] == "tested"
    assert perf["device"]["facts"]["isolated"] == ("yes" if isolated else "no")
    ran = {(one["model"], one["engine"].split()[-1]) for one in perf["measurements"] if one.get("times_ms")}
    assert ran >= {("mos_xs_320_fp32.onnx", "wasm"), ("facelivtv2_xs_ri_112_fp32.tflite", "wasm")}
    assert all(one["parity"]["passed"] for one in perf["measurements"] if one.get("times_ms"))
    threads = {one["threads"] for one in perf["measurements"] if one.get("times_ms")}
    assert threads == ({1, min(4, perf["device"]["cores"])} if isolated else {1})
