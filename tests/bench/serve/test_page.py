"""The page's arithmetic is numpy's, and its scripts keep to what the server lets through."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketface.bench.serve import engines
from pocketface.bench.serve import server as serving_module
from pocketface.bench.serve.address import qr_code
from pocketface.bench.serve.judge import settled
from pocketface.cli import bench_serve
from pocketface.errors import UnsupportedModel

PAGE = Path(serving_module.__file__).parent / "page"


def in_node(tmp_path: Path, script: str) -> Any:
    """What a script prints as JSON that has the page's timing."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    shutil.copy(PAGE / "timing.js", tmp_path / "timing.mjs")
    (tmp_path / "test.mjs").write_text(f'import * as timing from "./timing.mjs";\n{script}')
    done = subprocess.run([node, tmp_path / "test.mjs"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_percentiles_and_settling_are_those_of_the_server(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lists = [random.gamma(9, 1, size).tolist() for size in (2, 3, 10, 99, 100, 1000, 1001)]
    lists += [[*one, *(np.array(one) * factor).tolist()] for one in lists for factor in (1.0, 1.04, 1.06)]
    script = f"""const lists = {json.dumps(lists)};
    console.log(JSON.stringify(lists.map((times) =>
      [timing.settled(times), ...[50, 90, 99].map((p) => timing.percentile(times, p))])));"""
    for times, (says, *percentiles) in zip(lists, in_node(tmp_path, script), strict=True):
        np.testing.assert_allclose(percentiles, np.percentile(times, (50, 90, 99)), rtol=1e-12)
        assert says == settled(times)


def test_it_runs_until_it_has_settled_and_never_longer_than_allowed(tmp_path: Path) -> None:
    script = """const limits = { warmUp: 5, least: 100, most: 300, seconds: 60 };
    let runs = 0;
    let now = 0;
    performance.now = () => now;
    const steady = await timing.measure(async () => { runs += 1; now += 2; }, limits, () => {});
    const warm = runs - steady.length;
    const growing = await timing.measure(async () => { runs += 1; now += runs; }, limits, () => {});
    const slow = await timing.measure(async () => { now += 7000; }, limits, () => {});
    const endless = await timing.measure(async () => { now += 90000; }, limits, () => {});
    console.log(JSON.stringify([warm, steady.length, growing.length, slow.length, endless.length]));"""
    warm, steady, growing, slow, endless = in_node(tmp_path, script)
    assert (warm, steady) == (5, 100)
    assert 100 <= growing < 300  # its time was up
    assert (slow, endless) == (9, 1)


def test_no_script_or_style_stands_in_the_page_where_the_policy_forbids_it() -> None:
    for file in PAGE.glob("*.html"):
        text = file.read_text()
        assert not re.search(r"<script(?![^>]*(src=|importmap))|<style|\son\w+=|\sstyle=", text), file.name
    assert not any("http" in file.read_text() for file in PAGE.glob("*.js") if file.name != "main.js")


def test_the_command_names_the_settings_that_there_are() -> None:
    assert bench_serve.SETTINGS == engines.SETTINGS


def test_a_missing_engine_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"onnxruntime-web is needed.*`npm install onnxruntime-web`"):
        engines.find_engine("onnx", tmp_path)
    with pytest.raises(UnsupportedModel, match="expected one of onnx, tflite"):
        engines.find_engine("coreml")


@pytest.mark.parametrize("text", ["", "[]", '{"version": 3}', "\x00"])
def test_a_damaged_package_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "onnxruntime-web").mkdir()
    (tmp_path / "onnxruntime-web" / "package.json").write_text(text)
    with pytest.raises(UnsupportedModel, match=r"package\.json cannot be read"):
        engines.find_engine("onnx", tmp_path)


def test_a_package_without_its_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "onnxruntime-web").mkdir()
    (tmp_path / "onnxruntime-web" / "package.json").write_text('{"version": "1.0.0"}')
    with pytest.raises(UnsupportedModel, match=r"onnxruntime-web 1\.0\.0 has no .*ort\.wasm\.min\.mjs"):
        engines.find_engine("onnx", tmp_path)


def test_serving_needs_no_torch() -> None:
    code = """
import sys
for name in ("torch", "onnx", "segno", "cryptography", "jinja2"):
    sys.modules[name] = None
from pocketface.bench.serve import address, desk, exam, judge, server, table, tls
assert address.qr_code("http://x") is None
try:
    tls.self_signed("127.0.0.1")
except Exception as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("pip install 'pocketface[serve]'")


def test_the_code_is_that_of_the_address() -> None:
    segno = pytest.importorskip("segno")
    url = "http://192.0.2.1:8000/abcdefghijklmnop/"
    lines = (qr_code(url) or "").splitlines()
    side = segno.make(url, micro=False, error="l").symbol_size(border=4)[0]
    assert side == len(lines[0]) == 2 * len([line for line in lines if line]) - side % 2
