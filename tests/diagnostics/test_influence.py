"""Leave-one-out, cumulative, influence, Baujat and shrunken effects: what they are, and at the edges."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import ipt_evidence as ipt
from ipt_evidence.diagnostics.influence import baujat, blup, influence
from ipt_evidence.diagnostics.influence_table import InfluenceTable
from ipt_evidence.diagnostics.leave_out import cumulative, leave_one_out
from ipt_evidence.errors import NotEstimableError, OptionError

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")

NUMBERS = ["estimate", "std_error", "ci_low", "ci_high", "tau2", "i2", "q"]
SAME_FIT = 1e-9
"""Relative, and absolute near zero: a fit from the table and one in a batch take different roads to the same root."""
INFLUENCE_COLUMNS = (
    *("study", "rstudent", "dffits", "cooks_distance", "cov_ratio", "tau2_deleted", "q_deleted", "hat", "weight"),
    *("dfbetas", "is_influential"),
)
ALL = (leave_one_out, cumulative, influence, baujat, blup)


def effects(k: int = 8, seed: int = 1, rows_per_trial: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = k * rows_per_trial
    v = rng.uniform(0.02, 0.3, n)
    trial = np.repeat([f"t{i}" for i in range(k)], rows_per_trial)
    return pd.DataFrame(
        {
            "trial_id": trial,
            "study": trial,
            "year": np.repeat(rng.integers(1990, 2020, k), rows_per_trial),
            "effect": rng.normal(0.4, np.sqrt(v + 0.6)),
            "variance": v,
        }
    )


def numbers(fit: ipt.PooledFit) -> list[float]:
    return [getattr(fit, name) for name in NUMBERS]


def assert_rows(found: pd.DataFrame, expected: list[list[float]]) -> None:
    ours = pd.DataFrame(found)[NUMBERS]
    pd.testing.assert_frame_equal(ours, pd.DataFrame(expected, columns=NUMBERS), rtol=SAME_FIT, atol=SAME_FIT)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"tau2_method": "DL", "ci_method": "wald", "level": 0.9},
    {"tau2_method": "PM", "ci_method": "t", "i2_method": "q"},
    {"tau2_method": "EE", "ci_method": "wald"},
    {"ci_method": "hksj-adhoc"},
    {"ci_method": "kr"},
    {"ci_method": "henmi-copas"},
    {"preset": "cma"},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_each_row_is_the_fit_without_that_trial(options: dict[str, Any]) -> None:
    table = effects(rows_per_trial=2)
    fit = ipt.pool(table, **options)
    found = leave_one_out(fit)
    assert fit.tau2 > 0 or options.get("tau2_method") == "EE"
    trials = list(table["trial_id"].unique())
    assert list(found.columns) == ["left_out", *NUMBERS]
    assert found["left_out"].tolist() == trials
    assert_rows(found, [numbers(ipt.pool(table[table["trial_id"] != name], **options)) for name in trials])


@pytest.mark.parametrize("options", OPTIONS)
def test_each_row_is_the_fit_of_the_trials_so_far(options: dict[str, Any]) -> None:
    table = effects(k=5)
    fit = ipt.pool(table, **options)
    order = table.sort_values("year", kind="stable")
    found = cumulative(fit)
    assert list(found.columns) == ["added", *NUMBERS]
    assert found["added"].tolist() == order["study"].tolist()
    assert_rows(found, [numbers(ipt.pool(order.iloc[:n], **options)) for n in range(1, 6)])


@pytest.mark.parametrize("dependence", ["three_level", "che"])
def test_fits_of_dependent_effects_lose_a_trial_at_a_time(dependence: Any) -> None:
    table = effects(k=5, rows_per_trial=2)
    found = leave_one_out(ipt.pool(table, dependence=dependence))
    expected = [
        numbers(ipt.pool(table[table["trial_id"] != name], dependence=dependence)) for name in found["left_out"]
    ]
    assert_rows(found, expected)
    added = cumulative(ipt.pool(table, dependence=dependence), order="trial_id")
    assert_rows(added.tail(1).reset_index(drop=True), [numbers(ipt.pool(table, dependence=dependence))])
    with pytest.raises(OptionError, match="one effect per trial"):
        influence(ipt.pool(table, dependence=dependence))


def test_rows_that_were_not_pooled_do_not_count() -> None:
    table = effects()
    gap = table.assign(effect=table["effect"].where(table["study"] != "t3"))
    found = leave_one_out(ipt.pool(gap))
    assert found["left_out"].tolist() == [name for name in table["study"] if name != "t3"]
    without = table[table["study"] != "t3"]
    for diagnostic in ALL:
        pd.testing.assert_frame_equal(
            pd.DataFrame(diagnostic(ipt.pool(gap))), pd.DataFrame(diagnostic(ipt.pool(without))), check_exact=True
        )


def test_orders() -> None:
    table = pd.DataFrame(
        {
            "study": list("abcd"),
            "year": [2001, 1999, 2001, np.nan],
            "effect": [0.1, 0.2, 0.3, 0.4],
            "variance": [0.04, 0.02, 0.03, 0.01],
        }
    )
    fit = ipt.pool(table, ci_method="wald")

    def order(**options: Any) -> str:
        return "".join(cumulative(fit, **options)["added"])

    assert order() == "bacd"
    assert order(ascending=False) == "acbd"
    assert order(order="precision") == "dbca"
    assert order(order="precision", ascending=True) == "acbd"
    assert order(order="effect", ascending=False) == "dcba"
    assert order(order="study", ascending=False) == "dcba"
    assert any("d" in note and "last" in note for note in cumulative(fit).notes)
    with pytest.raises(OptionError, match="received 'yaer'"):
        cumulative(fit, order="yaer")
    with pytest.raises(OptionError, match="no trial has a value"):
        cumulative(ipt.pool(table.assign(year=np.nan), ci_method="wald"))
    with pytest.raises(OptionError, match="cannot be sorted"):
        cumulative(ipt.pool(table.assign(mixed=["x", 1, "y", 2]), ci_method="wald"), order="mixed")


def test_influence_follows_from_two_fits() -> None:
    """Cook's distance, covariance ratio, DFFITS and the residual of one trial from pool() alone."""
    table = effects(seed=4)
    fit = ipt.pool(table, ci_method="wald")
    found = influence(fit)
    assert tuple(found.columns) == INFLUENCE_COLUMNS
    assert found["is_influential"].dtype == bool
    for i in range(len(table)):
        without = ipt.pool(table.drop(index=i), ci_method="wald")
        y, v = table.loc[i, ["effect", "variance"]].astype(float)
        change = fit.estimate - without.estimate
        row = found.loc[i]
        assert row["cooks_distance"] == pytest.approx(change**2 / fit.std_error**2, rel=1e-6)
        assert row["cov_ratio"] == pytest.approx(without.std_error**2 / fit.std_error**2, rel=1e-6)
        error = np.sqrt(v + without.tau2 + without.std_error**2)
        assert row["rstudent"] == pytest.approx((y - without.estimate) / error, rel=1e-6)
        assert row["weight"] == pytest.approx(fit.studies["weight"][i], rel=1e-9)
        assert row["dffits"] == pytest.approx(change / np.sqrt(row["hat"] * (v + without.tau2)), rel=1e-6)
    assert found["hat"].sum() == pytest.approx(1)


