"""What TFLite computes in 8 bits is the same on a phone's processor: the real run, under emulation.

ONNX Runtime is left out: it runs some layers of a file in 8 bits in float, others on x86 than on arm64.
"""

from __future__ import annotations

import pytest

from pocketface.evaluate.arm64.compare import compare
from pocketface.evaluate.arm64.fetch import Unavailable
from pocketface.evaluate.arm64.machine import prepare


@pytest.mark.slow
def test_an_emulated_phone_gives_the_same_integers(quantized):
    try:
        guest = prepare()
    except Unavailable as e:
        pytest.skip(f"no emulated arm64: {e}")
    (exact,) = compare([quantized("facelivtv2_xs", "tflite", "static_wi8_ai8").artifact], guest, pictures=1)
    assert exact.failed == []
