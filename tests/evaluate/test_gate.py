"""A gate holds, breaks, or is not a gate at all."""

from __future__ import annotations

import math

import pytest

from pocketface.evaluate.drift import Drift, Shift, TarDrop, Turn
from pocketface.evaluate.gate import FIGURES, broken, parse_gate


def drift(**changes):
    shift = Shift(mean=-0.01, mean_interval=None, spread=0.01, largest=0.1)
    values = {
        "pictures": 10,
        "turn": Turn(mean=0.99, mean_interval=None, p1=0.98, min=0.9),
        "genuine": shift,
        "impostor": shift,
        "tar": (TarDrop(far=1e-2, first=0.9, other=0.8, drop=0.1, drop_interval=None),),
        "far": 1e-2,
        "threshold": 0.3,
        "flips_genuine": 0.006,
        "flips_impostor": 0.002,
        "flips_all": 0.0021,
        "flips": 0.004,
        "flips_interval": None,
    }
    return Drift(**{**values, **changes})


def test_conditions_are_read_and_judged():
    gate = parse_gate("flips<=0.004, tar_drop <= 1e-1,cosine>=.99")
    assert [str(c) for c in gate] == ["flips <= 0.004", "tar_drop <= 0.1", "cosine >= 0.99"]
    assert broken(gate, drift().figures) == []
    assert broken(parse_gate("flips<=0.0039,cosine_min>=0.985"), drift().figures) == [
        "flips is 0.004, flips <= 0.0039 is wanted",
        "cosine_min is 0.9, cosine_min >= 0.985 is wanted",
    ]


def test_every_figure_of_a_drift_can_be_judged_and_no_other():
    assert set(drift().figures) == set(FIGURES)


def test_what_was_not_measured_does_not_hold():
    assert broken(parse_gate("cosine>=0"), drift(turn=None).figures) == [
        "cosine was not measured, cosine >= 0 is wanted"
    ]
    assert broken(parse_gate("flips<=1"), drift(flips=math.nan).figures)


@pytest.mark.parametrize("text", ["", "flips", "flips<0.1", "flips<=", "flips<=x", "flips<=0.1,", "flips=<0.1"])
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(ValueError, match="expected conditions like"):
        parse_gate(text)


def test_a_figure_that_there_is_not_is_named():
    with pytest.raises(ValueError, match=r"no figure 'flip' to judge, only cosine, .*flips"):
        parse_gate("flip<=0.1")
