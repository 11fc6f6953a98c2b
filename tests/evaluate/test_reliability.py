"""Calibration recovers what made the data, agrees with scikit-learn, and its error is what is counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pocketface.errors import InvalidData
from pocketface.evaluate.reliability import Calibration, fit_calibration, reliability

RNG = np.random.default_rng(0)
GENUINE, IMPOSTOR = RNG.normal(0.6, 0.15, 3000), RNG.normal(0.05, 0.15, 40_000)


def test_two_gaussians_give_the_slope_and_offset_of_theory() -> None:
    """Equal variances: log-odds are linear, slope (m1 - m0) / s^2, and cross 0 half way at prior 1/2."""
    found = fit_calibration(GENUINE, IMPOSTOR)
    assert found.slope == pytest.approx(0.55 / 0.15**2, rel=0.06)
    assert found.score(0.5) == pytest.approx(0.325, abs=0.01)
    assert found.probability(np.array([found.score(0.9)]))[0] == pytest.approx(0.9)


@pytest.mark.parametrize("prior", [0.5, 0.01])
def test_it_agrees_with_scikit_learn(prior: float) -> None:
    found = fit_calibration(GENUINE, IMPOSTOR, prior=prior)
    scores = np.r_[GENUINE, IMPOSTOR][:, None]
    same = np.arange(len(scores)) < len(GENUINE)
    weights = np.where(same, prior / len(GENUINE), (1 - prior) / len(IMPOSTOR)) * len(scores)
    other = LogisticRegression(C=1e12, tol=1e-12, max_iter=2000).fit(scores, same, weights)
    assert found.slope == pytest.approx(other.coef_[0, 0], rel=1e-4)
    assert found.offset == pytest.approx(other.intercept_[0], rel=1e-4)


def test_a_rarer_match_makes_the_same_score_less_sure() -> None:
    even, rare = (fit_calibration(GENUINE, IMPOSTOR, prior=prior) for prior in (0.5, 0.001))
    assert rare.score(0.5) > even.score(0.5) + 0.1


def test_a_histogram_is_the_same_as_its_pairs() -> None:
    levels = np.round(IMPOSTOR, 2)
    values, counts = np.unique(levels, return_counts=True)
    one, other = fit_calibration(GENUINE, levels), fit_calibration(GENUINE, values, counts=counts)
    assert one.slope == pytest.approx(other.slope, rel=1e-9)
    tables = [reliability(one, GENUINE, levels), reliability(one, GENUINE, values, counts=counts)]
    assert tables[0].error == pytest.approx(tables[1].error)
    assert tables[1].impostor.sum() == len(IMPOSTOR)
    assert tables[1].genuine.sum() == len(GENUINE)


def test_a_right_calibration_has_hardly_an_error_and_a_wrong_one_has() -> None:
    found = fit_calibration(GENUINE, IMPOSTOR)
    assert reliability(found, GENUINE, IMPOSTOR).error < 0.01
    sure = Calibration(found.slope, found.offset + 4, found.prior)
    assert reliability(sure, GENUINE, IMPOSTOR).error > 0.1


def test_the_table_is_what_is_counted_by_hand() -> None:
    """Probability 1/2 at cosine 0; two genuine and two impostor pairs, one of each on the wrong side."""
    table = reliability(Calibration(4.0, 0.0, 0.5), np.array([0.5, -0.5, -np.inf]), np.array([-0.5, 0.5]))
    high = 1 / (1 + np.exp(-2.0))
    assert table.share[[1, 8]].tolist() == [0.5, 0.5]
    assert table.observed[[1, 8]].tolist() == [0.5, 0.5]
    np.testing.assert_allclose(table.predicted[[1, 8]], [1 - high, high])
    assert np.isnan(table.predicted[5])
    assert table.error == pytest.approx(high - 0.5)
    assert (table.genuine.sum(), table.impostor.sum()) == (2, 2)


def test_a_plot_is_made() -> None:
    assert reliability(fit_calibration(GENUINE, IMPOSTOR), GENUINE, IMPOSTOR).plot().startswith(b"\x89PNG")


def test_what_cannot_be_fitted_is_named() -> None:
    with pytest.raises(InvalidData, match="above every impostor"):
        fit_calibration(np.array([0.8, 0.9]), np.array([0.1, 0.2]))
    with pytest.raises(InvalidData, match="0 genuine"):
        fit_calibration(np.array([-np.inf]), IMPOSTOR)
    with pytest.raises(ValueError, match="prior"):
        fit_calibration(GENUINE, IMPOSTOR, prior=1.0)