def test_each_cut_off_makes_a_trial_influential() -> None:
    """One data set per rule: a far trial (three rules), and a heavy one that agrees (hat only)."""
    far = pd.DataFrame({"effect": [0.1, 0.2, 0.15, 0.1, 3.0], "variance": [0.05, 0.04, 0.05, 0.06, 0.05]})
    found = influence(ipt.pool(far, ci_method="wald"))
    assert found["is_influential"].tolist() == [False] * 4 + [True]
    assert abs(found["dfbetas"][4]) > 1
    assert found["hat"][4] < 3 / 5
    heavy = pd.DataFrame({"effect": [0.1, 0.2, 0.15, 0.1, 0.14], "variance": [0.5, 0.4, 0.5, 0.6, 0.001]})
    found = influence(ipt.pool(heavy, ci_method="wald"))
    assert found["is_influential"].tolist() == [False] * 4 + [True]
    assert found["hat"][4] > 3 / 5
    assert found["dfbetas"].abs().max() < 1
    calm = pd.DataFrame({"effect": [0.1, 0.2, 0.15, 0.1, 0.14], "variance": [0.05, 0.04, 0.05, 0.06, 0.05]})
    found = influence(ipt.pool(calm, ci_method="wald"))
    assert not found["is_influential"].any()
    assert "None of the 5 trials" in found.interpretation


def test_baujat_of_a_common_effect_fit_splits_q() -> None:
    fit = ipt.pool(effects(), tau2_method="EE", ci_method="wald")
    assert baujat(fit)["x"].sum() == pytest.approx(fit.q)


def test_shrunken_effects_lie_between_the_trial_and_the_mean() -> None:
    fit = ipt.pool(effects(seed=3))
    found = blup(fit)
    between = (found["estimate"] - found["effect"]) * (found["estimate"] - fit.estimate)
    assert (between <= 0).all()
    assert (found["std_error"] ** 2 <= found["shrinkage"] * fit.tau2 + fit.std_error**2 + 1e-12).all()
    same = blup(ipt.pool(effects(seed=3), tau2_method="EE"))
    assert same["estimate"].to_numpy() == pytest.approx(same["estimate"][0])
    assert (same["shrinkage"] == 1).all()


