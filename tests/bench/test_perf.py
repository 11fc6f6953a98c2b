"""A perf.json says the same after a round trip, and a stranger's is refused with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pocketface.bench.perf import Device, Measurement, Parity, Perf, load_perf, parse_perf
from pocketface.errors import InvalidData

PERF = Perf(
    device=Device(kind="browser", name="a phone", facts={"isolated": "yes"}),
    measurements=(
        Measurement(
            model="m.onnx",
            engine="onnxruntime-web wasm",
            times_ms=(3.0, 1.0, 2.0, 10.0),
            parity=Parity(measure="cosine", value=0.99, pictures=3, passed=True),
        ),
        Measurement(model="m.tflite", engine="benchmark_model", percentiles_ms={"p50": 4.0}),
    ),
)


def test_a_file_says_what_was_saved(tmp_path: Path) -> None:
    PERF.save(tmp_path / "perf.json")
    assert load_perf(tmp_path / "perf.json") == PERF


def test_percentiles_are_of_the_times_or_as_told() -> None:
    timed, told = PERF.measurements
    assert timed.percentile_ms(50) == np.median([1, 2, 3, 10])
    assert told.percentile_ms(50) == 4.0
    assert told.percentile_ms(99) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"device": {"kind": "host", "name": "x"}, "measurements": [], "version": 2}',
        b'{"device": {"kind": "host", "name": "x"}, "measurements": [], "more": 1}',
        b'{"device": {"kind": "host", "name": "x"}, "measurements": [{"model": "m", "engine": "e", "times_ms": [-1]}]}',
        b'{"device": {"kind": "host", "name": "x"}, "measurements": [{"model": "m", "engine": "e", "sha256": "zz"}]}',
        b'{"device": {"kind": "host", "name": "x"}, "measurements": '
        b'[{"model": "m", "engine": "e", "times_ms": [1, 2], "rounds": 3}]}',
        b'{"device": {"kind": "host", "name": "x"}, "measurements": [{"model": "m", "engine": "e", "rounds": 2}]}',
        b'{"device": {"kind": "host", "name": "x", "cores": 1' + b"0" * 400 + b'}, "measurements": []}',
        b'{"device": {"kind": "host", "name": "' + b"x" * 501 + b'"}, "measurements": []}',
        b"[" * 100_000,
    ],
)
def test_what_is_none_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidData, match=r"perf\.json"):
        parse_perf(text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="nowhere"):
        load_perf(tmp_path / "nowhere.json")
