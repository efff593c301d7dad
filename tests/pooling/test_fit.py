"""The front door: every option acts, awkward tables get an answer or a clear refusal, notes and warnings fit."""

from __future__ import annotations

import warnings
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import ipt_evidence as ipt
from ipt_evidence import options
from ipt_evidence.errors import (
    DependenceWarning,
    EvidenceWarning,
    MixedRowsWarning,
    NarrowIntervalWarning,
    NotEstimableError,
    OptionError,
)
from ipt_evidence.pooling.settings import CHOICES
from tests.pooling.conftest import random_table

HEADLINE = ("estimate", "std_error", "ci_low", "p_value", "pi_low", "tau2", "tau2_std_error", "tau2_ci_low", "i2", "k")
SAME_ROOT = ("SJIT", "EB", "PM", "DLIT")
PLAIN_CI = ("wald", "t", "hksj", "hksj-adhoc")
ignore_ours = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.EvidenceWarning")


def warnings_of(function: Any) -> list[type[Warning]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return [w.category for w in caught]


def fingerprint(tables: list[pd.DataFrame], **given: Any) -> tuple[float, ...]:
    """The headline numbers on all tables; NaN written as -1 so that fingerprints can be compared."""
    if given.get("ci_method") in ("cr0", "cr1", "cr2"):
        given = {**given, "dependence": "che"}
    fits = [ipt.pool(table, **given) for table in tables]
    return tuple(float(np.nan_to_num(getattr(fit, name), nan=-1.0)) for fit in fits for name in HEADLINE)


@ignore_ours
@pytest.mark.parametrize("name", [*CHOICES, "preset"])
def test_every_choice_acts(name: str, spread: pd.DataFrame) -> None:
    tables = [spread, random_table(1, 6, tau=0.0)]
    choices = get_args(options.Preset if name == "preset" else CHOICES[name])
    found: dict[tuple[float, ...], list[str]] = {}
    for choice in choices:
        found.setdefault(fingerprint(tables, **{name: choice}), []).append(choice)
    same = [group for group in found.values() if len(group) > 1]
    expected = {"tau2_method": [sorted(SAME_ROOT)], "prediction_df": [["as-ci", "k-1"]]}.get(name, [])
    assert sorted(sorted(group) for group in same) == expected
    if name == "prediction_df":
        as_ci = fingerprint(tables, prediction_df="as-ci", ci_method="wald")
        assert as_ci != fingerprint(tables, prediction_df="k-1", ci_method="wald")


@ignore_ours
@pytest.mark.parametrize(("name", "one", "other"), [("level", 0.9, 0.95), ("rho", 0.3, 0.6)])
def test_every_number_acts(name: str, one: float, other: float, spread: pd.DataFrame) -> None:
    assert fingerprint([spread], **{name: one}) != fingerprint([spread], **{name: other})


@ignore_ours
def test_defaults_are_the_cochrane_set(spread: pd.DataFrame) -> None:
    written_out = {
        "tau2_method": "REML",
        "ci_method": "hksj",
        "prediction_df": "k-1",
        "prediction_se": "ci",
        "tau2_ci_method": "qprofile",
        "i2_method": "tau2",
        "level": 0.95,
        "dependence": "aggregate",
        "rho": 0.6,
        "aggregation": "weighted",
    }
    fit = ipt.pool(spread)
    assert {name: getattr(fit.method, name) for name in written_out} == written_out
    assert fingerprint([spread]) == fingerprint([spread], **written_out) == fingerprint([spread], preset="cochrane")
    assert fit.method.software.startswith("ipt_evidence")


@ignore_ours
def test_an_option_overrides_its_preset(spread: pd.DataFrame) -> None:
    fit = ipt.pool(spread, preset="cma", tau2_method="REML")
    assert (fit.method.tau2_method, fit.method.ci_method, fit.method.preset) == ("REML", "wald", "cma")


@pytest.mark.parametrize("name", [*CHOICES, "preset"])
@pytest.mark.parametrize("value", ["nonsense", "", 1, ["REML"]])
def test_a_wrong_choice_lists_the_right_ones(name: str, value: Any, three: pd.DataFrame) -> None:
    choices = get_args(options.Preset if name == "preset" else CHOICES[name])
    with pytest.raises(OptionError) as caught:
        ipt.pool(three, **{name: value})
    message = str(caught.value)
    assert message.startswith(f"{name} must be one of")
    assert all(repr(choice) in message for choice in choices)
    assert repr(value) in message


def test_a_choice_in_the_wrong_case_is_guessed(three: pd.DataFrame) -> None:
    with pytest.raises(OptionError, match="Did you mean 'REML'"):
        ipt.pool(three, tau2_method="reml")  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "value"), [("level", 95), ("level", 0), ("level", 1), ("rho", -0.1), ("rho", 1.1)])
