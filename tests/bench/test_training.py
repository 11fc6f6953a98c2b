"""The benchmark measures what its rows say: the forms, arithmetic and layouts that train without a crash."""

from __future__ import annotations

import pytest
import torch

from pocketface.bench import training
from pocketface.bench.timing import Task
from pocketface.models import create_model


def test_each_row_is_what_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, tuple[torch.dtype, bool]] = {}

    def once(tasks: dict[str, Task], **_: int) -> dict[str, float]:
        for name, task in tasks.items():
            network, _optimizer, crops, _target, precision = task.args  # type: ignore[attr-defined]
            quick = any("forward" in vars(module) for module in network.modules())
            assert quick == ("quick" in name)
            seen[name] = precision, crops.is_contiguous(memory_format=torch.channels_last)
        return {name: 1.0 + i for i, name in enumerate(tasks)}

    monkeypatch.setattr(training, "median_ms", once)
    section = training.measure_training("facelivtv2_xs", batch=2)
    assert len(section.rows) == len(seen) == 6
    for name, (precision, last) in seen.items():
        assert (precision is torch.bfloat16, last) == ("bfloat16" in name, "channels-last" in name)
    assert [row["speedup"] for row in section.rows] == [1 / (1 + i) for i in range(6)]
    assert section.rows[0]["crops_per_s"] == 2000


def test_a_step_trains() -> None:
    step = training._step("facelivtv2_xs", 2, "quick", "bfloat16", "channels-last")
    before = create_model("facelivtv2_xs", seed=0).state_dict()
    step()
    after = step.args[0].state_dict()  # type: ignore[attr-defined]
    assert sum(not torch.equal(before[key], after[key]) for key in before) > len(before) / 2