@given(seed=st.integers(0, 999), factor=st.sampled_from([-1.0, 1e-3, 1e3]))
@hypothesis_settings(max_examples=10, derandomize=True, deadline=None)
def test_the_unit_and_sign_of_the_effects_do_not_matter(seed: int, factor: float) -> None:
    table = effects(seed=seed)
    scaled = table.assign(effect=factor * table["effect"], variance=factor**2 * table["variance"])
    plain, other = (influence(ipt.pool(t, ci_method="hksj-adhoc")) for t in (table, scaled))
    names = ["cooks_distance", "cov_ratio", "hat", "q_deleted"]
    pd.testing.assert_frame_equal(other[names], plain[names], rtol=1e-6, atol=1e-9)
    for name in ("rstudent", "dffits", "dfbetas"):
        assert other[name].to_numpy() == pytest.approx(np.sign(factor) * plain[name].to_numpy(), rel=1e-6, abs=1e-8)


def test_one_two_and_three_trials() -> None:
    for diagnostic, least in ((leave_one_out, 2), (influence, 3), (baujat, 2), (blup, 2)):
        for k in range(1, least):
            with pytest.raises(NotEstimableError, match=f"at least {least} trials; there are {k}"):
                diagnostic(ipt.pool(effects(k=k)))
        assert len(diagnostic(ipt.pool(effects(k=least)))) == least
    one = cumulative(ipt.pool(effects(k=1)))
    assert one.loc[0, "estimate"] == effects(k=1).loc[0, "effect"]
    two = leave_one_out(ipt.pool(effects(k=2)))
    assert two["estimate"].tolist() == pytest.approx(effects(k=2)["effect"].tolist()[::-1])
    assert two[["tau2", "i2", "q"]].isna().all(axis=None)
    assert any("one trial" in note for note in two.notes)


@pytest.mark.parametrize("diagnostic", ALL)
@pytest.mark.parametrize("ci_method", ["wald", "hksj"])
def test_equal_effects_do_not_crash(diagnostic: Any, ci_method: Any) -> None:
    table = effects(k=4).assign(effect=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ipt.errors.NarrowIntervalWarning)
        found = diagnostic(ipt.pool(table, ci_method=ci_method))
    assert len(found) == 4
    assert found.interpretation
    if diagnostic is influence:
        assert not found["is_influential"].any()
        assert bool(found.notes) == (ci_method == "hksj")


def test_a_fit_with_a_tau2_from_outside_is_refused() -> None:
    table = effects(k=12).assign(half=["a", "b"] * 6)
    fits = ipt.pool_by(table, "half", common_tau2=True)
    for diagnostic in ALL[:4]:
        with pytest.raises(OptionError, match="tau2 from outside"):
            diagnostic(fits["a"])


def test_other_input_is_refused_in_words() -> None:
    for diagnostic in ALL:
        with pytest.raises(OptionError, match="needs a fit"):
            diagnostic([0.1, 0.2])
    for diagnostic in (influence, baujat, blup):
        with pytest.raises(OptionError, match="henmi-copas"):
            diagnostic(ipt.pool(effects(), ci_method="henmi-copas"))


def test_a_table_is_pooled_first() -> None:
    pd.testing.assert_frame_equal(
        pd.DataFrame(influence(effects())), pd.DataFrame(influence(ipt.pool(effects()))), check_exact=True
    )


@pytest.mark.parametrize("diagnostic", ALL)
def test_the_result_is_a_table_that_says_how_it_was_made(diagnostic: Any) -> None:
    fit = ipt.pool(effects())
    found = diagnostic(fit)
    assert isinstance(found, pd.DataFrame)
    assert type(found.tidy()) is pd.DataFrame
    assert type(found.head(2)) is pd.DataFrame
    assert found.method == fit.method.describe()
    assert found.interpretation.endswith((".", ")."))
    html = found._repr_html_()
    assert fit.method.describe() in html
    assert "<caption>" in html
    assert found.interpretation.split(";")[0][:40] in html
    for twin in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert isinstance(twin, pd.DataFrame)
        assert twin.attrs["interpretation"] == found.interpretation
    assert isinstance(found, InfluenceTable)


def test_interpretations_are_true() -> None:
    table = pd.DataFrame(
        {"study": ["A", "B", "C"], "year": [1, 2, 3], "effect": [0.0, 0.5, 0.7], "variance": [0.04, 0.01, 0.01]}
    )
    fit = ipt.pool(table, tau2_method="EE", ci_method="wald")
    assert leave_one_out(fit).interpretation == (
        "Without one trial at a time the pooled effect lies between 0.40 (without B) and 0.60 (without A)".replace(
            "0.40 (without B)", f"{leave_one_out(fit)['estimate'].min():.2f} (without C)"
        )
        + f", against {fit.estimate:.2f} with all 3; the 95% interval excludes zero in 3 of 3 refits."
    )
    assert "since trial 2 (B) its 95% interval has excluded zero" in cumulative(fit).interpretation
    weak = ipt.pool(table.assign(effect=[0.3, 0.01, 0.0]), tau2_method="EE", ci_method="wald")
    assert "includes zero at the end" in cumulative(weak).interpretation
