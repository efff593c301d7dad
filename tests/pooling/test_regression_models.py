"""Comparing formulas, and location-scale models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ipt_evidence.errors import ConvergenceError, NotEstimableError, OptionError
from ipt_evidence.pooling.design import build_design, orthonormal_basis
from ipt_evidence.pooling.location_scale import Likelihood, climb, location_scale
from ipt_evidence.pooling.model_comparison import compare_models
from ipt_evidence.pooling.regression import meta_regression

SAME = 1e-8
DIFFERENCES = 1e-5
"""Central differences with a step of 1e-4."""


def draw(k=24, seed=3):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=k), rng.normal(size=k)
    v = rng.uniform(0.01, 0.1, k)
    y = 0.3 + 0.4 * x + rng.normal(size=k) * np.sqrt(v + np.exp(-1.5 + 0.8 * z))
    return pd.DataFrame({"effect": y, "variance": v, "x": x, "z": z, "g": rng.choice(["a", "b"], k)})


@pytest.mark.parametrize("criterion", ["AICc", "AIC", "BIC"])
def test_models_are_ranked_by_their_criterion(criterion):
    table = draw()
    out = compare_models(table, ["~ 1", "~ x", "~ x + g", "~ z"], criterion=criterion)
    values = out[criterion.lower()].to_numpy()
    assert (np.diff(values) >= 0).all()
    assert out["weight"].sum() == pytest.approx(1)
    np.testing.assert_allclose(out["weight"] / out["weight"].iloc[0], np.exp(-out["delta"] / 2))
    for row in out.itertuples():
        fit = meta_regression(table, row.formula, tau2_method="ML", ci_method="wald")
        assert row.log_likelihood == pytest.approx(fit.log_likelihood, rel=SAME)
        assert row.aicc == pytest.approx(fit.aicc, rel=SAME)


def test_all_models_see_the_same_rows():
    table = draw()
    table.loc[[0, 1], "x"] = np.nan
    table.loc[2, "z"] = np.nan
    out = compare_models(table, {"nothing": "~ 1", "dose": "~ x", "other": "~ z"})
    assert set(out["k"]) == {21}
    assert set(out["n_left_out"]) == {3}
    assert set(out["model"]) == {"nothing", "dose", "other"}
    complete = table.dropna()
    alone = meta_regression(complete, "~ 1", tau2_method="ML", ci_method="wald")
    assert out.set_index("model").loc["nothing", "aicc"] == pytest.approx(alone.aicc, rel=SAME)


@pytest.mark.parametrize(
    ("formulas", "options", "words"),
    [
        (["~ x"], {"tau2_method": "REML"}, "full likelihoods"),
        (["~ x"], {"criterion": "R2"}, "criterion"),
        (["~ x", "~ x"], {}, "given twice"),
        ([], {}, "at least one formula"),
    ],
)
def test_comparisons_that_mean_nothing(formulas, options, words):
    with pytest.raises(OptionError, match=words):
        compare_models(draw(), formulas, **options)


def test_no_spare_trials_for_aicc():
    with pytest.raises(NotEstimableError, match="criterion='AIC'"):
        compare_models(draw(5), ["~ x + z"])


@pytest.mark.parametrize("restricted", [True, False])
def test_derivatives_of_the_location_scale_likelihood(restricted):
    table = draw()
    x, z = (build_design(f, table, ("x", "z")) for f in ("~ x", "~ x + z"))
    y, v = table["effect"].to_numpy(), table["variance"].to_numpy()
    problem = Likelihood(y, v, orthonormal_basis(x.x), orthonormal_basis(z.x), restricted)
    at, step = np.array([-5.0, 1.0, 2.0]), 1e-4
    for j, d in enumerate(np.eye(3) * step):
        slope = (problem.height(at + d) - problem.height(at - d)) / (2 * step)
        assert problem.gradient(at)[j] == pytest.approx(slope, rel=DIFFERENCES, abs=1e-7)
        bend = (problem.gradient(at + d) - problem.gradient(at - d)) / (2 * step)
        np.testing.assert_allclose(problem.hessian(at)[j], bend, rtol=DIFFERENCES, atol=1e-7)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_one_tau2_for_all_is_the_ordinary_regression(method):
    table = draw()
    fit = location_scale(table, "~ x", method=method)
    plain = meta_regression(table, "~ x", tau2_method=method, ci_method="wald")
    assert np.exp(fit.scale["estimate"].iloc[0]) == pytest.approx(plain.tau2, rel=SAME)
    np.testing.assert_allclose(fit.location["std_error"], plain.tidy()["std_error"], rtol=SAME)
    assert [fit.log_likelihood, fit.aicc] == pytest.approx([plain.log_likelihood, plain.aicc], rel=SAME)
    assert np.isnan(fit.likelihood_ratio)


def test_groups_of_their_own_are_separate_fits():
    table = draw()
    fit = location_scale(table, "~ 0 + g", "~ 0 + g", method="REML")
    for i, g in enumerate("ab"):
        alone = meta_regression(table[table["g"] == g], "~ 1", ci_method="wald")
        assert np.exp(fit.scale["estimate"].iloc[i]) == pytest.approx(alone.tau2, rel=1e-6)
        assert fit.location["estimate"].iloc[i] == pytest.approx(alone.tidy()["estimate"].iloc[0], rel=1e-6)
    assert fit.likelihood_ratio > 0
    assert fit.likelihood_ratio_df == 1


def test_no_point_nearby_or_far_is_higher():
    table = draw()
    fit = location_scale(table, "~ x", "~ z", method="REML")
    z = build_design("~ z", table, ("z",))
    y, v = table["effect"].to_numpy(), table["variance"].to_numpy()
    basis = orthonormal_basis(build_design("~ x", table, ("x",)).x)
    problem = Likelihood(y, v, basis, z.x.T, True)
    rng = np.random.default_rng(0)
    heights = [problem.height(a) for a in rng.uniform(-6, 6, (3000, 2))]
    assert max(heights) <= fit.log_likelihood + 1e-9
    assert problem.height(fit.scale["estimate"].to_numpy()) == pytest.approx(fit.log_likelihood, rel=SAME)


def test_effects_in_other_units():
    table = draw()
    scaled = table.assign(effect=table["effect"] * 1e4, variance=table["variance"] * 1e8)
    a, b = location_scale(table, "~ x", "~ z"), location_scale(scaled, "~ x", "~ z")
    np.testing.assert_allclose(b.location["estimate"], a.location["estimate"] * 1e4, rtol=1e-7)
    assert b.scale["estimate"].iloc[1] == pytest.approx(a.scale["estimate"].iloc[1], rel=1e-6)
    assert b.scale["p_value"].iloc[1] == pytest.approx(a.scale["p_value"].iloc[1], rel=1e-6)


def test_a_group_without_heterogeneity_has_no_logarithm_of_tau2():
    table = draw()
    calm = table["g"] == "b"
    table.loc[calm, "effect"] = 0.3
    with pytest.raises(ConvergenceError, match="goes to zero"):
        location_scale(table, "~ g", "~ g")
    with pytest.raises(NotEstimableError, match="use meta_regression"):
        location_scale(table[calm])


def test_climb_reports_where_it_stopped():
    table = draw()
    design = build_design("~ 1", table, ())
    problem = Likelihood(
        np.zeros(24), table["variance"].to_numpy(), orthonormal_basis(design.x), orthonormal_basis(design.x), True
    )
    assert not climb(problem, np.zeros(1)).converged


@pytest.mark.parametrize(
    ("options", "words"),
    [({"method": "DL"}, "'REML', 'ML'"), ({"ci_method": "hksj"}, "'wald', 't'"), ({"level": 95}, "level")],
)
def test_location_scale_options(options, words):
    with pytest.raises(OptionError, match=words):
        location_scale(draw(), "~ x", "~ z", **options)


def test_location_scale_tables():
    fit = location_scale(draw(), "~ x", "~ z", ci_method="t")
    assert fit.tidy()["part"].tolist() == ["location"] * 2 + ["scale"] * 2
    assert fit.tidy()["df"].tolist() == [22.0] * 4
    assert len(fit.tau2) == 24
    assert "Moderators of tau2" in fit.summary()
    with pytest.raises(NotEstimableError, match="at least 5"):
        location_scale(draw(4), "~ x", "~ z")
