"""Pooling of events: brute force, laws, zero cells, direction, options."""

from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import binom, nchypergeom_fisher, norm
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.tools.numdiff import approx_hess

from ipt_evidence.errors import (
    DependenceWarning,
    DirectionWarning,
    MixedRowsWarning,
    NotEstimableError,
    OptionError,
    SchemaError,
)
from ipt_evidence.pooling.binary import pool_binary
from ipt_evidence.pooling.event_likelihoods import Binomial, NoncentralHypergeometric
from ipt_evidence.pooling.glmm import Glmm, fit_odds_ratio
from ipt_evidence.pooling.mantel_haenszel import Counts

CLOSED_FORM = 1e-12
"""Two closed forms in double precision."""
INTEGRAL = 1e-9
"""Log-likelihood against the trapezoid rule; ours has 30 points."""
OPTIMUM = 1e-5
"""Parameters against a Nelder-Mead search of the brute-force likelihood, which stops at 1e-8 of its value."""
HESSIAN = 1e-4
"""Standard errors against numerical second derivatives of the brute-force likelihood."""
MODELS = ("UM.FS", "UM.RS", "CM.AL", "CM.EL")


def table(a, n1, c, n2, **more):
    return pd.DataFrame({"events_1": a, "total_1": n1, "events_2": c, "total_2": n2}).assign(
        **{"lower_is_better": 0} | more
    )


TRIALS = table([14, 13, 11, 18, 5, 0], [17, 31, 21, 43, 17, 20], [10, 13, 5, 18, 14, 3], [21, 36, 17, 37, 25, 22])


def counts(frame: pd.DataFrame) -> Counts:
    return Counts(*(frame[x].to_numpy(dtype=float) for x in ("events_1", "total_1", "events_2", "total_2")))


def strata(frame: pd.DataFrame) -> StratifiedTable:
    t = counts(frame)
    return StratifiedTable(
        [np.array([[a, n1 - a], [c, n2 - c]]) for a, n1, c, n2 in zip(t.a, t.n1, t.c, t.n2, strict=True)]
    )


def test_mantel_haenszel_and_its_tests_against_statsmodels():
    fit, peer = pool_binary(TRIALS), strata(TRIALS)
    assert fit.estimate == pytest.approx(peer.logodds_pooled, rel=CLOSED_FORM)
    assert fit.std_error == pytest.approx(peer.logodds_pooled_se, rel=CLOSED_FORM)
    expected = [peer.test_null_odds(correction=True), peer.test_null_odds(), peer.test_equal_odds(adjust=True)]
    for ours, theirs in zip(fit.tests, expected, strict=True):
        assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-9)
        assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-8)
    assert [t.df for t in fit.tests] == [1, 1, 5]
    assert pool_binary(TRIALS, measure="RR").natural()[0] == pytest.approx(peer.riskratio_pooled, rel=CLOSED_FORM)


def test_peto_by_hand():
    """One trial, 10 of 20 against 4 of 20: O - E = 3, V = 20 * 20 * 14 * 26 / (40^2 * 39)."""
    fit = pool_binary(table([10], [20], [4], [20]), method="peto")
    variance = 20 * 20 * 14 * 26 / (40**2 * 39)
    assert fit.estimate == pytest.approx(3 / variance, rel=CLOSED_FORM)
    assert fit.std_error == pytest.approx(variance**-0.5, rel=CLOSED_FORM)
    assert fit.k == 1
    assert np.isnan(fit.q)


def test_risk_difference_of_one_trial_is_its_own():
    fit = pool_binary(table([10], [20], [4], [25]), measure="RD")
    assert fit.estimate == pytest.approx(10 / 20 - 4 / 25, rel=CLOSED_FORM)
    assert fit.natural()[0] == fit.estimate


arm = st.integers(3, 40).flatmap(lambda n: st.tuples(st.integers(1, n - 1), st.just(n)))
trials = st.lists(st.tuples(arm, arm), min_size=2, max_size=7)


def frame_of(rows, **more):
    return table(
        [r[0][0] for r in rows], [r[0][1] for r in rows], [r[1][0] for r in rows], [r[1][1] for r in rows], **more
    )


