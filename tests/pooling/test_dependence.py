"""The front door of dependent effects: laws, awkward tables, options, messages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.errors import ConvergenceError, NotEstimableError, OptionError, SchemaError
from ipt_evidence.pooling.dependence import multilevel
from ipt_evidence.pooling.fit import pool
from ipt_evidence.pooling.multilevel_result import MultilevelFit, RhoSensitivity

from . import dense

LAW = 1e-7
"""Two fits that are equal in theory: what is left of two independent iterations."""

seeds = st.integers(0, 10_000)
law = settings(max_examples=15, derandomize=True, deadline=None)


def table(seed: int = 1, n_trials: int = 8) -> pd.DataFrame:
    y, x, trial, v = dense.draw(seed, n_trials, p=2)
    return pd.DataFrame({"trial_id": [f"t{j}" for j in trial], "effect": y, "variance": v, "dose": x[:, 1]})


def numbers(fit: MultilevelFit) -> np.ndarray:
    tidy = fit.tidy()[["estimate", "std_error", "df", "ci_low", "ci_high"]].to_numpy().ravel()
    return np.append(tidy, [fit.sigma2_between, fit.sigma2_within, fit.qe, fit.pi_low, fit.pi_high])


@law
@given(seed=seeds, rho=st.sampled_from([0.0, 0.6]))
def test_order_of_rows(seed, rho):
    data = table(seed)
    shuffled = data.sample(frac=1, random_state=seed)
    np.testing.assert_allclose(
        numbers(multilevel(shuffled, rho=rho)), numbers(multilevel(data, rho=rho)), rtol=LAW, atol=1e-9
    )


@law
@given(seed=seeds, scale=st.sampled_from([-1.0, 1e-8, 1e8]))
def test_sign_and_scale(seed, scale):
    data = table(seed)
    scaled = data.assign(effect=data["effect"] * scale, variance=data["variance"] * scale**2)
    one, other = (multilevel(d, rho=0.5) for d in (data, scaled))
    assert other.estimate == pytest.approx(one.estimate * scale, rel=LAW)
    assert other.std_error == pytest.approx(one.std_error * abs(scale), rel=LAW)
    assert other.df == pytest.approx(one.df, rel=LAW)
    assert other.sigma2_between == pytest.approx(one.sigma2_between * scale**2, rel=LAW, abs=1e-9 * scale**2)
    assert other.sigma2_within == pytest.approx(one.sigma2_within * scale**2, rel=LAW, abs=1e-9 * scale**2)
    assert other.i2 == pytest.approx(one.i2, rel=LAW)


@law
@given(seed=seeds)
def test_one_effect_per_trial_is_ordinary_reml(seed):
    data = table(seed).groupby("trial_id", as_index=False).head(1)
    ours = multilevel(data, ci_method="wald", rho=0.6)
    ordinary = pool(data, ci_method="wald", tau2_ci_method="none")
    assert ours.tau2 == pytest.approx(ordinary.tau2, rel=LAW, abs=1e-10)
    assert (ours.estimate, ours.std_error) == pytest.approx((ordinary.estimate, ordinary.std_error), rel=LAW)
    assert ours.sigma2_within == 0
    assert any("cannot be told apart" in note for note in ours.notes)
    with pytest.raises(NotEstimableError, match="one effect"):
        ours.profile_ci("within")


def test_no_variance_between_trials_is_ordinary_reml_of_all_rows():
    checked = 0
    for seed in range(60):
        y, _, trial, v = dense.draw(seed)
        noise = np.random.default_rng(seed).normal(size=y.size) * np.sqrt(v + 0.1)
        data = pd.DataFrame({"trial_id": trial, "effect": 0.3 + noise, "variance": v})
        ours = multilevel(data, ci_method="wald")
        if ours.sigma2_between > 0:
            continue
        checked += 1
        ordinary = pool(data.drop(columns="trial_id"), ci_method="wald", tau2_ci_method="none")
        assert ours.sigma2_within == pytest.approx(ordinary.tau2, rel=LAW, abs=1e-10)
        assert (ours.estimate, ours.std_error) == pytest.approx((ordinary.estimate, ordinary.std_error), rel=LAW)
    assert checked >= 10


@law
@given(seed=seeds)
def test_no_variance_within_trials_is_ordinary_reml_of_aggregated_trials(seed):
    """CHE with within-trial variance at zero pools the trials' weighted means: the aggregate route."""
    data = table(seed)
    ours = multilevel(data, rho=0.6, ci_method="wald")
    if ours.sigma2_within == 0:
        other = pool(data, rho=0.6, ci_method="wald", tau2_ci_method="none")
        assert ours.estimate == pytest.approx(other.estimate, rel=LAW)
        assert ours.sigma2_between == pytest.approx(other.tau2, rel=LAW, abs=1e-10)


