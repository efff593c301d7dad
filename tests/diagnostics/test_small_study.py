"""Tests for small-study effects: laws, other implementations of the same regression, and what must be refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

import ipt_evidence as ipt
from ipt_evidence.errors import NotEstimableError, OptionError

ROUNDING = 1e-9
"""The same weighted sums in another order."""
pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.SmallKWarning")
quick = settings(derandomize=True, deadline=None, max_examples=10)


def random_table(seed, k=14):
    rng = np.random.default_rng(seed)
    n_1, n_2 = rng.integers(10, 90, k), rng.integers(10, 90, k)
    variance = (1 / n_1 + 1 / n_2) * rng.uniform(0.9, 1.2, k)
    effect = rng.normal(0.3 + 0.8 * np.sqrt(variance), np.sqrt(variance + 0.05))
    labels = [f"trial {i}" for i in range(k)]
    return pd.DataFrame(
        {"effect": effect, "variance": variance, "n_1": n_1, "n_2": n_2, "study": labels, "measure": "SMD"}
    )


def weighted(y, x, weight):
    return sm.WLS(y, sm.add_constant(x), weights=weight).fit()


@pytest.mark.parametrize(
    ("predictor", "size"),
    [
        ("std_error", lambda t: np.sqrt(t.variance)),
        ("variance", lambda t: t.variance),
        ("1/n", lambda t: 1 / (t.n_1 + t.n_2)),
        ("sqrt(1/n)", lambda t: (t.n_1 + t.n_2) ** -0.5),
        ("pustejovsky-rodgers", lambda t: np.sqrt(1 / t.n_1 + 1 / t.n_2)),
    ],
)
def test_every_predictor_equals_the_same_weighted_regression(predictor, size):
    table = random_table(3)
    test, other = ipt.egger_test(table, predictor=predictor), weighted(table.effect, size(table), 1 / table.variance)
    np.testing.assert_allclose(
        [test.estimate, test.slope, test.statistic, test.p_value, test.slope_std_error, test.ci_low, test.ci_high],
        [*other.params, other.tvalues.iloc[1], other.pvalues.iloc[1], other.bse.iloc[1], *other.conf_int().iloc[0]],
        rtol=ROUNDING,
    )
    assert test.df == len(table) - 2


@pytest.mark.parametrize("weights", ["asymptotic", "variance"])
def test_debray_regresses_on_the_inverse_number_of_events(weights):
    rng = np.random.default_rng(5)
    e_1, e_2 = rng.integers(4, 60, 12), rng.integers(4, 60, 12)
    table = pd.DataFrame({"effect": rng.normal(-0.2, 0.2, 12), "variance": 1 / e_1 + 1 / e_2 + 0.01, "measure": "HR"})
    table = table.assign(events_1=e_1, events_2=e_2)
    test = ipt.debray_test(table, weights=weights)
    weight = 1 / (1 / e_1 + 1 / e_2) if weights == "asymptotic" else 1 / table.variance
    other = weighted(table.effect, 1 / (e_1 + e_2), weight)
    np.testing.assert_allclose([test.slope, test.p_value], [other.params.iloc[1], other.pvalues.iloc[1]], rtol=ROUNDING)


@pytest.mark.parametrize("model", ["three_level", "che"])
def test_multilevel_form_is_the_multilevel_regression(model):
    table = random_table(8, 30).assign(trial_id=np.repeat(np.arange(12), [3] * 9 + [1] * 3))
    test = ipt.egger_test(table, model=model, rho=0.5)
    regression = ipt.multilevel(
        table.assign(se=np.sqrt(table.variance)), formula="~ se", rho=0.5 if model == "che" else 0.0, ci_method="cr2"
    )
    row = regression.coefficients.iloc[1]
    assert (test.slope, test.df, test.p_value) == (row["estimate"], row["df"], row["p_value"])
    assert test.k == 12
    assert "CR2" in test.model


@quick
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-6, 1e6]))
def test_direction_order_and_scale_do_not_matter(seed, scale):
    """Slopes and fills turn round with the effects; order and scale change neither test nor estimate."""
    table = random_table(seed)
    turned = table.assign(effect=-table.effect)
    larger = table.sample(frac=1, random_state=seed).assign(
        effect=lambda t: t.effect * scale, variance=lambda t: t.variance * scale**2
    )
    for test in (ipt.egger_test, ipt.begg_test):
        one, other, two = test(table), test(turned), test(larger)
        np.testing.assert_allclose([-one.statistic, one.p_value], [other.statistic, other.p_value], rtol=ROUNDING)
        np.testing.assert_allclose([one.statistic, one.p_value], [two.statistic, two.p_value], rtol=1e-7)
    filled = {estimator: ipt.trim_and_fill(table, estimator=estimator) for estimator in ("L0", "R0")}
    for estimator, one in filled.items():
        other = ipt.trim_and_fill(turned, estimator=estimator)
        assert (one.k0, {one.side, other.side}) == (other.k0, {"left", "right"})
        np.testing.assert_allclose(one.estimate, -other.estimate, rtol=1e-6, atol=1e-9)
    for one, two in (
        (ipt.pet_peese(table), ipt.pet_peese(larger)),
        (ipt.limit_meta(table), ipt.limit_meta(larger)),
        (filled["L0"], ipt.trim_and_fill(larger)),
    ):
        np.testing.assert_allclose(
            [one.estimate * scale, one.std_error * scale], [two.estimate, two.std_error], rtol=1e-6, atol=1e-9 * scale
        )


def test_a_symmetric_funnel_has_nothing_to_fill():
    deviations, error = np.tile([-1.0, 0.9], 8), np.repeat(np.linspace(0.1, 0.4, 8), 2)
    table = pd.DataFrame({"effect": 0.4 + deviations * error, "variance": error**2})
    found = ipt.trim_and_fill(table, side="left")
    assert found.k0 == 0
    assert found.estimate == found.original.estimate
    assert "no trial missing on the left" in found.interpretation


def test_filled_trials_mirror_the_largest_effects():
    table = random_table(11, 20).sort_values("effect").iloc[4:]
    found = ipt.trim_and_fill(table, side="left")
    assert found.k0 >= 3
    assert list(found.filled["study"]) == [f"filled: {s}" for s in table["study"].iloc[-found.k0 :]]
    middle = (found.filled["effect"].to_numpy() + table["effect"].iloc[-found.k0 :].to_numpy()) / 2
    np.testing.assert_allclose(middle, middle[0])
    assert found.fit.k == len(table) + found.k0


def test_pet_peese_takes_peese_when_pet_finds_an_effect():
    table = random_table(1, 40)
    adjusted = ipt.pet_peese(table)
    assert adjusted.chosen == ("PEESE" if adjusted.pet_p_value < 0.05 else "PET")
    strict = ipt.pet_peese(table, alpha=adjusted.pet_p_value * 0.99)
    assert strict.chosen == "PET"
    assert strict.estimate == adjusted.pet.intercept
    assert ipt.pet_peese(table.assign(effect=-table.effect), alternative="less").estimate == pytest.approx(
        -adjusted.estimate
    )


def test_limit_meta_without_heterogeneity_is_the_line_at_zero():
    error = np.linspace(0.1, 0.5, 12)
    table = pd.DataFrame({"effect": 0.3 + error + 0.01 * np.cos(np.arange(12)), "variance": error**2})
    found = ipt.limit_meta(table, level=0.9)
    assert (found.tau2, found.g2) == (0, 0)
    assert found.estimate == pytest.approx(ipt.egger_test(table).estimate)
    assert found.ci_high - found.ci_low == pytest.approx(2 * 1.6448536269514722 * found.std_error)
    assert set(found.studies["limit_effect"].round(12)) == {round(found.estimate, 12)}


FUNCTIONS = [ipt.egger_test, ipt.begg_test, ipt.trim_and_fill, ipt.pet_peese, ipt.limit_meta]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("k", [1, 2])
def test_too_few_trials_are_refused(function, k):
    with pytest.raises(NotEstimableError, match=f"at least 3 trials; there are {k}"):
        function(random_table(1, k))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_equal_precision_is_refused(function):
    with pytest.raises(NotEstimableError, match=r"precision|variances are equal"):
        function(random_table(1).assign(variance=0.04))


def test_equal_effects_have_no_small_study_effect():
    table = random_table(1).assign(effect=0.5)
    for function in (ipt.egger_test, ipt.pet_peese, ipt.limit_meta, ipt.trim_and_fill):
        with pytest.raises(NotEstimableError, match="scatter"):
            function(table)
    assert ipt.trim_and_fill(table, side="left").k0 == 0
    with pytest.raises(NotEstimableError, match="effects are equal"):
        ipt.begg_test(table)


def test_trials_without_sample_sizes_are_left_out_and_named():
    table = random_table(1)
    table.loc[[2, 4], "n_2"] = np.nan
    test, adjusted = ipt.egger_test(table, predictor="1/n"), ipt.pet_peese(table, standard_error="pustejovsky-rodgers")
    assert test.k == adjusted.k == 12
    assert test.notes[0] == adjusted.notes[0] == "Left out, sample sizes unknown: trial 2, trial 4."
    assert test.slope == ipt.egger_test(table.dropna(), predictor="1/n").slope
    with pytest.raises(OptionError, match="n_1 and n_2"):
        ipt.egger_test(table.drop(columns=["n_1"]), predictor="1/n")


def test_counts_are_needed_and_named():
    with pytest.raises(OptionError, match="the table has no events_1"):
        ipt.peters_test(random_table(1))
    with pytest.raises(OptionError, match="hazard ratios"):
        ipt.debray_test(random_table(1))


def test_events_that_are_bad_news_turn_the_direction():
    n = np.arange(20, 140, 10)
    counts = pd.DataFrame(
        {"events_1": n // 4, "total_1": n, "events_2": n // 2 - n % 3, "total_2": n, "study": n.astype(str)}
    )
    bad, good = (ipt.effect_sizes(counts.assign(lower_is_better=b), measure="OR") for b in (1, 0))
    for test in (ipt.peters_test, ipt.harbord_test):
        assert test(bad).statistic == pytest.approx(-test(good).statistic)


def test_trials_without_events_are_left_out_and_said():
    n = np.arange(20, 140, 10)
    counts = pd.DataFrame({"events_1": n // 4, "total_1": n, "events_2": n // 2, "total_2": n, "study": n.astype(str)})
    counts.loc[3, ["events_1", "events_2"]] = 0
    effects = ipt.effect_sizes(counts.assign(lower_is_better=1), measure="OR")
    test = ipt.peters_test(effects)
    assert test.k == 11
    assert any("Left out" in note and "50" in note for note in test.notes)


def test_results_show_what_a_reader_needs():
    table = random_table(2)
    for result in (function(table) for function in FUNCTIONS):
        page = result._repr_html_()
        assert "<caption>" in page
        assert result.interpretation.split(";")[0][:30] in page
        assert len(result.tidy()) >= 1
    test = ipt.egger_test(table)
    assert "not evidence" in test.interpretation or "one possible reason" in test.interpretation
    assert any("depends on the difference itself" in note for note in test.notes)
    assert not ipt.egger_test(table, predictor="pustejovsky-rodgers").notes