@settings(max_examples=30, deadline=None, derandomize=True)
@given(trials, st.sampled_from([{}, {"measure": "RR"}, {"measure": "RD"}, {"method": "peto"}]))
def test_order_direction_exchange_of_arms_and_doubling(rows, options):
    frame = frame_of(rows)
    fit = pool_binary(frame, **options)
    for other, sign in (
        (frame[::-1], 1),
        (frame.assign(lower_is_better=1), -1),
        (frame_of([(two, one) for one, two in rows]), -1),
        (frame_of([(two, one) for one, two in rows], lower_is_better=1), 1),
    ):
        again = pool_binary(other, **options)
        assert sign * again.estimate == pytest.approx(fit.estimate, rel=1e-9, abs=1e-12)
        assert again.std_error == pytest.approx(fit.std_error, rel=1e-9)
        assert again.q == pytest.approx(fit.q, rel=1e-7, abs=1e-9)
    if options != {"method": "peto"}:
        two = pool_binary(frame.assign(**{c: 2 * frame[c] for c in frame.columns if c != "lower_is_better"}), **options)
        assert two.estimate == pytest.approx(fit.estimate, rel=1e-9, abs=1e-12)
        assert two.std_error == pytest.approx(fit.std_error / np.sqrt(2), rel=1e-9)


def test_mixed_directions_are_turned_row_by_row():
    turned = TRIALS.copy()
    rows = [0, 3]
    turned.loc[rows, ["events_1", "total_1"]] = TRIALS.loc[rows, ["events_2", "total_2"]].to_numpy()
    turned.loc[rows, ["events_2", "total_2"]] = TRIALS.loc[rows, ["events_1", "total_1"]].to_numpy()
    turned.loc[rows, "lower_is_better"] = 1
    for options in ({}, {"method": "peto"}, {"measure": "RD"}, {"method": "glmm"}):
        assert pool_binary(turned, **options).estimate == pytest.approx(
            pool_binary(TRIALS, **options).estimate, abs=1e-8
        )
    with pytest.warns(MixedRowsWarning, match="measure='OR'"):
        pool_binary(turned, measure="RR")


def test_direction_is_said():
    good, bad = pool_binary(TRIALS), pool_binary(TRIALS.assign(lower_is_better=1))
    assert bad.estimate == -good.estimate
    assert (bad.ci_low, bad.ci_high) == (-good.ci_high, -good.ci_low)
    assert "favours arm 1" in good.summary()
    np.testing.assert_allclose(bad.studies["effect"], -good.studies["effect"])
    with pytest.warns(DirectionWarning, match="lower_is_better"):
        plain = pool_binary(TRIALS.drop(columns="lower_is_better"))
    assert plain.estimate == good.estimate
    assert "more events in arm 1" in plain.method.describe()


def test_trial_without_direction_is_left_out():
    frame = TRIALS.astype({"lower_is_better": float})
    frame.loc[2, "lower_is_better"] = np.nan
    fit = pool_binary(frame)
    assert fit.k == 5
    assert "direction not given" in fit.studies["why_not"][2]


EMPTY = pd.concat([TRIALS, table([0, 20, 0], [20, 20, 30], [0, 25, 4], [25, 25, 30])], ignore_index=True)


@pytest.mark.parametrize("options", [{}, {"method": "peto"}, *({"method": "glmm", "model": m} for m in MODELS)])
def test_trials_without_information_drop_out_of_odds_ratios(options):
    fit = pool_binary(EMPTY, **options)
    assert fit.k == 7
    assert fit.studies["included"].tolist() == [True] * 6 + [False, False, True]
    assert fit.studies["why_not"][6] == "no events in either arm: no information on the odds ratio"
    assert "everybody had the event" in fit.studies["why_not"][7]
    assert sum("Left out" in note for note in fit.notes) == 2
    assert fit.estimate == pytest.approx(pool_binary(EMPTY.drop([6, 7]), **options).estimate, rel=1e-9)
    assert len(fit.studies) == len(EMPTY)


