"""What the noise may have made is no difference, and what it cannot have made is one; on samples made by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pocketface.bench.perf import Measurement
from pocketface.bench.ratio import Ratio, ranks, ratio_of, ratio_to_sum

Make = Callable[..., Measurement]


def _medians(seed: int, spread: float = 0.2, rounds: int = 24) -> np.ndarray:
    return 5 * np.random.default_rng(seed).lognormal(0, spread, rounds)


@pytest.mark.parametrize("paired", [True, False])
def test_one_distribution_is_rarely_told_from_itself(measured: Make, paired: bool) -> None:
    pairs = [(measured(_medians(2 * i)), measured(_medians(2 * i + 1), seed=1)) for i in range(100)]
    ratios = [ratio_of(a, b, paired=paired) for a, b in pairs]
    told = sum(ratio is not None and ratio.verdict != "cannot be told apart" for ratio in ratios)
    assert told <= 12  # 95 % intervals: 5 are expected, and 13 come up once in a thousand times


@pytest.mark.parametrize("paired", [True, False])
def test_twice_as_long_is_slower_and_the_other_way_round_faster(measured: Make, paired: bool) -> None:
    one, other = measured(_medians(0)), measured(2 * _medians(1), seed=1)
    slower, faster = ratio_of(one, other, paired=paired), ratio_of(other, one, paired=paired)
    assert slower is not None
    assert faster is not None
    assert (slower.verdict, faster.verdict) == ("slower", "faster")
    assert slower.low < 2 < slower.high
    assert slower.value * faster.value == pytest.approx(1)


def test_rounds_side_by_side_tell_what_busy_moments_hide(measured: Make) -> None:
    busy = _medians(0, spread=1.0)
    one, other = measured(busy), measured(1.1 * busy, seed=1)
    side_by_side, apart = ratio_of(one, other, paired=True), ratio_of(one, other, paired=False)
    assert side_by_side is not None
    assert apart is not None
    assert side_by_side.verdict == "slower"
    assert apart.verdict == "cannot be told apart"
    assert apart.low < side_by_side.low < 1.1 < side_by_side.high < apart.high


def test_a_small_difference_is_none_however_sure(measured: Make) -> None:
    steady = np.full(24, 5.0)
    ratio = ratio_of(measured(steady), measured(1.01 * steady), paired=True)
    assert ratio is not None
    assert ratio.low > 1
    assert ratio.verdict == "cannot be told apart"


def test_without_single_times_or_with_few_nothing_is_told(measured: Make) -> None:
    told = Measurement(model="m", engine="e", percentiles_ms={"p50": 10.0})
    few = measured([5.0, 5.0])
    for one, other in ((told, measured(_medians(0))), (few, measured([50.0, 50.0]))):
        ratio = ratio_of(one, other, paired=False)
        assert ratio is not None
        assert not ratio.known
        assert ratio.verdict == "cannot be told apart"
    assert ratio_of(Measurement(model="m", engine="e"), few, paired=False) is None


def test_times_without_rounds_are_judged_by_pieces(measured: Make) -> None:
    ratio = ratio_of(measured(_medians(0), rounds=False), measured(3 * _medians(1), rounds=False), paired=True)
    assert ratio is not None
    assert ratio.verdict == "slower"


def test_who_cannot_be_told_apart_shares_a_place(measured: Make) -> None:
    busy = _medians(0)
    group = [measured(busy, seed=1), measured(busy, seed=2), measured(1.5 * busy, seed=3), measured(3 * busy, seed=4)]
    assert ranks(group) == [1, 1, 3, 4]


def test_a_drifting_machine_widens_the_interval_either_way() -> None:
    for drift in (1.25, 0.8):
        assert Ratio(1.2, 1.1, 1.3).widened(drift) == pytest.approx((1.2, 0.88, 1.625))
    assert Ratio(1.2, 1.1, 1.3).widened(1.25).verdict == "cannot be told apart"


def test_a_whole_beside_the_sum_of_its_parts(measured: Make) -> None:
    parts = [measured(np.full(24, 2.0), seed=i) for i in range(3)]
    ratio = ratio_to_sum(parts, measured(np.full(24, 9.0), seed=4))
    assert ratio is not None
    assert ratio.low < 1.5 < ratio.high
    assert ratio_to_sum(parts, measured(np.full(23, 9.0))) is None
