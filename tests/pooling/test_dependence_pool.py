"""The hook of pool(): the same numbers as multilevel(), and a trial-level table that rebuilds them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.pooling.dependence import multilevel
from ipt_evidence.pooling.pool_dependent import pool_dependent
from ipt_evidence.pooling.result import PoolMethod

from . import dense

EXACT = 1e-9
CHE = replace(PoolMethod(), dependence="che", ci_method="cr2", rho=0.6, prediction_df="as-ci")


@pytest.fixture
def rows():
    y, _, trial, v = dense.draw(3, 9)
    y[4] = np.nan
    return y, v, trial * 10 + 3


def test_it_is_the_multilevel_fit(rows):
    y, v, trial = rows
    ours = pool_dependent(y, v, trial, CHE)
    fit = multilevel(pd.DataFrame({"effect": y, "variance": v, "trial_id": trial}), rho=0.6)
    for name in [
        "estimate",
        "std_error",
        "ci_low",
        "ci_high",
        "statistic",
        "df",
        "p_value",
        "pi_low",
        "pi_high",
        "tau2",
        "i2",
    ]:
        assert getattr(ours, name) == pytest.approx(getattr(fit, name), rel=EXACT), name
    assert (ours.q, ours.q_df, ours.q_p) == pytest.approx((fit.qe, fit.qe_df, fit.qe_p), rel=EXACT)
    assert (ours.k, ours.n_effects) == (fit.k_trials, fit.k_effects)
    assert ours.h2 == pytest.approx(1 / (1 - ours.i2 / 100))
    three = pool_dependent(y, v, trial, replace(CHE, dependence="three_level"))
    assert three.estimate == pytest.approx(
        multilevel(pd.DataFrame({"effect": y, "variance": v, "trial_id": trial})).estimate, rel=EXACT
    )


def test_the_trials_rebuild_the_estimate(rows):
    y, v, trial = rows
    ours = pool_dependent(y, v, trial, CHE)
    weight = 1 / (ours.variance + ours.sigma2_between)
    assert (weight * ours.effect).sum() / weight.sum() == pytest.approx(ours.estimate, rel=EXACT)
    assert 1 / np.sqrt(weight.sum()) == pytest.approx(ours.wald_std_error, rel=EXACT)
    np.testing.assert_allclose(ours.weight, 100 * weight / weight.sum())
    assert ours.unit_of_row[4] == -1
    assert ours.unit_of_row[0] == 0
    assert len(set(ours.unit_of_row)) == ours.k + 1
    used = ours.unit_of_row >= 0
    for unit in range(ours.k):
        assert len(set(trial[used & (ours.unit_of_row == unit)])) == 1


def test_the_standard_error_of_tau2_is_that_of_the_sum(rows):
    y, v, trial = rows
    ours = pool_dependent(y, v, trial, CHE)
    alone = np.unique(trial, return_index=True)[1]
    single = pool_dependent(y[alone], v[alone], trial[alone], CHE)
    assert ours.tau2_std_error > 0
    assert single.sigma2_within == 0
    assert np.isfinite(single.tau2_std_error)


def test_the_rules_of_the_prediction_interval_act(rows):
    widths = {}
    for rule in ("z", "k-1", "k-2", "as-ci"):
        ours = pool_dependent(*rows, replace(CHE, prediction_df=rule))
        widths[rule] = ours.pi_high - ours.pi_low
    assert widths["z"] < widths["k-1"] < widths["k-2"]
    wald = pool_dependent(*rows, replace(CHE, prediction_se="wald"))
    assert wald.pi_high - wald.pi_low != widths["as-ci"]
    q = pool_dependent(*rows, replace(CHE, i2_method="q"))
    assert q.i2 == pytest.approx(max(0.0, 100 * (1 - q.q_df / q.q)))


def test_one_trial(rows):
    y, v, trial = rows
    first = trial == trial[0]
    ours = pool_dependent(y[first], v[first], trial[first], CHE)
    known = ~np.isnan(y[first])
    omega = dense.sampling(np.zeros(known.sum(), dtype=int), v[first][known], 0.6)
    w = np.linalg.inv(omega)
    assert ours.estimate == pytest.approx((w @ y[first][known]).sum() / w.sum(), rel=EXACT)
    assert ours.std_error == pytest.approx(1 / np.sqrt(w.sum()), rel=EXACT)
    assert np.isnan(ours.tau2)
    assert ours.k == 1
    assert ours.notes[0].startswith("One trial")


def test_two_trials_have_no_prediction_interval(rows):
    y, v, trial = rows
    two = np.isin(trial, np.unique(trial)[:2])
    assert np.isnan(pool_dependent(y[two], v[two], trial[two], CHE).pi_low)


def test_what_these_models_do_not_have_is_refused(rows):
    y, v, trial = rows
    with pytest.raises(OptionError, match="ci_method must be one of") as error:
        pool_dependent(y, v, trial, replace(CHE, ci_method="hksj", tau2_method="DL", rho=1.0))
    assert "tau2_method" in str(error.value)
    assert "rho must be below 1" in str(error.value)
    with pytest.raises(NotEstimableError, match="no row"):
        pool_dependent(np.array([np.nan]), np.array([0.1]), np.array([1]), CHE)
    with pytest.raises(NotEstimableError, match="orders of magnitude"):
        pool_dependent(np.array([0.1, 0.2, 0.3]), np.array([1e-12, 1e12, 1.0]), np.array([0, 0, 1]), CHE)