def test_trials_without_information_on_other_measures():
    ratio, difference = pool_binary(EMPTY, measure="RR"), pool_binary(EMPTY, measure="RD")
    assert ratio.k == 8
    assert difference.k == 9
    t = counts(EMPTY)
    weights = t.n1 * t.n2 / (t.n1 + t.n2)
    expected = np.average(t.a / t.n1 - t.c / t.n2, weights=weights)
    assert difference.estimate == pytest.approx(expected, rel=CLOSED_FORM)
    assert difference.studies["weight"].to_numpy() == pytest.approx(100 * weights / weights.sum(), rel=CLOSED_FORM)
    assert np.isnan(difference.studies["effect"][6])
    assert any("without an effect of the trial's own" in note for note in difference.notes)
    assert difference.q_df == 6


def test_zero_cells_rule_touches_the_trials_and_not_the_pooled_effect():
    base, other = pool_binary(EMPTY), pool_binary(EMPTY, zero_cells="all", add=0.25)
    assert other.estimate == base.estimate
    assert other.std_error == base.std_error
    assert (other.studies["effect"] != base.studies["effect"])[:6].all()
    assert other.q != base.q
    none = pool_binary(EMPTY, zero_cells="none")
    assert np.isnan(none.studies["effect"][5])
    assert none.k == base.k
    assert none.q_df == base.q_df - 2


def test_pooled_add_is_the_old_correction():
    fit = pool_binary(TRIALS, pooled_add=0.5)
    corrected = TRIALS.astype(float)
    corrected.loc[5, ["events_1", "events_2"]] += 0.5
    corrected.loc[5, ["total_1", "total_2"]] += 1
    assert fit.estimate == pytest.approx(pool_binary(corrected).estimate, rel=CLOSED_FORM)
    assert "0.5 added" in fit.method.describe()


def test_empty_side_has_no_ratio():
    frame = table([0, 0], [20, 30], [3, 4], [20, 30])
    with pytest.raises(NotEstimableError, match=r"odds ratio is zero.*peto"):
        pool_binary(frame)
    with pytest.raises(NotEstimableError, match="risk ratio is infinite"):
        pool_binary(table([3, 4], [20, 30], [0, 0], [20, 30]), measure="RR")
    assert np.isfinite(pool_binary(frame, method="peto").estimate)
    assert np.isfinite(pool_binary(frame, pooled_add=0.5).estimate)
    assert pool_binary(frame, measure="RD").estimate < 0


# ---- binomial-normal models ------------------------------------------------------------------------------------


def conditional_likelihood(theta: float, tau: float, t: Counts) -> float:
    """Sums of binomial coefficients, and the trapezoid rule, which is exact to rounding for a smooth integrand."""
    u = np.linspace(-9, 9, 401)
    odds, density, total = np.exp(theta + tau * u), norm.pdf(u) * (u[1] - u[0]), 0.0
    for a, n1, c, n2 in np.stack([t.a, t.n1, t.c, t.n2], axis=1).astype(int):
        support = range(max(0, a + c - n2), min(n1, a + c) + 1)
        terms = np.array([float(comb(n1, j) * comb(n2, a + c - j)) * odds**j for j in support])
        total += np.log((terms[a - support[0]] / terms.sum(axis=0)) @ density)
    return total


@pytest.mark.parametrize(("theta", "tau"), [(-0.3, 0.5), (0.5, 1.2)])
def test_exact_conditional_likelihood_by_brute_force(theta, tau):
    t = counts(TRIALS)
    model = Glmm(NoncentralHypergeometric(t), np.zeros((6, 1)), np.ones((1, 1)), np.ones((1, 1)), None, 30)
    ours = model.log_likelihood(np.array([[theta, tau]]), np.zeros((1, 6))).sum()
    assert ours == pytest.approx(conditional_likelihood(theta, tau, t), abs=INTEGRAL)


def test_exact_conditional_optimum_by_brute_force():
    t = counts(TRIALS)
    found = minimize(
        lambda p: -conditional_likelihood(p[0], p[1], t), [0.3, 0.8], method="Nelder-Mead", options={"fatol": 1e-9}
    )
    fit = fit_odds_ratio(t, "CM.EL", 30)
    assert fit.estimate == pytest.approx(found.x[0], abs=20 * OPTIMUM)
    assert fit.tau2 == pytest.approx(found.x[1] ** 2, rel=20 * OPTIMUM)
    assert fit.log_likelihood == pytest.approx(-found.fun, abs=1e-7)
    assert fit.log_likelihood >= -found.fun - 1e-10


