"""Cluster-robust errors where plain arithmetic runs out of digits, and where there is no error to be had.

The formulas themselves are compared with full matrices in test_dependence_blocks.py (full working covariances) and
test_regression_robust.py (diagonal ones).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ipt_evidence.pooling import cluster_robust as module
from ipt_evidence.pooling.cluster_robust import batches, cluster_robust
from ipt_evidence.pooling.dependence import multilevel

ROUNDING = 1e-10
PINNED = 1e-9  # reference printed to 15 digits; residuals next to weights over four orders of magnitude cost six
NEAR_ONE = 1e-6  # the residual matrix of the reference itself keeps eight digits at a leverage of 1 - 5e-9


def least_squares(x, y, variance):
    return np.linalg.lstsq(x / np.sqrt(variance)[:, None], y / np.sqrt(variance), rcond=None)[0]


def regression(x, y, variance, cluster, **options):
    beta = least_squares(x, y, variance)
    return beta, cluster_robust(batches(x, y - x @ beta, cluster, variance=variance), **options)


def dummy(apart=(0,)):
    """Return a regression in which the second coefficient is the difference of some clusters from the others."""
    rng = np.random.default_rng(3)
    cluster = np.repeat(np.arange(6), [2, 2, 2, 2, 3, 1])
    x = np.column_stack([np.ones(12), np.isin(cluster, apart), rng.normal(size=12)])
    return x, rng.normal(size=12), rng.uniform(0.05, 0.3, 12), cluster


def test_a_leverage_near_one_keeps_its_degrees_of_freedom():
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(20), np.append(rng.uniform(50, 100, 19), 1e6)])
    v = rng.uniform(0.05, 0.5, 20)
    _, robust = regression(x, rng.normal(size=20), v, np.arange(20))
    white = x / np.sqrt(v)[:, None]
    basis = np.linalg.qr(white)[0]
    rest = np.eye(20) - basis @ basis.T
    assert 1e-9 < rest[-1, -1] < 1e-8
    for g, df in zip(np.linalg.pinv(white), robust.df, strict=True):
        rows = (g / np.sqrt(np.diag(rest)))[:, None] * rest
        gram = rows @ rows.T
        assert df == pytest.approx(np.trace(gram) ** 2 / (gram**2).sum(), rel=NEAR_ONE)


def test_variances_over_orders_of_magnitude_within_a_cluster():
    """Reference: the formulas of Pustejovsky & Tipton 2018 in 60-digit arithmetic (mpmath 1.4.1)."""
    cluster = np.array([0, 1, 1, 1, 1, 2])
    x = np.column_stack([np.ones(6), [-0.14, 1.15, 0.79, 0.41, 1.4, -0.1]])
    v = np.array([58, 17.7, 0.0145, 79, 0.79, 0.14])
    _, robust = regression(x, np.array([9, -4, 1.2, -12, 0.9, 0.3]), v, cluster)
    np.testing.assert_allclose(robust.std_error, [0.386678380327567, 0.455622402696234], rtol=PINNED)
    np.testing.assert_allclose(robust.df, [1.00956040448094, 1.19054935680371], rtol=PINNED)


@pytest.mark.parametrize("kind", ["CR2", "CR1", "CR0"])
def test_a_coefficient_of_one_cluster_has_no_error(kind):
    """The formula gives one that is far too small, since its residuals sum to zero."""
    beta, robust = regression(*dummy(), kind=kind)
    assert np.isnan([robust.std_error[1], robust.df[1]]).all()
    assert np.isnan(robust.joint_test(beta, np.eye(3)[1:]).p_value)
    assert np.sqrt(robust.vcov[1, 1]) < np.sqrt(robust.model[1, 1])
    for values in (robust.std_error, robust.df):
        assert np.isfinite(values[[0, 2]]).all()


def test_what_is_hidden_is_what_cr2_does_not_expect_to_find():
    _, robust = regression(*dummy())
    expectation = (robust.own - np.einsum("jks,jkt->jst", robust.shared, robust.shared)).sum(axis=0)
    np.testing.assert_allclose(expectation, robust.model - robust.hidden, rtol=ROUNDING, atol=1e-14)
    assert robust.hidden[1, 1] > 0.1 * robust.model[1, 1]


def test_a_contrast_that_is_missing_has_no_error():
    _, robust = regression(*dummy())
    contrasts = np.array([[1, 0, np.nan], [1, 0, 0.5]])
    for values in (robust.contrast_error(contrasts), robust.contrast_df(contrasts)):
        assert np.isnan(values).tolist() == [True, False]


@pytest.mark.parametrize(("kind", "factor"), [("CR1", 6 / 3), ("CR0", 1)])
def test_the_joint_test_without_bias_reduction_is_f_with_clusters_less_coefficients(kind, factor):
    beta, robust = regression(*dummy(), kind=kind)
    pick, plain = [0, 2], regression(*dummy(), kind="CR0")[1].vcov
    test = robust.joint_test(beta, np.eye(3)[pick])
    wald = beta[pick] @ np.linalg.inv(factor * plain[np.ix_(pick, pick)]) @ beta[pick]
    assert (test.statistic, test.df1, test.df2) == pytest.approx((wald / 2, 2, 3), rel=ROUNDING)


@pytest.mark.parametrize("kind", ["cr2", "cr1", "cr0"])
def test_no_joint_test_of_groups_of_one_trial(kind):
    """Two groups of one trial each: the robust covariance of their differences has no inverse."""
    rng = np.random.default_rng(5)
    trial = np.repeat(["a", "b", "c", "d", "e"], [2, 1, 2, 1, 2])
    group = np.repeat(["x", "x", "x", "y", "z"], [2, 1, 2, 1, 2])
    table = pd.DataFrame({"trial_id": trial, "group": group, "effect": rng.normal(size=8), "variance": 0.1})
    fit = multilevel(table, formula="~ group", ci_method=kind, rho=0.5)
    assert np.isnan([fit.qm, fit.qm_p]).all()
    errors = fit.tidy().set_index("term")["std_error"]
    assert np.isfinite(errors["Intercept"])
    assert errors.drop("Intercept").isna().all()
    assert any("a single trial determines" in note for note in fit.notes)


def test_sums_over_clusters_in_pieces(monkeypatch):
    beta, robust = regression(*dummy(apart=(0, 4)))
    whole = robust.df, robust.joint_test(beta, np.eye(3)[1:]).df2
    for largest in (1, 30):
        monkeypatch.setattr(module, "LARGEST_SUM", largest)
        np.testing.assert_allclose(robust.df, whole[0], rtol=ROUNDING)
        assert robust.joint_test(beta, np.eye(3)[1:]).df2 == pytest.approx(whole[1], rel=ROUNDING)
