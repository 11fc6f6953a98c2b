"""Two runs are matched and compared, and the machine's own mood is not taken for a change."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pocketface.bench.changes import changes_between, changes_section
from pocketface.bench.perf import Measurement, Perf
from pocketface.errors import InvalidData

Make = Callable[..., Measurement]
Run = Callable[..., Perf]
STEADY = np.full(24, 5.0)


def test_files_are_matched_by_name_stage_engine_precision_and_threads(measured: Make, perf_of: Run) -> None:
    before = perf_of(measured(STEADY), measured(STEADY, threads=2), measured(STEADY, stage="preprocess"))
    after = perf_of(measured(2 * STEADY), measured(STEADY, engine="f"), measured(9 * STEADY, stage="preprocess"))
    changes = changes_between(before, after)
    assert [(c.after.threads, c.ratio.verdict) for c in changes.changes] == [(1, "slower")]
    assert "Only before: m.onnx on e." in changes.notes
    assert "Only after: m.onnx on f." in changes.notes
    assert len(changes_between(before, after, ["preprocess"]).changes) == 1


def test_a_limit_fails_only_what_the_noise_does_not_explain(measured: Make, perf_of: Run) -> None:
    noisy = 5 * np.random.default_rng(0).lognormal(0, 1.0, 24)
    before = perf_of(measured(STEADY), measured(noisy, model="noisy.onnx"))
    after = perf_of(measured(1.2 * STEADY), measured(1.2 * noisy[::-1], model="noisy.onnx"))
    changes = changes_between(before, after)
    assert changes_section(changes, 1.1).failed == ["m.onnx"]
    assert changes_section(changes, 1.3).failed == []
    assert changes_section(changes).checks == []


def test_what_the_matrix_product_lost_is_no_change_of_the_file(measured: Make, perf_of: Run) -> None:
    before = perf_of(measured(STEADY, roof_macs_per_s=6e9))
    after = perf_of(measured(1.4 * STEADY, roof_macs_per_s=4e9))
    changes = changes_between(before, after)
    assert changes.changes[0].ratio.verdict == "cannot be told apart"
    assert "1.500 times as long" in changes.notes[0]


def test_another_device_is_another_device(measured: Make, perf_of: Run) -> None:
    before = perf_of(measured(STEADY, roof_macs_per_s=6e9))
    after = perf_of(measured(1.4 * STEADY, roof_macs_per_s=4e9), name="another")
    changes = changes_between(before, after)
    assert changes.changes[0].ratio.verdict == "slower"
    assert changes.notes[0].startswith("Different devices: a machine")


def test_a_program_that_tells_only_a_mean_is_named(measured: Make, perf_of: Run) -> None:
    told = Measurement(model="told.onnx", engine="e", mean_ms=5.0)
    changes = changes_between(perf_of(measured(STEADY), told), perf_of(measured(STEADY), told))
    assert [change.after.model for change in changes.changes] == ["m.onnx"]
    assert "Without a median, so not compared: told.onnx on e." in changes.notes


def test_what_cannot_be_matched_is_an_error(measured: Make, perf_of: Run) -> None:
    one, other = measured(STEADY), measured(STEADY, engine="f")
    with pytest.raises(InvalidData, match=r"nothing in common: m\.onnx on e before, m\.onnx on f after"):
        changes_between(perf_of(one), perf_of(other))
    with pytest.raises(InvalidData, match="measured twice"):
        changes_between(perf_of(one, one), perf_of(one))
