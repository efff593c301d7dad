"""Meta-regression: its laws, what it says about rows it leaves out, and which options exclude each other."""

from __future__ import annotations

import warnings
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.errors import (
    DependenceWarning,
    EvidenceWarning,
    NarrowIntervalWarning,
    NotEstimableError,
    OptionError,
    SchemaError,
)
from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling.fit import pool
from ipt_evidence.pooling.regression import meta_regression

SAME = 1e-9
"""Two roads to one number: rounding, and iterations that stop at 1e-14 in tau2."""
METHODS = get_args(Tau2Method)
FIXED = settings(derandomize=True, deadline=None, max_examples=40)


def draw(k, seed, spread=0.3):
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.01, 0.3, k)
    x = rng.normal(10, 3, k)
    y = 0.2 + 0.05 * x + rng.normal(0, np.sqrt(v + spread**2))
    return pd.DataFrame({"effect": y, "variance": v, "x": x, "g": rng.choice(["a", "b"], k), "w": rng.normal(0, 1, k)})


def regress(table, formula, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        return meta_regression(table, formula, **options)


def numbers(fit):
    t = fit.tidy()
    return np.concatenate([t[c].to_numpy(dtype=float) for c in t.columns if c not in ("term", "df")])


def same(a, b, tolerance=SAME):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ci_method", ["wald", "t", "hksj", "hksj-adhoc"])
@pytest.mark.parametrize("seed", [1, 2])
def test_intercept_alone_is_pool(method, ci_method, seed):
    table = draw(9, seed)
    options = {"tau2_method": method, "ci_method": ci_method, "i2_method": "q" if seed == 1 else "tau2"}
    fit = regress(table, "~ 1", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        pooled = pool(table, **options)
    row = fit.tidy().iloc[0]
    for name in ("estimate", "std_error", "ci_low", "ci_high", "statistic", "df", "p_value"):
        same(row[name], getattr(pooled, name))
    for name in ("tau2", "tau2_std_error", "tau2_ci_low", "tau2_ci_high", "i2", "i2_ci_low", "i2_ci_high", "h2", "tau"):
        same(getattr(fit, name), getattr(pooled, name))
    same([fit.qe, fit.qe_df, fit.qe_p], [pooled.q, pooled.q_df, pooled.q_p])
    predicted = fit.predict()
    same(predicted["pi_low"].iloc[0], pooled.pi_low)
    same(predicted["pi_high"].iloc[0], pooled.pi_high)
    assert fit.omnibus is None
    assert list(fit.tidy()["term"]) == ["Intercept"]


@pytest.mark.parametrize("preset", ["cochrane", "metafor", "meta", "metapsy", "cma"])
def test_presets_mean_what_they_mean_in_pool(preset):
    table = draw(8, 4)
    fit = regress(table, "~ 1", preset=preset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        pooled = pool(table, preset=preset)
    predicted = fit.predict()
    same(
        [fit.tidy()["ci_low"].iloc[0], predicted["pi_low"].iloc[0], fit.i2],
        [pooled.ci_low, pooled.pi_low, pooled.i2],
    )


@FIXED
@given(seed=st.integers(0, 10_000), shift=st.floats(-1e4, 1e4), method=st.sampled_from(METHODS))
def test_shifting_a_moderator_changes_only_the_intercept(seed, shift, method):
    table = draw(12, seed)
    a, b = (regress(t, "~ x", tau2_method=method) for t in (table, table.assign(x=table["x"] + shift)))
    same(a.tidy().iloc[1, 1:].astype(float), b.tidy().iloc[1, 1:].astype(float), 1e-6)
    same([a.tau2, a.qe, a.omnibus.statistic], [b.tau2, b.qe, b.omnibus.statistic], 1e-6)
    intercept = a.tidy()["estimate"] @ np.array([1.0, -shift])
    same(b.tidy()["estimate"].iloc[0], intercept, 1e-6)


@FIXED
@given(seed=st.integers(0, 10_000), power=st.integers(-8, 8), method=st.sampled_from(METHODS))
def test_order_of_rows_and_units_of_effects_and_moderators(seed, power, method):
    table, c = draw(12, seed), 10.0**power
    table.loc[0, "g"] = "a"
    table.loc[1, "g"] = "b"
    a = regress(table, "~ x + g", tau2_method=method)
    shuffled = table.sample(frac=1, random_state=seed)
    same(numbers(a), numbers(regress(shuffled, "~ x + g", tau2_method=method)))
    scaled = table.assign(effect=table["effect"] * c, variance=table["variance"] * c * c)
    b = regress(scaled, "~ x + g", tau2_method=method)
    same(b.tidy()["estimate"] / c, a.tidy()["estimate"])
    same(b.tidy()["p_value"], a.tidy()["p_value"])
    same(b.tau2 / c**2, a.tau2)
    d = regress(table.assign(x=table["x"] * c), "~ x + g", tau2_method=method)
    same(d.tidy()["estimate"] * np.where(d.tidy()["term"] == "x", c, 1.0), a.tidy()["estimate"])
    same(d.tidy()["p_value"], a.tidy()["p_value"])


@pytest.mark.parametrize("method", METHODS)
def test_weighted_least_squares_of_statsmodels(method):
    table = draw(15, 7)
    fit = regress(table, "~ x + w", tau2_method=method)
    x = sm.add_constant(table[["x", "w"]].to_numpy())
    ols = sm.WLS(table["effect"].to_numpy(), x, weights=1 / (table["variance"].to_numpy() + fit.tau2)).fit()
    same(fit.tidy()["estimate"], ols.params)
    same(fit.tidy()["std_error"], ols.bse)
    same(fit.tidy()["p_value"], ols.pvalues)
    same(fit.omnibus.statistic, ols.fvalue)
    wald = regress(table, "~ x + w", tau2_method=method, ci_method="wald")
    same(wald.tidy()["std_error"], ols.bse / np.sqrt(ols.scale))


def test_dummies_are_subgroups_with_a_common_tau2():
    table = draw(14, 3)
    cell_means = regress(table, "~ 0 + g", ci_method="wald")
    contrast = regress(table, "~ g", ci_method="wald")
    same(cell_means.tidy()["estimate"].iloc[0], contrast.tidy()["estimate"].iloc[0])
    same(cell_means.tidy()["estimate"].diff().iloc[1], contrast.tidy()["estimate"].iloc[1])
    same(cell_means.tau2, contrast.tau2)
    assert cell_means.omnibus.df == 2
    assert contrast.omnibus.df == 1
    same(cell_means.r2, contrast.r2)


def test_tidy_and_glance_have_their_columns():
    fit = regress(draw(12, 1), "~ x + C(g)")
    assert list(fit.tidy().columns) == [
        "term",
        "estimate",
        "std_error",
        "statistic",
        "df",
        "p_value",
        "ci_low",
        "ci_high",
    ]
    assert list(fit.tidy()["term"]) == ["Intercept", "x", "C(g)[T.b]"]
    assert {"tau2", "r2", "qm", "qe", "aicc", "tau2_method"} <= set(fit.glance().columns)
    assert "R2" in fit.summary()
    assert "Levels of C(g): a, b" in fit.summary()
    assert "<caption>" in fit._repr_html_()
    same(np.sqrt(np.diag(fit.covariance())), fit.tidy()["std_error"])
    with pytest.raises(AttributeError):
        fit.tau2 = 1.0


def test_studies_carry_fitted_values():
    fit = regress(draw(12, 1), "~ x")
    s = fit.studies
    same(s["fitted"] + s["residual"], s["effect"])
    same(s["weight"].sum(), 100)
    same(s["leverage"].sum(), 2)
    same(fit.predict()["estimate"], s["fitted"])


def test_rows_without_a_moderator_are_left_out_and_said():
    table = draw(12, 1).assign(study=[f"S{i}" for i in range(12)])
    table.loc[3, "x"] = np.nan
    table["g"] = table["g"].astype(object)
    table.loc[5, "g"] = ""
    table.loc[6, "effect"] = np.nan
    before = table.copy()
    fit = regress(table, "~ x + g")
    pd.testing.assert_frame_equal(table, before)
    assert fit.k == 9
    left = fit.studies.loc[~fit.studies["included"]].set_index("study")["why_not"].to_dict()
    assert left == {"S3": "no value of moderator 'x'", "S5": "no value of moderator 'g'", "S6": "no effect"}
    assert any("S3; S5" in note for note in fit.notes)
    same(numbers(fit), numbers(regress(table.drop([3, 5, 6]), "~ x + g")))


def test_predictions_keep_rows_index_and_reasons():
    fit = regress(draw(12, 1), "~ x + g")
    new = pd.DataFrame({"x": [8.0, np.nan, 12.0], "g": ["a", "b", "b"]}, index=["p", "q", "r"])
    out = fit.predict(new)
    assert list(out.index) == ["p", "q", "r"]
    assert out["estimate"].isna().tolist() == [False, True, False]
    assert out.loc["q", "why_not"] == "no value of moderator 'x'"
    beta = fit.tidy()["estimate"]
    same(out.loc["r", "estimate"], beta @ np.array([1, 12.0, 1]))
    assert (out["pi_high"] - out["pi_low"] > out["ci_high"] - out["ci_low"]).loc[["p", "r"]].all()
    assert (fit.predict(new, level=0.8)["ci_low"] > out["ci_low"]).loc["p"]
    with pytest.raises(OptionError, match=r"'g' has 'z'; the fit knows 'a', 'b'"):
        fit.predict({"x": [1.0], "g": ["z"]})
    with pytest.raises(OptionError, match="no column 'g'"):
        fit.predict({"x": [1.0]})
    with pytest.raises(OptionError, match="level"):
        fit.predict(level=95)


def test_prediction_interval_rules():
    table = draw(12, 1)
    width = {
        rule: float(np.ptp(regress(table, "~ x", prediction_df=rule).predict().loc[0, ["pi_low", "pi_high"]]))
        for rule in ("k-1", "k-2", "z", "as-ci")
    }
    same(width["k-1"], width["as-ci"])
    assert width["z"] < width["k-1"] < width["k-2"]
    assert regress(table, "~ x", tau2_method="EE").predict()["pi_low"].isna().all()


def test_stateful_transforms_are_remembered():
    table = draw(14, 2)
    plain, centred = regress(table, "~ x + I(x**2)"), regress(table, "~ poly(x, 2)")
    new = {"x": [5.0, 9.0]}
    same(plain.predict(new)["estimate"], centred.predict(new)["estimate"], 1e-8)


def test_several_rows_of_one_trial():
    table = draw(12, 1).assign(trial_id=[f"t{i // 2}" for i in range(12)])
    with pytest.raises(SchemaError, match=r"t0: expected one value per trial.*"):
        meta_regression(table, "~ x")
    constant = table.assign(x=np.repeat(np.arange(6.0), 2))
    fit = regress(constant, "~ x")
    assert fit.k == 6
    assert (fit.studies["n_effects"] == 2).all()
    with pytest.warns(DependenceWarning):
        meta_regression(table, "~ x", dependence="independent")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DependenceWarning)
        robust = meta_regression(table, "~ x", dependence="independent", cluster="trial_id")
    assert robust.k == 12
    assert robust.n_clusters == 6


def test_standard_error_as_moderator_is_that_of_the_unit():
    table = draw(12, 1).assign(trial_id=[f"t{i // 2}" for i in range(12)])
    fit = regress(table, "~ std_error", tau2_method="EE")
    same(fit.design.x[:, 1], np.sqrt(fit.studies["variance"]))


@pytest.mark.parametrize(
    ("formula", "error", "words"),
    [
        ("~ x + I(2 * x)", NotEstimableError, r"'I\(2 \* x\)' is determined by 'x'"),
        ("~ x + one", NotEstimableError, "'one' is determined by 'Intercept'"),
        ("~ x + C(flat)", NotEstimableError, r"'C\(flat\)' \(always 'a'\)"),
        ("~ g + twin", NotEstimableError, r"'twin\[T.b2\]' is determined by 'g\[T.b\]'"),
        ("~ poly(x, 11)", NotEstimableError, "12 coefficients .* there are 12 trials; at least 13"),
        ("~ xx", OptionError, r"'xx' \(did you mean 'x'\?\)"),
        ("effect ~ x", OptionError, "only a right-hand side"),
        ("~ x +", OptionError, "cannot be read"),
        ("~ log(x - 100)", SchemaError, "not finite"),
        ("~ __import__('os').getcwd()", OptionError, "cannot be read"),
        ("~ np.load('x')", OptionError, "not a function that formulas may call"),
        ("", OptionError, "formula must be text"),
        (None, OptionError, "formula must be text"),
        ("~ 0", OptionError, "no terms"),
    ],
)
def test_formulas_that_cannot_be_used(formula, error, words):
    table = draw(12, 1).assign(one=2.0, flat="a")
    table["twin"] = table["g"].map({"a": "a2", "b": "b2"})
    with pytest.raises(error, match=words):
        meta_regression(table, formula)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tau2_method": "reml"}, "Did you mean 'REML'"),
        ({"ci_method": "henmi-copas"}, "ci_method"),
        ({"dependence": "three_level"}, "dependence"),
        ({"cluster_method": "CR2"}, "needs cluster"),
        ({"cluster": "g", "cluster_method": "CR3"}, "'CR2', 'CR1', 'CR0'"),
        ({"cluster": "g", "permutations": 100}, "exclude each other"),
        ({"permutations": 0}, "positive whole number"),
        ({"permutations": True}, "positive whole number"),
        ({"permutations": "all"}, "positive whole number"),
        ({"level": 95}, "level"),
    ],
)
def test_options_that_cannot_be_used(options, words):
    with pytest.raises(OptionError, match=words):
        meta_regression(draw(12, 1), "~ x", **options)


