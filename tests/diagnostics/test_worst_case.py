"""Worst-case meta-analysis: laws of the selection ratio, what happens when the data do not suffice."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.diagnostics.worst_case import worst_case
from ipt_evidence.errors import NotEstimableError, OptionError, SchemaError

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.SmallKWarning")

MODELS = ("robust", "fixed")


def trials(seed: int = 4, k: int = 20) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    s = rng.uniform(0.1, 0.4, k)
    return pd.DataFrame({"effect": rng.normal(0.35, np.sqrt(s**2 + 0.02)), "variance": s**2})


@pytest.mark.parametrize("model", MODELS)
def test_no_selection_and_unlimited_selection(model: Any) -> None:
    result = worst_case(trials(), model=model, selection_ratio=[1e7])
    table = result.corrected.set_index("selection_ratio")
    assert list(table.index) == [1.0, 1e7, math.inf]
    assert table.loc[1.0, "estimate"] == result.uncorrected
    assert table.loc[math.inf, "estimate"] == result.estimate
    assert table.loc[1e7, "estimate"] == pytest.approx(result.estimate, rel=1e-5)
    if model == "fixed":
        plain = ipt.pool(trials(), tau2_method="EE", ci_method="wald")
        assert result.uncorrected == pytest.approx(plain.estimate, rel=1e-12)
        left = trials()
        left = left[left["effect"] / np.sqrt(left["variance"]) <= 1.959964]
        worst = ipt.pool(left, tau2_method="EE", ci_method="wald")
        assert (result.estimate, result.ci_low) == pytest.approx((worst.estimate, worst.ci_low), rel=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_the_s_values_solve_their_equations(model: Any) -> None:
    data, target = trials(k=80), 0.22
    result = worst_case(data, model=model, target=target)
    assert 1 < result.s_value_ci < result.s_value < math.inf
    at = worst_case(data, model=model, selection_ratio=[result.s_value, result.s_value_ci]).corrected
    at = at.set_index("selection_ratio")
    assert at.loc[result.s_value, "estimate"] == pytest.approx(target, abs=1e-9)
    assert at.loc[result.s_value_ci, "ci_low"] == pytest.approx(target, abs=1e-8)
    assert "times as likely" in result.interpretation


@pytest.mark.parametrize("model", MODELS)
def test_sign_scale_and_order(model: Any) -> None:
    data = trials()
    one = worst_case(data, model=model, target=0.2)
    turned = worst_case(data.assign(effect=-data["effect"]), model=model, target=-0.2, alternative="less")
    assert (turned.estimate, turned.ci_high) == pytest.approx((-one.estimate, -one.ci_low), rel=1e-9)
    assert (turned.s_value, turned.s_value_ci) == pytest.approx((one.s_value, one.s_value_ci), rel=1e-7)
    scaled = pd.DataFrame({"effect": 7 * data["effect"], "variance": 49 * data["variance"]}).sample(
        frac=1, random_state=2
    )
    other = worst_case(scaled, model=model, target=1.4)
    assert (other.estimate, other.std_error) == pytest.approx((7 * one.estimate, 7 * one.std_error), rel=1e-7)
    assert other.s_value == pytest.approx(one.s_value, rel=1e-6)


def test_clusters_of_one_are_no_clusters() -> None:
    data = trials().assign(author=[f"a{i}" for i in range(20)])
    one, other = worst_case(data), worst_case(data, cluster="author")
    assert (one.std_error, one.df) == (other.std_error, other.df)
    pairs = worst_case(data.assign(author=np.arange(20) // 2), cluster="author")
    assert pairs.estimate == pytest.approx(one.estimate, rel=1e-12)
    assert pairs.df < one.df


def test_robust_errors_are_unbiased_under_their_working_model() -> None:
    """Effects drawn with variances v around one mean: the mean of the squared error is the true variance."""
    from ipt_evidence.diagnostics.worst_case import weighted_mean

    rng = np.random.default_rng(0)
    v, w = np.linspace(0.02, 0.2, 8), rng.uniform(1, 6, 8)
    group = np.array([0, 0, 1, 2, 3, 4, 5, 6])
    v[1] = v[0]
    draws = [weighted_mean(rng.normal(0, np.sqrt(v)), v, w, group, fixed=False).std_error ** 2 for _ in range(1500)]
    truth = float(w**2 @ v) / w.sum() ** 2
    assert np.mean(draws) == pytest.approx(truth, rel=4 * np.std(draws) / np.sqrt(1500) / truth)


def test_when_the_data_do_not_suffice() -> None:
    with pytest.raises(NotEstimableError, match="all 5 trials are significant"):
        worst_case(pd.DataFrame({"effect": [1.0] * 5, "variance": [0.01] * 5}))
    with pytest.raises(NotEstimableError, match="at least 2 trials"):
        worst_case(pd.DataFrame({"effect": [0.2], "variance": [0.1]}))
    one_left = worst_case(pd.DataFrame({"effect": [1.0, 0.9, 0.1], "variance": [0.01, 0.02, 0.04]}))
    assert math.isnan(one_left.std_error)
    assert any("Only one trial" in note for note in one_left.notes)
    none = worst_case(pd.DataFrame({"effect": [0.1, 0.05, 0.02, 0.08], "variance": [0.04, 0.05, 0.03, 0.02]}))
    assert none.k_affirmative == 0
    assert none.estimate == none.uncorrected
    assert "no trial is affirmative" in none.interpretation
    equal = worst_case(pd.DataFrame({"effect": [0.4] * 6, "variance": [0.01, 0.01, 0.09, 0.09, 0.16, 0.1]}))
    assert math.isnan(equal.std_error)
    assert any("model='fixed'" in note for note in equal.notes)
    assert (
        worst_case(pd.DataFrame({"effect": [0.4] * 4, "variance": [0.01, 0.09, 0.16, 0.1]}), model="fixed").s_value > 1
    )


def test_no_selection_is_enough() -> None:
    data = pd.DataFrame({"effect": [0.5, 0.6, 0.4, 0.3, 0.35, 0.3], "variance": [0.01, 0.02, 0.01, 0.03, 0.04, 0.03]})
    result = worst_case(data, model="fixed")
    assert math.isinf(result.s_value)
    assert "however strong" in result.interpretation
    assert worst_case(data, model="fixed", target=0.6).s_value == 1


def test_what_the_result_shows() -> None:
    result = worst_case(trials(), selection_ratio=3)
    assert list(result.corrected["selection_ratio"]) == [1.0, 3.0, math.inf]
    assert result.k == result.k_affirmative + result.k_nonaffirmative
    assert result.tidy().loc[0, "s_value"] == result.s_value
    assert "Worst-case" in result.summary()
    assert "<table" in result._repr_html_()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "random"}, "model must be one of"),
        ({"alternative": "two-sided"}, "alternative must be one of"),
        ({"selection_ratio": 0}, "selection_ratio must be one or more positive numbers"),
        ({"selection_ratio": "five"}, "selection_ratio must be one or more positive numbers"),
        ({"target": math.nan}, "target must be a number"),
        ({"alpha": 5}, "alpha must lie between 0 and 1"),
        ({"cluster": "author"}, "there is no column 'author'"),
        ({"cluster": "author", "model": "fixed"}, "cluster belongs to model='robust'"),
        ({"level": 95}, "level must lie between"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        worst_case(trials(), **options)


def test_a_missing_cluster_is_named() -> None:
    with pytest.raises(SchemaError, match="cluster is missing"):
        worst_case(trials().assign(author=[None, *range(19)]), cluster="author")
