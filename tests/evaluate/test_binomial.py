"""Wilson's interval against its defining equation."""

from __future__ import annotations

import math

import pytest

from pocketface.evaluate.binomial import wilson


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (50, 1000)])
def test_the_ends_are_where_the_normal_test_just_rejects(successes, trials):
    share = successes / trials
    for end in wilson(successes, trials):
        if 1e-9 < end < 1 - 1e-9:
            assert abs(share - end) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / trials), rel=1e-6)


def test_known_values_and_no_trials():
    assert wilson(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.72247, 1.0), abs=1e-4)
    assert wilson(0, 0) is None