def test_a_number_out_of_range_is_refused(name: str, value: float, three: pd.DataFrame) -> None:
    with pytest.raises(OptionError, match=f"{name} must .* received {value}"):
        ipt.pool(three, **{name: value})  # type: ignore[arg-type]


def test_options_are_checked_before_the_data() -> None:
    with pytest.raises(OptionError):
        ipt.pool(pd.DataFrame(), tau2_method="XX")  # type: ignore[arg-type]


@ignore_ours
@pytest.mark.parametrize("method", get_args(options.Tau2Method))
@pytest.mark.parametrize("ci", PLAIN_CI)
@pytest.mark.parametrize("i2", get_args(options.I2Method))
def test_one_trial(method: Any, ci: Any, i2: Any, three: pd.DataFrame) -> None:
    fit = ipt.pool(three.iloc[:1], tau2_method=method, ci_method=ci, i2_method=i2)
    assert (fit.k, fit.estimate, fit.std_error) == (1, 0.2, pytest.approx(0.2))
    assert (fit.ci_low, fit.ci_high) == pytest.approx((0.2 - 0.2 * 1.959963984540054, 0.2 + 0.2 * 1.959963984540054))
    assert (fit.ci_low, fit.ci_high) == pytest.approx((fit.wald_ci_low, fit.wald_ci_high))
    undefined = [fit.tau2, fit.tau, fit.tau2_ci_low, fit.i2, fit.i2_ci_low, fit.h2, fit.q, fit.q_p, fit.pi_low]
    assert np.isnan(undefined).all()
    assert fit.q_df == 0
    assert any("One trial" in note for note in fit.notes)
    assert fit.studies["weight"].tolist() == [100]


@ignore_ours
@pytest.mark.parametrize("method", get_args(options.Tau2Method))
def test_two_trials(method: Any, three: pd.DataFrame) -> None:
    fit = ipt.pool(three.iloc[:2], tau2_method=method)
    assert fit.k == 2
    assert np.isfinite([fit.estimate, fit.ci_low, fit.wald_ci_low, fit.tau2, fit.i2, fit.q_p]).all()
    assert np.isnan([fit.pi_low, fit.pi_high]).all()
    assert any("Two trials" in note for note in fit.notes)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"effect": [], "variance": []}), "no rows"),
        (pd.DataFrame({"effect": [0.1, None], "variance": [None, 0.1]}), "none of the 2 rows"),
        (pd.DataFrame({"effect": [np.nan], "variance": [1.0], "why_not": ["no SD"]}), r"no SD \(1\)"),
    ],
)
def test_nothing_to_pool(table: pd.DataFrame, message: str) -> None:
    with pytest.raises(NotEstimableError, match=message):
        ipt.pool(table)


@pytest.mark.parametrize("method", get_args(options.Tau2Method))
def test_variances_of_very_different_size(method: Any) -> None:
    """A study with variance 1e12 weighs nothing and must not disturb the others; one with 1e-12 must not break them."""
    table = pd.DataFrame({"effect": [0.1, 0.5, 0.3, 2.0], "variance": [1e-12, 0.3, 0.1, 0.2]})
    with_rough = pd.concat([table, pd.DataFrame({"effect": [40.0], "variance": [1e12]})], ignore_index=True)
    fit = ipt.pool(with_rough, tau2_method=method, ci_method="wald")
    assert np.isfinite([fit.estimate, fit.std_error, fit.tau2, fit.i2, fit.q, fit.pi_low or 0]).all() or method == "EE"
    assert 0.1 - 1e-9 <= fit.estimate <= 2.0
    assert fit.tau2 >= 0
    if method in ("REML", "ML", "EE"):
        without = ipt.pool(table, tau2_method=method, ci_method="wald")
        assert fit.estimate == pytest.approx(without.estimate, rel=1e-6)


