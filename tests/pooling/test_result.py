"""What a fit shows of itself: tables, text and HTML."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.pooling.result import NUMBERS, PoolMethod
from tests.pooling.conftest import random_table


@pytest.fixture
def fit(spread: pd.DataFrame) -> ipt.PooledFit:
    return ipt.pool(spread.assign(n_1=20, n_2=25), ci_method="t")


def test_tidy_holds_the_numbers(fit: ipt.PooledFit) -> None:
    table = fit.tidy()
    assert len(table) == 1
    assert table.columns.tolist()[:12] == [
        "group",
        "k",
        "n_participants",
        "estimate",
        "std_error",
        "ci_low",
        "ci_high",
        "p_value",
        "tau2",
        "i2",
        "pi_low",
        "pi_high",
    ]
    for name in NUMBERS:
        assert table[name].iloc[0] == pytest.approx(getattr(fit, name), nan_ok=True)
    assert table["notes"].iloc[0] == " ".join(fit.notes)


def test_tidy_without_participants(three: pd.DataFrame) -> None:
    assert ipt.pool(three, ci_method="wald").tidy()["n_participants"].isna().all()


def test_glance_holds_the_settings(fit: ipt.PooledFit) -> None:
    table = fit.glance()
    assert len(table) == 1
    for field in dataclasses.fields(PoolMethod):
        assert table[field.name].iloc[0] == getattr(fit.method, field.name)
    for name in ("tau2", "tau2_std_error", "tau", "i2", "h2", "q", "q_df", "q_p"):
        assert table[name].iloc[0] == getattr(fit, name)


def test_records_are_frozen(fit: ipt.PooledFit) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        fit.estimate = 0.0  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        fit.method.level = 0.9  # type: ignore[misc]
    assert fit.tau == math.sqrt(fit.tau2)


def test_summary(fit: ipt.PooledFit) -> None:
    text = fit.summary()
    for part in (
        "k = 6, n = 270",
        f"{fit.estimate:.4f} (SE {fit.std_error:.4f}",
        f"95% interval         {fit.ci_low:.4f} to {fit.ci_high:.4f}",
        f"95% Wald interval    {fit.wald_ci_low:.4f} to {fit.wald_ci_high:.4f}",
        f"95% prediction       {fit.pi_low:.4f} to {fit.pi_high:.4f}",
        f"tau2                 {fit.tau2:.4f} ({fit.tau2_ci_low:.4f} to {fit.tau2_ci_high:.4f})",
        "random effects, REML, t interval, 95% level, one effect per trial",
        *fit.notes,
    ):
        assert part in text


def test_summary_shows_no_interval_that_there_is_not(spread: pd.DataFrame) -> None:
    fits = ipt.pool_by(spread.drop(columns="trial_id"), "part", common_tau2=True, ci_method="wald")
    nothing = spread.assign(part=["z", *spread["part"][1:]], effect=[np.nan, *spread["effect"][1:]])
    empty = ipt.pool_by(nothing, "part", ci_method="wald")["z"]
    single = ipt.pool(spread.iloc[:1], ci_method="wald")
    common = ipt.pool(spread, tau2_method="EE", ci_method="wald")
    for shown in (fits, empty, single, common, ipt.pool(spread, tau2_ci_method="none", ci_method="wald")):
        assert "nan" not in shown.summary()
    assert "common-effect model" in common.summary()
    assert "k = 0" in empty.summary()


def test_ratio_measures_say_that_they_are_logarithms(three: pd.DataFrame) -> None:
    fit = ipt.pool(three.assign(measure="OR"), ci_method="wald")
    assert "Pooled effect: log OR, k = 3" in fit.summary()
    low, high = math.exp(fit.ci_low), math.exp(fit.ci_high)
    assert f"as a ratio           {math.exp(fit.estimate):.4f} ({low:.4f} to {high:.4f})" in fit.summary()
    assert "<caption>log OR: " in fit._repr_html_()
    assert "log" not in ipt.pool(three.assign(measure="SMD"), ci_method="wald").summary()


def test_html(fit: ipt.PooledFit) -> None:
    html = fit._repr_html_()
    assert html.count("<tr") == 2
    assert f"{fit.estimate:.3f}" in html
    assert "random effects, REML" in html
    assert all(f"<p>{note}</p>" in html for note in fit.notes)
    assert "group" not in html


def test_html_escapes_what_the_table_brings(three: pd.DataFrame) -> None:
    table = three.assign(part=["<script>x</script>", "a & b", "a & b"], measure="<b>")
    fits = ipt.pool_by(table, "part", ci_method="wald")
    html = fits._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;" in html
    assert "a &amp; b" in html
    assert "<b>" not in next(iter(fits.values()))._repr_html_()


def test_html_of_several_fits_shows_groups_overall_and_the_test() -> None:
    table = random_table(4, 9).assign(part=list("xyz") * 3)
    fits = ipt.pool_by(table, "part", ci_method="wald")
    html = fits._repr_html_()
    assert html.count("<tr") == 5
    assert "Overall" in html
    assert "Test between groups: Q = " in html
    assert "Overall" not in ipt.pool_by(table, "part", ci_method="wald", overall=False)._repr_html_()


def test_small_p_values_are_not_shown_as_zero() -> None:
    table = pd.DataFrame({"effect": [2.0, 2.2, 2.4], "variance": [0.01] * 3})
    assert "&lt;0.001" in ipt.pool(table, ci_method="wald")._repr_html_()


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"tau2_method": "EE"}, "common-effect model"),
        ({"ci_method": "hksj-adhoc"}, "ad hoc"),
        ({"level": 0.9}, "90% level"),
        ({"dependence": "independent"}, "rows taken as independent"),
        ({"aggregation": "mean", "rho": 0.5}, "plain mean, rho = 0.5"),
    ],
)
def test_the_method_describes_itself(given: dict[str, Any], part: str) -> None:
    assert part in PoolMethod(**given).describe()


def test_one_trial_was_not_pooled_whatever_the_settings(spread: pd.DataFrame) -> None:
    one = ipt.pool(spread.head(1))
    for text in (one.summary(), one._repr_html_()):
        assert "one trial, not pooled: its own Wald interval, 95% level" in text
        assert "REML" not in text


def test_print_shows_the_summary_and_repr_one_line(fit: ipt.PooledFit, spread: pd.DataFrame) -> None:
    assert str(fit) == fit.summary()
    assert repr(fit) == f"<PooledFit effect: {fit.estimate:.2f} ({fit.ci_low:.2f} to {fit.ci_high:.2f}), k = 6>"
    fits = ipt.pool_by(spread.drop(columns="trial_id").assign(half=["a", "b"] * 4), "half", ci_method="wald")
    assert str(fits) == fits.summary()
    assert repr(fits).startswith("<PooledFits by half: a ")


def test_participants_known_in_part_are_the_least_there_can_be(spread: pd.DataFrame) -> None:
    partly = ipt.pool(spread.assign(n_1=[math.nan, *[20.0] * 7], n_2=25.0), ci_method="t")
    assert partly.tidy()["n_participants"].tolist() == [225]
    assert "k = 6, n >= 225" in partly.summary()
    assert "<td>≥ 225</td>" in partly._repr_html_()
