"""The bootstrap prediction interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import ipt_evidence as ipt
from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.pooling.prediction import _draw_tau2
from ipt_evidence.pooling.simulate import Simulated
from ipt_evidence.pooling.tau2_intervals import generalised_q

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")


def draws(seed: int, k: int, sets: int = 1) -> Simulated:
    return ipt.simulate(mu=0.4, tau2=0.1, k=k, sets=sets, seed=seed)


def test_same_seed_same_interval() -> None:
    fit = ipt.pool(draws(1, 8).table(0))
    assert ipt.bootstrap_prediction(fit, draws=500, seed=3) == ipt.bootstrap_prediction(fit, draws=500, seed=3)


def test_quantiles_of_tau2_are_the_limits_of_biggerstaff_and_jackson() -> None:
    table = draws(2, 12).table(0)
    y, v = table["effect"].to_numpy(), table["variance"].to_numpy()
    limits = generalised_q(y, v, 1 / v, level=0.8)
    assert _draw_tau2(y, v, np.array([0.1, 0.9])) == pytest.approx(limits, rel=0.01, abs=1e-6)


def test_covers_new_effects_where_the_usual_interval_does_not() -> None:
    sets, k = 60, 5
    many = draws(5, k, sets)
    inside = []
    for i in range(sets):
        interval = ipt.bootstrap_prediction(ipt.pool(many.table(i)), draws=600, seed=i)
        limits = np.array([interval.pi_low, interval.pi_high])
        inside.append(np.diff(norm.cdf(limits, many.mu, np.sqrt(many.tau2)))[0])
    assert np.mean(inside) == pytest.approx(0.95, abs=0.04)


def test_equal_effects_leave_no_room_for_tau2() -> None:
    table = pd.DataFrame({"effect": [0.3] * 6, "variance": np.linspace(0.02, 0.2, 6)})
    interval = ipt.bootstrap_prediction(ipt.pool(table, ci_method="wald"), draws=500, seed=1)
    assert interval.tau2_zero > 0.99


def test_shift_and_scale() -> None:
    table = draws(4, 7).table(0)
    moved = table.assign(effect=100 * table["effect"] + 7, variance=1e4 * table["variance"])
    one, other = (ipt.bootstrap_prediction(ipt.pool(t), draws=800, seed=2) for t in (table, moved))
    assert (other.pi_low, other.pi_high) == pytest.approx((100 * one.pi_low + 7, 100 * one.pi_high + 7), rel=1e-6)


def test_needs_three_trials_and_random_effects() -> None:
    table = draws(3, 2).table(0)
    with pytest.raises(NotEstimableError, match="three trials"):
        ipt.bootstrap_prediction(ipt.pool(table))
    with pytest.raises(OptionError, match="random effects"):
        ipt.bootstrap_prediction(ipt.pool(draws(3, 5).table(0), tau2_method="EE"))
    with pytest.raises(OptionError, match="at least 100"):
        ipt.bootstrap_prediction(ipt.pool(draws(3, 5).table(0)), draws=5)