@pytest.mark.parametrize("method", get_args(options.Tau2Method))
def test_one_huge_outlier(method: Any) -> None:
    table = pd.DataFrame({"effect": [0.1, 0.5, 0.3, 1e9], "variance": [0.1, 0.1, 0.1, 0.2]})
    fit = ipt.pool(table, tau2_method=method, ci_method="wald")
    assert np.isfinite([fit.estimate, fit.std_error, fit.tau2, fit.q]).all()
    assert fit.tau2 == 0 if method == "EE" else 1e16 < fit.tau2 < 1e19


@ignore_ours
def test_ten_thousand_studies() -> None:
    rng = np.random.default_rng(1)
    variance = rng.uniform(0.01, 1, 10_000)
    table = pd.DataFrame({"effect": rng.normal(0.3, np.sqrt(variance + 0.04)), "variance": variance})
    table["trial_id"] = np.repeat(np.arange(5_000), 2)
    table["arm_1"], table["n_1"], table["n_2"] = "IPT", 20, 25
    fit = ipt.pool(table)
    assert fit.k == 5_000
    assert fit.estimate == pytest.approx(0.3, abs=0.05)
    assert fit.n_participants == 5_000 * 45


@pytest.mark.parametrize("ci", PLAIN_CI)
@ignore_ours
def test_equal_effects(ci: Any) -> None:
    fit = ipt.pool(pd.DataFrame({"effect": [0.3] * 4, "variance": [0.1, 0.2, 0.1, 0.2]}), ci_method=ci)
    assert (fit.estimate, fit.tau2, fit.i2) == (pytest.approx(0.3), 0, 0)
    if ci == "hksj":
        assert any("no width" in note or "narrower" in note for note in fit.notes)


@ignore_ours
@pytest.mark.parametrize("preset", get_args(options.Preset))
def test_the_callers_frame_is_not_changed(preset: Any, spread: pd.DataFrame) -> None:
    before = spread.copy(deep=True)
    fit = ipt.pool(spread, preset=preset)
    ipt.pool_by(spread, "part", preset=preset)
    fit.studies.loc[0, "effect"] = 99.0
    pd.testing.assert_frame_equal(spread, before)


def test_narrow_interval_is_said_exactly_when_it_is_narrow() -> None:
    seen = set()
    for seed in range(12):
        table = random_table(seed, 4, tau=0.0)
        for ci in PLAIN_CI:
            caught = warnings_of(lambda table=table, ci=ci: ipt.pool(table, ci_method=ci))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", EvidenceWarning)
                fit = ipt.pool(table, ci_method=ci)
            narrow = fit.ci_high - fit.ci_low < (fit.wald_ci_high - fit.wald_ci_low) * (1 - 1e-9)
            assert (caught == [NarrowIntervalWarning]) == narrow
            assert any("narrower" in note for note in fit.notes) == narrow
            seen.add((ci, narrow))
    assert ("hksj", True) in seen
    assert ("hksj", False) in seen
    assert ("hksj-adhoc", True) not in seen


def test_dependence_is_warned_of_exactly_when_rows_share_a_trial(spread: pd.DataFrame) -> None:
    def pool(table: pd.DataFrame, dependence: Any) -> list[type[Warning]]:
        return warnings_of(lambda: ipt.pool(table, dependence=dependence, ci_method="wald"))

    assert pool(spread, "independent") == [DependenceWarning]
    assert pool(spread, "aggregate") == []
    assert pool(spread.drop_duplicates("trial_id"), "independent") == []
    assert pool(spread.drop(columns="trial_id"), "independent") == []
    unusable = spread.assign(effect=spread["effect"].mask(spread["trial_id"].duplicated()))
    assert pool(unusable, "independent") == [], "only one row of each trial is used"
    with pytest.warns(DependenceWarning, match="2 trials .*: c, d"):
        ipt.pool(spread, dependence="independent", ci_method="wald")


@pytest.mark.parametrize("name", ["contrast", "phase"])
def test_mixed_rows_are_warned_of_exactly_when_used(name: str, three: pd.DataFrame) -> None:
    def pool(table: pd.DataFrame) -> list[type[Warning]]:
        return warnings_of(lambda: ipt.pool(table, ci_method="wald"))

    assert pool(three) == []
    assert pool(three.assign(**{name: "one"})) == []
    mixed = three.assign(**{name: ["one", "two", "one"]})
    assert pool(mixed) == [MixedRowsWarning]
    assert pool(mixed.assign(effect=[0.1, np.nan, 0.3])) == []


