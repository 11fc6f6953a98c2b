"""The file that is quantized may be a kinder one than the file that it is judged beside."""

from __future__ import annotations

import pytest

from pocketface.errors import ExportError
from pocketface.quantize.equalized import equalized_source, require_same
from pocketface.quantize.pipeline import quantize_artifact

DETECTOR = "mos_xs"


def test_an_equalised_file_answers_the_same_and_its_child_says_so(job_for, quantized, tmp_path):
    job = job_for(DETECTOR, "onnx", "static_wi8_ai8")
    source = equalized_source(job.parent, job.calibration, tmp_path)
    assert source.sha256 != job.parent.sha256
    exact = job.judge.compare(source).figures
    assert exact["missed"] == 0
    assert exact["box_iou"] > 0.9999
    assert exact["landmarks"] < 1e-4
    job = job_for(DETECTOR, "onnx", "static_wi8_ai8", source=source)
    made = quantize_artifact(job, tmp_path / "out")
    assert made.fidelity.figures["box_iou"] > 0.85
    how, plain = made.artifact.contract.quantization, quantized(DETECTOR, "onnx", "static_wi8_ai8").artifact
    assert (how.equalized, plain.contract.quantization.equalized) == (True, False)
    assert how.parent == job.parent.sha256
    assert made.artifact.sha256 != plain.sha256


def test_a_change_that_is_not_exact_is_refused(job_for, quantized):
    job = job_for(DETECTOR, "onnx", "static_wi8_ai8")
    other = quantized(DETECTOR, "onnx", "static_wi8_ai8").artifact
    with pytest.raises(ExportError, match=r"mos_xs_320_fp32\.onnx: equalising changed its answers .*box_iou 0\."):
        require_same(job.parent, other, job.calibration)