def test_permutations_need_a_moderator():
    with pytest.raises(OptionError, match="need a moderator"):
        meta_regression(draw(12, 1), "~ 1", permutations=10)


def test_clusters_that_are_missing():
    table = draw(12, 1)
    with pytest.raises(SchemaError, match="no column 'trial'"):
        meta_regression(table, "~ x", cluster="trial")
    table["trial"] = ["a", None, *"cdefghijkl"]
    with pytest.raises(SchemaError, match="row 2, column 'trial'"):
        meta_regression(table, "~ x", cluster="trial")


def test_no_row_left():
    with pytest.raises(NotEstimableError, match="none of the 3 rows"):
        meta_regression(pd.DataFrame({"effect": [1.0, 2, 3], "variance": 1.0, "x": np.nan}), "~ x")


def test_knapp_hartung_narrower_than_wald_is_said():
    table = pd.DataFrame({"effect": [0.1, 0.2, 0.31, 0.4, 0.5], "variance": 1.0, "x": [1.0, 2, 3, 4, 5]})
    with pytest.warns(NarrowIntervalWarning):
        fit = meta_regression(table, "~ x")
    assert any("narrower" in note for note in fit.notes)


def test_perfect_fit_and_equal_effects_do_not_crash():
    x = np.arange(6.0)
    exact = pd.DataFrame({"effect": 2 * x, "variance": 0.1, "x": x})
    for method in METHODS:
        fit = regress(exact, "~ x", tau2_method=method)
        same(fit.tidy()["estimate"], [0, 2])
        if method != "SJ":
            assert fit.tau2 == 0
        flat = regress(exact.assign(effect=0.5), "~ x", tau2_method=method)
        same(flat.tidy()["estimate"], [0.5, 0])
        assert flat.tau2 == 0