def test_noncentral_hypergeometric_moments_and_far_tails():
    family = NoncentralHypergeometric(counts(TRIALS.head(2)))
    for eta in (-40.0, -1.0, 0.0, 2.5, 40.0):
        value, slope, curvature = (x[0, :, 0] for x in family.terms(np.full((1, 2, 1), eta)))
        if abs(eta) < 5:
            for i, (a, n1, c, n2) in enumerate(TRIALS.iloc[:2, :4].to_numpy()):
                peer = nchypergeom_fisher(n1 + n2, n1, a + c, np.exp(eta))
                assert value[i] == pytest.approx(peer.logpmf(a), abs=1e-9)
                assert slope[i] == pytest.approx(a - peer.mean(), abs=1e-7)
                assert curvature[i] == pytest.approx(peer.var(), rel=1e-6)
        assert np.isfinite([value, slope, curvature]).all()


def test_random_trial_effects_by_brute_force():
    """Both integrals of UM.RS on a grid: likelihood, optimum and standard error, none of it shared with the package."""
    frame = TRIALS.head(4)
    t = counts(frame)
    nodes = np.linspace(-6.5, 6.5, 61)
    weight = norm.pdf(nodes) * (nodes[1] - nodes[0])
    u, w = (x.ravel() for x in np.meshgrid(nodes, nodes))
    both = np.outer(weight, weight).ravel()

    def negative(p):
        theta, level, tau, sigma = p
        total = 0.0
        for a, n1, c, n2 in zip(t.a, t.n1, t.c, t.n2, strict=True):
            middle, half = level + sigma * u, 0.5 * (theta + tau * w)
            likelihood = binom.pmf(a, n1, 1 / (1 + np.exp(-middle - half))) * binom.pmf(
                c, n2, 1 / (1 + np.exp(-middle + half))
            )
            total += np.log(likelihood @ both)
        return -total

    fit = fit_odds_ratio(t, "UM.RS", 15)
    start = [fit.estimate + 0.1, 0.0, np.sqrt(fit.tau2) + 0.1, 0.5]
    found = minimize(negative, start, method="BFGS", options={"gtol": 1e-6})
    assert fit.log_likelihood == pytest.approx(-found.fun, abs=1e-7)
    assert fit.estimate == pytest.approx(found.x[0], abs=20 * OPTIMUM)
    assert fit.tau2 == pytest.approx(found.x[2] ** 2, abs=20 * OPTIMUM)
    at = found.x
    error = np.sqrt(np.linalg.inv(approx_hess(at, negative, epsilon=np.full(4, 1e-3)))[0, 0])
    assert fit.std_error == pytest.approx(error, rel=HESSIAN * 10)


def test_one_trial_of_the_two_dimensional_integral():
    t = counts(TRIALS.head(1))
    half, both = np.array([[0.5, -0.5]]), np.ones((1, 2))
    family = Binomial(np.stack([t.a, t.c], 1), np.stack([t.n1, t.n2], 1))
    model = Glmm(family, np.zeros((1, 2)), np.concatenate([half, both]), np.concatenate([half, both]), None, 25)
    theta, level, tau, sigma = 0.4, 0.2, 0.7, 0.9

    def inside(w, u):
        middle, reach = level + sigma * u, 0.5 * (theta + tau * w)
        one = binom.pmf(t.a[0], t.n1[0], 1 / (1 + np.exp(-middle - reach)))
        two = binom.pmf(t.c[0], t.n2[0], 1 / (1 + np.exp(-middle + reach)))
        return one * two * norm.pdf(u) * norm.pdf(w)

    grid = np.linspace(-8, 8, 401)
    step = grid[1] - grid[0]
    expected = np.log((inside(*np.meshgrid(grid, grid)) * step**2).sum())
    assert model.log_likelihood(np.array([[theta, level, tau, sigma]]), np.zeros((1, 1)))[0, 0] == pytest.approx(
        expected, abs=1e-7
    )


