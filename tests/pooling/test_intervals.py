"""Intervals against the formulas written out by hand, and where they are not defined."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, norm, t

import ipt_evidence as ipt
from ipt_evidence.pooling.intervals import common_moments, typical_variance
from tests.pooling.conftest import random_table

FORMULA = 1e-12
"""Relative. The same formula in double precision."""


def generalised_q(y: np.ndarray, v: np.ndarray, tau2: float) -> float:
    w = 1 / (v + tau2)
    return float((w * (y - np.average(y, weights=w)) ** 2).sum())


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")
def test_intervals_of_the_mean(level: float) -> None:
    table = random_table(3, 7)
    y, v = table["effect"].to_numpy(), table["variance"].to_numpy()
    fits = {
        m: ipt.pool(table, ci_method=m, level=level)  # type: ignore[arg-type]
        for m in ("wald", "t", "hksj", "hksj-adhoc")
    }
    tau2 = fits["wald"].tau2
    w = 1 / (v + tau2)
    mean, wald = np.average(y, weights=w), w.sum() ** -0.5
    factor = np.sqrt(generalised_q(y, v, tau2) / 6)
    z, t6 = norm.ppf(0.5 + level / 2), t.ppf(0.5 + level / 2, 6)
    expected = {
        "wald": (wald, z, np.inf),
        "t": (wald, t6, 6),
        "hksj": (wald * factor, t6, 6),
        "hksj-adhoc": (wald * max(factor, 1), t6, 6),
    }
    for name, (error, quantile, df) in expected.items():
        fit = fits[name]
        assert (fit.estimate, fit.std_error, fit.df) == pytest.approx((mean, error, df), rel=FORMULA)
        low, high = mean - quantile * error, mean + quantile * error
        assert (fit.ci_low, fit.ci_high) == pytest.approx((low, high), rel=FORMULA)
        assert (fit.wald_ci_low, fit.wald_ci_high) == pytest.approx((mean - z * wald, mean + z * wald), rel=FORMULA)
        assert fit.statistic == pytest.approx(mean / error, rel=FORMULA)
        tail = norm.sf(mean / error) if name == "wald" else t.sf(mean / error, 6)
        assert fit.p_value == pytest.approx(2 * tail, rel=1e-9)


@pytest.mark.parametrize(("rule", "df"), [("k-1", 6), ("k-2", 5), ("z", np.inf), ("as-ci", 6)])
@pytest.mark.parametrize("error", ["ci", "wald"])
@pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")
def test_prediction_interval(rule: str, df: float, error: str) -> None:
    fit = ipt.pool(random_table(3, 7), prediction_df=rule, prediction_se=error)  # type: ignore[arg-type]
    wald = (fit.wald_ci_high - fit.wald_ci_low) / 2 / norm.ppf(0.975)
    half = t.ppf(0.975, df) * np.sqrt(fit.tau2 + (fit.std_error if error == "ci" else wald) ** 2)
    assert (fit.pi_low, fit.pi_high) == pytest.approx((fit.estimate - half, fit.estimate + half), rel=FORMULA)


def test_prediction_interval_follows_the_interval_of_the_mean() -> None:
    wald = ipt.pool(random_table(3, 7), ci_method="wald", prediction_df="as-ci")
    half = norm.ppf(0.975) * np.sqrt(wald.tau2 + wald.std_error**2)
    assert wald.pi_high == pytest.approx(wald.estimate + half, rel=FORMULA)


def test_prediction_interval_needs_three_trials() -> None:
    for k, defined in ((1, False), (2, False), (3, True)):
        fit = ipt.pool(random_table(5, k), ci_method="wald", prediction_df="k-2")
        assert np.isfinite(fit.pi_low) == np.isfinite(fit.pi_high) == defined
    assert np.isnan(ipt.pool(random_table(5, 9), ci_method="wald", tau2_method="EE").pi_low)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_q_profile_limits_solve_their_equations(level: float) -> None:
    alike = ipt.pool(pd.DataFrame({"effect": [0.5, 0.5001, 0.4999], "variance": 0.1}), ci_method="wald", level=level)
    assert (alike.tau2_ci_low, alike.tau2_ci_high) == (0, 0), "even Q(0) is too small"
    zero_low = 0
    for seed in range(150):
        table = random_table(seed, 3 + seed % 10, tau=0.3 * (seed % 3))
        y, v = table["effect"].to_numpy(), table["variance"].to_numpy()
        fit = ipt.pool(table, ci_method="wald", level=level, tau2_method=("REML", "DL", "PM")[seed % 3])  # type: ignore[arg-type]
        low, high = fit.tau2_ci_low, fit.tau2_ci_high
        for limit, tail in ((low, (1 + level) / 2), (high, (1 - level) / 2)):
            target = chi2.ppf(tail, y.size - 1)
            if limit > 0:
                assert generalised_q(y, v, limit) == pytest.approx(target, rel=1e-10)
            else:
                assert generalised_q(y, v, 0.0) <= target
        zero_low += low == 0 < high
    assert zero_low


def test_i2_and_h2_from_tau2() -> None:
    table = random_table(8, 9)
    w = 1 / table["variance"].to_numpy()
    typical = 8 * w.sum() / (w.sum() ** 2 - (w * w).sum())
    fit = ipt.pool(table, ci_method="wald")
    for i2, tau2 in ((fit.i2, fit.tau2), (fit.i2_ci_low, fit.tau2_ci_low), (fit.i2_ci_high, fit.tau2_ci_high)):
        assert i2 == pytest.approx(100 * tau2 / (tau2 + typical), rel=FORMULA)
    assert fit.h2 == pytest.approx(1 / (1 - fit.i2 / 100), rel=FORMULA)


def test_i2_from_q() -> None:
    """Higgins & Thompson 2002, section 4.2, both branches of the error of log H."""
    for seed, tau in ((8, 0.5), (1, 0.0)):
        fit = ipt.pool(random_table(seed, 9, tau=tau), ci_method="wald", i2_method="q")
        assert fit.i2 == pytest.approx(100 * max(0.0, (fit.q - 8) / fit.q), rel=FORMULA)
        assert fit.h2 == pytest.approx(fit.q / 8, rel=FORMULA)
        log_h = 0.5 * np.log(max(1.0, fit.q / 8))
        if fit.q > 9:
            error = 0.5 * (np.log(fit.q) - np.log(8)) / (np.sqrt(2 * fit.q) - np.sqrt(15))
        else:
            error = np.sqrt(1 / 14 * (1 - 1 / (3 * 49)))
        low, high = (100 * (1 - np.exp(-2 * max(0.0, log_h + sign * norm.ppf(0.975) * error))) for sign in (-1, 1))
        assert (fit.i2_ci_low, fit.i2_ci_high) == pytest.approx((low, high), rel=FORMULA, abs=1e-12)


def test_i2_from_q_with_two_trials_has_no_interval() -> None:
    fit = ipt.pool(random_table(8, 2), ci_method="wald", i2_method="q")
    assert np.isfinite(fit.i2)
    assert np.isnan([fit.i2_ci_low, fit.i2_ci_high]).all()


@pytest.mark.parametrize("variances", [[0.1, 0.2, 0.3], [1e-12, 1e12, 0.1, 0.2], [1e-16, 1.0, 1.0, 2.0], [1e-9, 1e9]])
def test_typical_variance_keeps_its_digits(variances: list[float]) -> None:
    """Against exact fractions: one dwarfing weight must not cancel the others away."""
    w = [1 / Fraction(x) for x in variances]
    exact = (len(w) - 1) / (sum(w) - sum(x * x for x in w) / sum(w))
    v = np.array([variances])
    ours = np.asarray(typical_variance(common_moments(np.zeros_like(v), v), np.array([float(len(w))])))
    assert ours[0] == pytest.approx(float(exact), rel=1e-12)


def test_adhoc_interval_is_never_narrower_than_t() -> None:
    for seed in range(20):
        table = random_table(seed, 5, tau=0.0)
        adhoc, plain = ipt.pool(table, ci_method="hksj-adhoc"), ipt.pool(table, ci_method="t")
        assert adhoc.ci_high - adhoc.ci_low >= (plain.ci_high - plain.ci_low) * (1 - 1e-12)


def test_q_p_value() -> None:
    fit = ipt.pool(pd.DataFrame({"effect": [0.1, 0.9, 0.4], "variance": [0.1, 0.2, 0.1]}), ci_method="wald")
    assert (fit.q_df, fit.q_p) == (2, pytest.approx(chi2.sf(fit.q, 2), rel=1e-10))
