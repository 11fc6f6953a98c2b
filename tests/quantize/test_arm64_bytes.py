"""What is quantized here gives the same bytes on a phone's processor: the real run, under emulation."""

from __future__ import annotations

import pytest

from pocketface.evaluate.arm64.compare import compare
from pocketface.evaluate.arm64.fetch import Unavailable
from pocketface.evaluate.arm64.machine import prepare


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_an_emulated_phone_gives_the_same_bytes(format, quantized):
    try:
        guest = prepare()
    except Unavailable as e:
        pytest.skip(f"no emulated arm64: {e}")
    (exact,) = compare([quantized("facelivtv2_xs", format, "static_wi8_ai8").artifact], guest, pictures=1)
    assert exact.failed == []