def test_without_heterogeneity_fixed_effects_model_is_logistic_regression():
    import statsmodels.api as sm

    frame = table([20, 21, 19, 20], [100, 110, 95, 105], [30, 31, 29, 33], [100, 105, 90, 110])
    fit = pool_binary(frame, method="glmm")
    assert fit.tau2 == 0
    t = counts(frame)
    events, total = np.concatenate([t.a, t.c]), np.concatenate([t.n1, t.n2])
    design = np.column_stack([np.repeat([1.0, 0.0], 4), np.tile(np.eye(4), (2, 1))])
    peer = sm.GLM(np.column_stack([events, total - events]), design, family=sm.families.Binomial()).fit(tol=1e-12)
    assert fit.estimate == pytest.approx(peer.params[0], abs=1e-8)
    assert fit.std_error == pytest.approx(peer.bse[0], rel=1e-6)
    assert fit.log_likelihood == pytest.approx(peer.llf, abs=1e-9)
    assert fit.q == pytest.approx(peer.deviance, abs=1e-8)


@pytest.mark.parametrize("model", MODELS)
def test_more_points_converge(model):
    coarse, fine = (fit_odds_ratio(counts(TRIALS), model, points) for points in (9, 21))
    assert coarse.estimate == pytest.approx(fine.estimate, abs=1e-3)
    assert coarse.tau2 == pytest.approx(fine.tau2, rel=2e-3)


@pytest.mark.parametrize("model", MODELS)
def test_sparse_trials_always_have_a_fit(model):
    rng = np.random.default_rng(11)
    for _ in range(6):
        k = int(rng.integers(3, 10))
        n1, n2 = rng.integers(5, 120, k), rng.integers(5, 120, k)
        level, effect = rng.normal(-2.5, 1, k), rng.normal(0.5, rng.choice([0, 0.5, 1.5]), k)
        a, c = rng.binomial(n1, 1 / (1 + np.exp(-level - effect))), rng.binomial(n2, 1 / (1 + np.exp(-level)))
        a[0], c[0], a[1], c[1] = 1, 0, 0, 1
        fit = pool_binary(table(a, n1, c, n2), method="glmm", model=model)
        assert np.isfinite([fit.estimate, fit.std_error, fit.tau2, fit.log_likelihood]).all()
        assert fit.q >= -1e-7


@pytest.mark.parametrize("model", MODELS)
def test_separated_trials_have_no_odds_ratio(model):
    frame = table([3, 5, 2], [20, 30, 25], [0, 0, 0], [20, 30, 25])
    with pytest.raises(NotEstimableError, match="infinite"):
        pool_binary(frame, method="glmm", model=model)
    with pytest.raises(NotEstimableError, match="infinite"):
        pool_binary(frame.assign(lower_is_better=1), method="glmm", model=model)


def test_large_exact_trials():
    """Tens of thousands of persons per arm, as in the tuberculosis trials."""
    fit = pool_binary(table([505, 62], [88391, 13598], [499, 248], [88391, 12867]), method="glmm", model="CM.EL")
    assert np.isfinite([fit.estimate, fit.std_error]).all()
    assert fit.tau2 > 0


def test_proportions():
    frame = pd.DataFrame({"events": [3, 0, 20, 7], "total": [20, 14, 40, 30]})
    fit = pool_binary(frame, method="glmm", measure="PLO")
    two_arms = frame.rename(columns={"events": "events_1", "total": "total_1"})
    assert pool_binary(two_arms, method="glmm", measure="PLO").estimate == fit.estimate
    value, low, high = fit.natural()
    assert 0 < low < value < high < 1
    assert fit.n_participants == 104
    assert fit.pi_low < fit.ci_low


def test_prediction_interval_of_a_glmm():
    fit = pool_binary(TRIALS, method="glmm")
    half = norm.ppf(0.975) * np.hypot(fit.std_error, fit.tau)
    assert (fit.pi_low, fit.pi_high) == pytest.approx((fit.estimate - half, fit.estimate + half), rel=CLOSED_FORM)
    assert np.isnan(pool_binary(TRIALS).pi_low)
    assert np.isnan(pool_binary(TRIALS.head(2), method="glmm").pi_low)