def test_types_of_moderators():
    table = draw(12, 1)
    flags = table["g"] == "b"
    as_bool = regress(table.assign(m=flags), "~ m")
    same(numbers(as_bool), numbers(regress(table.assign(m=flags.astype("boolean")), "~ m")))
    same(numbers(as_bool), numbers(regress(table.assign(m=flags.astype("Int64")), "~ m")))
    same(numbers(as_bool), numbers(regress(table, "~ g")))
    spare = pd.Categorical(table["g"], categories=["b", "a", "unused"])
    reversed_levels = regress(table.assign(m=spare), "~ m")
    assert list(reversed_levels.tidy()["term"]) == ["Intercept", "m[T.a]"]
    same(reversed_levels.tidy()["estimate"].iloc[1], -as_bool.tidy()["estimate"].iloc[1])
    odd_names = table.rename(columns={"x": "number of sessions"})
    same(numbers(regress(odd_names, "~ `number of sessions`")), numbers(regress(table, "~ x")))


def test_gvif_without_correlation_is_one():
    table = pd.DataFrame({"effect": np.random.default_rng(0).normal(size=8), "variance": 0.1})
    table = table.assign(a=[0, 0, 1, 1] * 2, b=[0, 1, 0, 1] * 2)
    vif = regress(table, "~ a + b").vif()
    assert list(vif["term"]) == ["a", "b"]
    same(vif["gvif"], [1, 1])


@pytest.mark.parametrize("seed", [17, 47, 116])
def test_a_test_of_moderators_without_an_inverse_is_missing_not_a_crash(seed: int) -> None:
    rng = np.random.default_rng(seed)
    k = int(rng.integers(4, 14))
    v = 10.0 ** rng.uniform(-59, 59, k)
    y = rng.normal(size=k) * (np.sqrt(v) if seed % 2 else 1.0)
    rng.normal(size=k), rng.integers(-6, 6)
    table = pd.DataFrame({"effect": y, "variance": v, "g": rng.choice(list("abc"), k)})
    fit = meta_regression(table, "~ g", ci_method="wald")
    assert np.isfinite(fit.tau2)
    assert fit.omnibus is not None