def test_weights_rebuild_the_estimate():
    fit = multilevel(table(3), rho=0.6)
    assert fit.rows["weight"].sum() == pytest.approx(100)
    assert (fit.rows["weight"] * fit.rows["effect"]).sum() / 100 == pytest.approx(fit.estimate, rel=1e-9)


def test_coding_of_a_moderator_changes_no_test():
    data = table(4).assign(far=lambda d: 2000 + 3 * d["dose"])
    near, far = (multilevel(data, rho=0.6, formula=f) for f in ("~ dose", "~ far"))
    assert far.log_likelihood == pytest.approx(near.log_likelihood, abs=1e-8)
    a, b = (f.tidy().iloc[1] for f in (near, far))
    assert (a["statistic"], a["df"]) == pytest.approx((b["statistic"], b["df"]), rel=1e-6)
    assert np.isnan(near.pi_low)
    assert near.rows["weight"].isna().all()
    with pytest.raises(OptionError, match="several coefficients"):
        _ = near.estimate


def test_a_vcov_with_the_same_numbers_is_the_same_fit():
    data = table(5)
    codes = pd.factorize(data["trial_id"])[0]
    full = dense.sampling(codes, data["variance"].to_numpy(), 0.6)
    blocks = dense.diagonal_blocks(codes, full)
    expected = numbers(multilevel(data, rho=0.6))
    for vcov in (full, blocks):
        fit = multilevel(data, vcov=vcov)
        np.testing.assert_allclose(numbers(fit), expected, rtol=1e-9)
        assert fit.method.sampling_covariance == "given"


def test_vcov_of_rows_that_are_left_out_is_left_out():
    data = table(5)
    full = dense.sampling(pd.factorize(data["trial_id"])[0], data["variance"].to_numpy(), 0.6)
    data.loc[[0, 2], "effect"] = np.nan
    assert data["trial_id"].iloc[0] in set(data["trial_id"].iloc[1:])
    np.testing.assert_allclose(numbers(multilevel(data, vcov=full)), numbers(multilevel(data, rho=0.6)), rtol=1e-9)


def test_vcov_that_does_not_fit_is_refused():
    data = table(5)
    full = dense.sampling(pd.factorize(data["trial_id"])[0], data["variance"].to_numpy(), 0.6)
    with pytest.raises(SchemaError, match="expected"):
        multilevel(data, vcov=full[1:, 1:])
    with pytest.raises(SchemaError, match="the table's variances on its diagonal"):
        multilevel(data, vcov=2 * full)
    with pytest.raises(SchemaError, match="different trials covary"):
        multilevel(data, vcov=full + 0.001)
    with pytest.raises(SchemaError, match="one block for each"):
        multilevel(data, vcov=[np.eye(2)])
    with pytest.raises(SchemaError, match="expected a block of"):
        multilevel(data, vcov=[np.eye(9)] * data["trial_id"].nunique())
    with pytest.raises(OptionError, match="rho would not act"):
        multilevel(data, vcov=full, rho=0.5)
    with pytest.raises(OptionError, match="would not act"):
        multilevel(data, vcov=full, variances="trial_mean")


def test_a_covariance_without_inverse_names_the_trial():
    data = table(5)
    codes, names = pd.factorize(data["trial_id"])
    full = dense.sampling(codes, data["variance"].to_numpy(), 1.0)
    size = np.bincount(codes)
    with pytest.raises(SchemaError, match=f"trial {names[np.argmax(size > 1)]}"):
        multilevel(data, vcov=full)


def test_rows_that_cannot_be_used_stay_with_their_reason():
    data = table(6)
    data.loc[1, "effect"] = np.nan
    data.loc[3, "dose"] = np.nan
    before = data.copy()
    fit = multilevel(data, formula="~ dose")
    pd.testing.assert_frame_equal(data, before)
    assert len(fit.rows) == len(data)
    assert fit.k_effects == len(data) - 2
    assert list(fit.rows.loc[~fit.rows["included"], "why_not"]) == ["no effect", "no value of moderator 'dose'"]
    assert any("2 rows" in note for note in fit.notes)
    same = multilevel(data.drop(index=[1, 3]), formula="~ dose")
    np.testing.assert_allclose(fit.tidy()["estimate"], same.tidy()["estimate"], rtol=1e-12)