def test_laplace_is_said():
    fit = pool_binary(TRIALS, method="glmm", model="UM.RS")
    assert "Laplace approximation" in fit.method.describe()
    assert any("quadrature_points=7" in note for note in fit.notes)
    finer = pool_binary(TRIALS, method="glmm", model="UM.RS", quadrature_points=7)
    assert finer.log_likelihood != fit.log_likelihood
    assert finer.notes == ()


# ---- tables, options, what is printed ---------------------------------------------------------------------------


def test_rows_stay_and_the_table_is_not_changed():
    frame = EMPTY.assign(study=[f"Trial {i}" for i in range(9)], effect=0.3, note="x")
    frame.loc[1, "events_2"] = np.nan
    frame.loc[2, "events_1"] = 99
    before = frame.copy(deep=True)
    fit = pool_binary(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert fit.studies["study"].tolist() == frame["study"].tolist()
    assert "missing events_2" in fit.studies["why_not"][1]
    assert fit.studies["why_not"][2] == "events_1 is above total_1"
    assert fit.studies["reported_effect"].eq(0.3).all()
    assert fit.studies["weight"].sum() == pytest.approx(100)
    assert fit.studies["weight"].isna().tolist() == (~fit.studies["included"]).tolist()
    assert fit.n_participants == int(fit.studies.loc[fit.studies["included"], ["total_1", "total_2"]].sum().sum())


def test_rows_of_one_trial_are_said():
    frame = TRIALS.assign(trial_id=["a", "a", "b", "c", "d", "e"])
    with pytest.warns(DependenceWarning, match=r"independent: a\."):
        fit = pool_binary(frame)
    assert any("counted as independent: a" in note for note in fit.notes)


def test_broken_counts_are_for_closed_forms_only():
    frame = TRIALS.astype(float)
    frame.loc[0, "events_1"] = 13.5
    assert pool_binary(frame).k == 6
    fit = pool_binary(frame, method="glmm")
    assert fit.k == 5
    assert "not a whole number" in fit.studies["why_not"][0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "mh"}, "method must be one of 'MH', 'peto', 'glmm'"),
        ({"measure": "SMD"}, "measure must be one of"),
        ({"method": "peto", "measure": "RR"}, "does not pool measure='RR'"),
        ({"measure": "PLO"}, "'glmm': OR, PLO"),
        ({"model": "UM.FS"}, "model belong"),
        ({"quadrature_points": 7}, "quadrature_points belong"),
        ({"method": "glmm", "model": "UM"}, "model must be one of"),
        ({"method": "glmm", "measure": "PLO", "model": "UM.FS"}, "one model"),
        ({"method": "glmm", "pooled_add": 0.5}, "pooled_add"),
        ({"method": "glmm", "quadrature_points": 0}, "quadrature_points must be"),
        ({"zero_cells": "some"}, "zero_cells must be one of"),
        ({"add": -1}, "add must be"),
        ({"level": 95}, "level"),
    ],
)
def test_options_are_checked(options, said):
    with pytest.raises(OptionError, match=said):
        pool_binary(TRIALS, **options)


def test_nothing_to_pool():
    with pytest.raises(NotEstimableError, match="no events in either arm"):
        pool_binary(table([0], [10], [0], [10]))
    with pytest.raises(NotEstimableError, match="at least two trials"):
        pool_binary(TRIALS.head(1), method="glmm")
    with pytest.raises(SchemaError):
        pool_binary(pd.DataFrame({"x": [1]}))
    with pytest.raises(OptionError, match="DataFrame"):
        pool_binary([1, 2])


def test_what_is_printed():
    fit = pool_binary(TRIALS)
    assert "odds ratio" in fit.summary()
    assert "Cochran-Mantel-Haenszel" in fit.summary()
    assert "<caption>odds ratio, Mantel-Haenszel" in fit._repr_html_()
    assert fit.tidy().columns[:2].tolist() == ["group", "k"]
    assert fit.glance()["method"][0] == "MH"
    assert fit.natural()[0] == pytest.approx(np.exp(fit.estimate))
    assert fit.i2 == pytest.approx(max(0, 100 * (fit.q - fit.q_df) / fit.q))
    assert "binomial-normal model" in pool_binary(TRIALS, method="glmm").summary()