def test_several_measures_are_refused(three: pd.DataFrame) -> None:
    with pytest.raises(OptionError, match=r"2 measures \(SMD, OR\)"):
        ipt.pool(three.assign(measure=["SMD", "OR", "SMD"]))
    assert ipt.pool(three.assign(measure="SMD"), ci_method="wald").measure == "SMD"
    unused = three.assign(measure=["SMD", "OR", "SMD"], effect=[0.1, np.nan, 0.3])
    assert ipt.pool(unused, ci_method="wald").measure == "SMD"
    assert ipt.pool(three, ci_method="wald").measure == "effect"


def test_warnings_point_at_the_caller(spread: pd.DataFrame) -> None:
    with pytest.warns(EvidenceWarning) as caught:
        ipt.pool(spread.assign(contrast=spread["part"]), dependence="independent", ci_method="wald")
    assert {w.filename for w in caught} == {__file__}
    with pytest.warns(NarrowIntervalWarning) as caught:
        ipt.pool(pd.DataFrame({"effect": [0.3, 0.3], "variance": [0.1, 0.1]}))
    assert {w.filename for w in caught} == {__file__}


def test_an_empty_set_of_tau2_is_noted() -> None:
    alike = pd.DataFrame({"effect": [0.5, 0.5001, 0.4999], "variance": [0.1] * 3})
    fit = ipt.pool(alike, ci_method="wald")
    assert (fit.tau2_ci_low, fit.tau2_ci_high) == (0, 0)
    assert any("set of tau2 is empty" in note for note in fit.notes)
    assert not any("empty" in note for note in ipt.pool(random_table(1, 5), ci_method="wald").notes)


def test_combined_trials_are_noted(spread: pd.DataFrame) -> None:
    assert "2 trials with several effects combined (rho = 0.6)." in ipt.pool(spread, ci_method="wald").notes
    one = ipt.pool(spread.iloc[:4], ci_method="wald", rho=0.25)
    assert "1 trial with several effects combined (rho = 0.25)." in one.notes


def test_standard_error_may_stand_for_the_variance(spread: pd.DataFrame) -> None:
    by_error = spread.assign(std_error=np.sqrt(spread["variance"])).drop(columns="variance")
    one, other = ipt.pool(spread, ci_method="wald"), ipt.pool(by_error, ci_method="wald")
    assert other.estimate == pytest.approx(one.estimate, rel=1e-12)
    assert other.tau2 == pytest.approx(one.tau2, rel=1e-9)


@pytest.mark.parametrize("dependence", ["three_level", "che"])
def test_multilevel_dependence_is_the_multilevel_fit(dependence: Any, spread: pd.DataFrame) -> None:
    fit = ipt.pool(spread, dependence=dependence, rho=0.6)
    other = ipt.multilevel(spread, rho=0.6 if dependence == "che" else 0.0)
    assert fit.method.ci_method == "cr2"
    assert (fit.estimate, fit.ci_low, fit.ci_high) == pytest.approx((other.estimate, other.ci_low, other.ci_high))
    assert fit.tau2 == pytest.approx(other.sigma2_between + other.sigma2_within)
    weights = fit.studies["weight"].to_numpy()
    assert (weights * fit.studies["effect"]).sum() / weights.sum() == pytest.approx(fit.estimate)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ci_method": "cr2"}, "three_level"),
        ({"ci_method": "kr", "tau2_method": "DL"}, "REML"),
        ({"ci_method": "henmi-copas", "tau2_method": "REML"}, "DL"),
        ({"tau2_ci_method": "profile", "tau2_method": "DL"}, "REML"),
        ({"dependence": "che", "ci_method": "hksj"}, "cr2"),
        ({"dependence": "che", "tau2_method": "DL"}, "REML"),
    ],
)
def test_options_that_contradict_each_other_are_refused(given: Any, message: str, spread: pd.DataFrame) -> None:
    with pytest.raises(OptionError, match=message):
        ipt.pool(spread, **given)


def test_kenward_roger_and_henmi_copas_bring_their_estimator(three: pd.DataFrame) -> None:
    assert ipt.pool(three, ci_method="kr").method.tau2_method == "REML"
    fit = ipt.pool(three, ci_method="henmi-copas")
    common = ipt.pool(three, tau2_method="EE", ci_method="wald")
    assert fit.method.tau2_method == "DL"
    assert fit.estimate == pytest.approx(common.estimate)
    assert fit.studies["weight"].tolist() == pytest.approx(common.studies["weight"].tolist())