def test_tables_that_determine_nothing():
    data = table(7)
    with pytest.raises(NotEstimableError, match="between-trial variance cannot be estimated"):
        multilevel(data[data["trial_id"] == data["trial_id"].mode()[0]])
    with pytest.raises(NotEstimableError, match="no effect is left"):
        multilevel(data.head(1))
    with pytest.raises(NotEstimableError, match="the table is empty"):
        multilevel(data.head(0))
    with pytest.raises(NotEstimableError, match="no effect"):
        multilevel(data.assign(effect=np.nan))
    with pytest.raises(SchemaError, match="no column cluster"):
        multilevel(data, cluster="cluster")
    with pytest.raises(SchemaError, match=r"row 2, column 'trial_id'"):
        multilevel(data.assign(trial_id=[None if i == 1 else t for i, t in enumerate(data["trial_id"])]))
    with pytest.raises(SchemaError, match="positive, finite variance"):
        multilevel(data.assign(variance=0.0))
    by_trial = data.assign(arm=data["trial_id"])
    with pytest.raises(NotEstimableError, match="between-trial variance cannot be estimated"):
        multilevel(by_trial, formula="~ arm")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rho": 1.0}, "below 1"),
        ({"rho": -0.1}, "between 0 and 1"),
        ({"rho": []}, "empty list"),
        ({"method": "DL"}, "'REML', 'ML'"),
        ({"ci_method": "hksj"}, "cr2"),
        ({"level": 95}, "level"),
        ({"formula": "~ nothing"}, "nothing"),
        ({"variances": "mean"}, "trial_mean"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(OptionError, match=message):
        multilevel(table(1), **options)


def test_awkward_numbers():
    data = table(8, 12)
    same = multilevel(data.assign(effect=0.3))
    assert same.estimate == pytest.approx(0.3)
    assert (same.sigma2_between, same.sigma2_within) == (0.0, 0.0)
    assert any("less than half" in note for note in same.notes)
    wild = data.assign(effect=lambda d: d["effect"].where(d.index != 0, 1e6))
    assert multilevel(wild, rho=0.6).sigma2_within > 1e8
    extreme = data.assign(variance=10.0 ** np.linspace(-12, 12, len(data)))
    fit = multilevel(extreme)
    assert np.isfinite(numbers(fit)).all()
    two = data[data["trial_id"].isin(data["trial_id"].unique()[:2])]
    assert multilevel(two).k_trials == 2


def test_many_trials_take_linear_time_and_memory():
    data = pd.concat([table(seed, 50).assign(trial_id=lambda d, s=seed: d["trial_id"] + f"-{s}") for seed in range(60)])
    fit = multilevel(data.reset_index(drop=True), rho=0.6)
    assert fit.k_trials == 3000


def test_few_degrees_of_freedom_are_said():
    fit = multilevel(table(9, 4), rho=0.6)
    assert fit.df < 4
    assert any("Fewer than 4" in note for note in fit.notes)


def test_what_a_fit_shows():
    fit = multilevel(table(10), rho=0.6)
    text = fit.summary()
    assert "correlated 0.6 within a trial (CHE)" in text
    assert "between trials" in text
    assert list(fit.tidy().columns) == [
        *("term", "estimate", "std_error", "statistic", "df", "p_value", "ci_low", "ci_high"),
    ]
    glance = fit.glance()
    assert glance.loc[0, "rho"] == 0.6
    assert glance.loc[0, "sigma2_between"] == fit.sigma2_between
    assert fit._repr_html_().count("<caption>") == 1
    assert (fit.ci_low, fit.ci_high, fit.statistic, fit.p_value) == tuple(
        fit.tidy().loc[0, ["ci_low", "ci_high", "statistic", "p_value"]]
    )
    with pytest.raises(AttributeError):
        fit.qe = 1.0
    moderated = multilevel(table(10), formula="~ dose").summary()
    assert "moderators" in moderated


def test_a_list_of_rho_is_a_mapping():
    fits = multilevel(table(11), rho=[0.2, 0.8])
    assert isinstance(fits, RhoSensitivity)
    assert list(fits) == [0.2, 0.8]
    assert len(fits.tidy()) == 2
    assert "0.2" in fits.summary()
    assert "<table" in fits._repr_html_()
    with pytest.raises(KeyError, match=r"0\.2, 0\.8"):
        fits[0.5]


def test_profile_interval_takes_a_level():
    fit = multilevel(table(12), rho=0.3)
    assert fit.profile_ci("between", level=0.5).level == 0.5
    with pytest.raises(OptionError, match="between"):
        fit.profile_ci("total")


@pytest.mark.parametrize("seed", [42, 258, 324, 339, 363])
def test_variances_over_many_decades_end_in_numbers_or_in_words(seed):
    """These seeds stopped in the middle with a singular matrix."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(4, 14))
    v = 10.0 ** rng.uniform(-12, 12, k)
    y = rng.normal(size=k) * (np.sqrt(v) if seed % 2 else 1.0)
    x = rng.normal(size=k) * 10.0 ** rng.integers(-6, 6)
    rng.choice(list("abc"), k)
    trial = [f"t{i}" for i in rng.integers(0, max(k // 2, 1), k)]
    data = pd.DataFrame({"effect": y, "variance": v, "x": x, "trial_id": trial})
    for formula in (None, "~ x"):
        try:
            fit = multilevel(data, formula=formula, ci_method="t")
        except (NotEstimableError, ConvergenceError) as error:
            assert "orders of magnitude" in str(error) or "please report" in str(error)  # noqa: PT017
        else:
            assert np.isfinite(fit.tidy()[["estimate", "std_error"]]).all(axis=None)