def test_log_likelihood_and_information_criteria(three: pd.DataFrame) -> None:
    fit = ipt.pool(three, tau2_method="ML")
    y, v = three["effect"].to_numpy(), three["variance"].to_numpy() + fit.tau2
    expected = float(norm.logpdf(y, fit.estimate, np.sqrt(v)).sum())
    assert fit.log_likelihood == pytest.approx(expected)
    assert fit.aic == pytest.approx(4 - 2 * expected)


def several_comparisons(**columns: object) -> pd.DataFrame:
    """Two trials of two rows, arms as given, and one of a single row."""
    trials = pd.DataFrame({"trial_id": ["a", "a", "b", "b", "c"], "variance": 0.05, "arm_1": "IPT", "arm_2": "CAU"})
    return trials.assign(effect=[0.1, 0.5, 0.9, 0.2, 0.4], **columns)


def said(table: pd.DataFrame, **options: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ipt.pool(table, ci_method="wald", **options)
    return [str(w.message) for w in caught if w.category is DependenceWarning]


@pytest.mark.parametrize("side", ["arm_1", "arm_2"])
def test_different_comparisons_of_a_trial_are_named_unless_chosen(side: str) -> None:
    table = several_comparisons(**{side: ["IPT", "IPT", "CBT", "waitlist", "IPT"]})
    (message,) = said(table)
    assert message.startswith("1 trial with several comparisons that share participants")
    for words in (": b. ", "dependence='aggregate'", "combine_arms()", "split_shared_control()", "dependence='che'"):
        assert words in message
    assert len(said(table, preset="metapsy")) == 1, "a preset is not a choice"
    assert said(table, dependence="aggregate") == said(table[::2]) == []
    unused = table.assign(effect=[0.1, 0.5, 0.9, None, 0.4])
    assert said(unused) == [], "the other comparison is not pooled"


def test_several_outcomes_of_one_comparison_are_no_reason_to_warn() -> None:
    labels = ["IPT (individual)", "ipt", "Interpersonal therapy", "IPT", "IPT"]
    assert said(several_comparisons(arm_1=labels, arm_2=["CAU", "care as usual", "CAU", None, "CAU"])) == []
    assert said(several_comparisons().drop(columns="arm_1")) == []


def test_many_trials_with_several_comparisons_are_counted() -> None:
    table = pd.concat(
        [several_comparisons(trial_id=[f"t{i}", f"t{i}", f"u{i}", f"u{i}", "c"]).iloc[:4] for i in range(4)],
        ignore_index=True,
    ).assign(arm_2=["CAU", "waitlist"] * 8)
    assert "8 trials with" in said(table)[0]
    assert ": t0, u0, t1, u1, t2 and 3 more. " in said(table)[0]


def test_groups_warn_of_several_comparisons_too() -> None:
    table = several_comparisons(arm_2=["CAU", "waitlist", "CAU", "CAU", "CAU"], part=["x", "x", "y", "y", "x"])
    with pytest.warns(DependenceWarning, match=": a. Say what you want"):
        ipt.pool_by(table, "part", ci_method="wald")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ipt.pool_by(table, "part", ci_method="wald", dependence="aggregate")


SHARED = pd.DataFrame(
    {
        "trial_id": ["a", "a", "b"],
        "arm_1": ["ipt", "cbt", "ipt"],
        "arm_2": "waitlist",
        "lower_is_better": 1,
        "mean_1": [10.0, 11.0, 9.0],
        "sd_1": 4.0,
        "n_1": [30, 32, 25],
        "mean_2": 16.0,
        "sd_2": 5.0,
        "n_2": [41, 41, 20],
    }
)


def test_comparisons_that_share_a_divided_arm_stay_apart_and_nobody_is_lost() -> None:
    effects = ipt.effect_sizes(ipt.split_shared_control(SHARED))
    fit = ipt.pool(effects)
    alone = ipt.pool(effects.drop(columns=["trial_id", "split_1", "split_2"]))
    assert (fit.k, fit.n_participants) == (3, 30 + 32 + 41 + 25 + 20)
    assert (fit.estimate, fit.std_error) == (alone.estimate, alone.std_error)
    assert any("divided arm" in note for note in fit.notes)
    assert ipt.pool(effects, dependence="independent").n_participants == fit.n_participants
    assert ipt.pool(effects, dependence="aggregate").k == 2
