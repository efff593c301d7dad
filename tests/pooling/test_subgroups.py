"""Fits by group: their mapping, common tau2 and the test between groups against matrices, odd groups."""

from __future__ import annotations

import copy
import pickle
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import ipt_evidence as ipt
from ipt_evidence.errors import DependenceWarning, NotEstimableError, OptionError
from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling.subgroups import COMMON_NOTE
from tests.pooling.conftest import random_table

ROUNDING = 1e-8
"""Relative. Dense matrix products against weighted sums."""


def grouped(seed: int = 4, k: int = 14) -> pd.DataFrame:
    table = random_table(seed, k)
    return table.assign(part=np.array(["b", "a", "c"])[np.arange(k) % 3], arm=np.array(["x", "y"])[np.arange(k) % 2])


def test_fits_are_a_mapping_in_order_of_first_appearance() -> None:
    fits = ipt.pool_by(grouped(), "part", ci_method="wald")
    assert list(fits) == ["b", "a", "c"]
    assert len(fits) == 3
    assert "a" in fits
    assert "z" not in fits
    assert fits.get("z") is None
    assert [fit.group for fit in fits.values()] == ["b", "a", "c"]
    assert fits.by == ("part",)
    assert fits.method.ci_method == "wald"
    with pytest.raises(KeyError, match="no group 'z'; the groups are 'b', 'a', 'c'"):
        fits["z"]
    with pytest.raises(TypeError):
        fits.fits["z"] = fits["a"]  # type: ignore[index]


def test_each_group_is_the_fit_of_its_rows() -> None:
    table = grouped()
    fits = ipt.pool_by(table, "part", preset="cma")
    for group, fit in fits.items():
        alone = ipt.pool(table.loc[table["part"] == group], preset="cma")
        assert fit.tidy().drop(columns="group").equals(alone.tidy().drop(columns="group"))
        pd.testing.assert_frame_equal(fit.studies, alone.studies)
    assert fits.overall is not None
    assert fits.overall.estimate == ipt.pool(table, preset="cma").estimate
    assert fits.overall.group == "Overall"
    assert ipt.pool_by(table, "part", overall=False, preset="cma").overall is None


def test_several_grouping_columns() -> None:
    fits = ipt.pool_by(grouped(), ["arm", "part"], ci_method="wald")
    assert list(fits)[:3] == [("x", "b"), ("y", "a"), ("x", "c")]
    assert sum(fit.k for fit in fits.values()) == 14
    table = fits.tidy()
    assert table.columns[:4].tolist() == ["group", "arm", "part", "k"]
    assert table["group"].iloc[0] == "x | b"
    assert list(ipt.pool_by(grouped(), ["part"], ci_method="wald")) == ["b", "a", "c"]
    clash = ipt.pool_by(grouped().assign(measure="SMD", group="g"), ["part", "measure", "group"], ci_method="wald")
    assert clash.tidy().columns[:4].tolist() == ["group", "part", "by_measure", "by_group"]


def test_missing_group_numbers_and_categories_as_groups() -> None:
    table = grouped()
    table.loc[2, "part"] = None
    assert ipt.pool_by(table, "part", ci_method="wald")["(missing)"].k == 1
    years = ipt.pool_by(table.assign(year=[1999, 2004] * 7), "year", ci_method="wald")
    assert list(years) == [1999, 2004]
    assert years[1999].group == "1999"
    unused = table.assign(part=pd.Categorical(table["part"], categories=["a", "b", "c", "never"]))
    assert list(ipt.pool_by(unused, "part", ci_method="wald")) == ["b", "a", "(missing)", "c"]


def test_group_of_none_and_of_one() -> None:
    table = grouped()
    table.loc[table["part"] == "c", "effect"] = np.nan
    table.loc[[3, 6, 9, 12], "effect"] = np.nan
    fits = ipt.pool_by(table, "part", ci_method="wald")
    assert [fit.k for fit in fits.values()] == [1, 5, 0]
    assert np.isnan(fits["c"].estimate)
    assert fits["c"].n_participants is None
    assert any("No trial" in note for note in fits["c"].notes)
    assert any("One trial" in note for note in fits["b"].notes)
    assert fits["b"].estimate == table["effect"].iloc[0]
    assert fits.between is not None
    assert fits.between.df == 1
    assert fits.tidy()["k"].tolist() == [1, 5, 0]
    with pytest.raises(NotEstimableError, match="no group of part"):
        ipt.pool_by(table.assign(effect=np.nan), "part")


def test_one_group_has_no_test_between() -> None:
    assert ipt.pool_by(grouped().assign(part="only"), "part", ci_method="wald").between is None


@pytest.mark.parametrize("by", ["absent", ["part", "absent"], []])
def test_unknown_grouping_column(by: Any) -> None:
    with pytest.raises(OptionError, match="by names columns of the table"):
        ipt.pool_by(grouped(), by)


def test_unknown_option() -> None:
    with pytest.raises(OptionError, match="unknown option tau2_metod; the options are"):
        ipt.pool_by(grouped(), "part", tau2_metod="DL")  # type: ignore[call-arg]


@pytest.mark.parametrize("method", get_args(Tau2Method))
def test_common_tau2_is_the_regression_on_the_group(method: Any) -> None:
    table = grouped()
    fits = ipt.pool_by(table, "part", common_tau2=True, tau2_method=method, ci_method="wald")
    tau2 = {fit.tau2 for fit in fits.values()}
    assert len(tau2) == 1
    x = (table["part"].to_numpy()[:, None] == np.array(list(fits))).astype(float)
    w = np.diag(1 / (table["variance"].to_numpy() + tau2.pop()))
    covariance = np.linalg.inv(x.T @ w @ x)
    mean = covariance @ x.T @ w @ table["effect"].to_numpy()
    assert [fit.estimate for fit in fits.values()] == pytest.approx(mean, rel=ROUNDING)
    assert [fit.std_error for fit in fits.values()] == pytest.approx(np.sqrt(np.diag(covariance)), rel=ROUNDING)
    contrast = np.array([[-1.0, 1, 0], [-1, 0, 1]])
    difference = contrast @ mean
    q = difference @ np.linalg.solve(contrast @ covariance @ contrast.T, difference)
    assert fits.between is not None
    assert (fits.between.q, fits.between.p_value) == pytest.approx((q, chi2.sf(q, 2)), rel=ROUNDING)
    assert all(COMMON_NOTE in fit.notes for fit in fits.values())
    assert fits.common_tau2
    assert fits.overall is not None
    assert COMMON_NOTE not in fits.overall.notes


def test_common_tau2_with_a_single_trial() -> None:
    """The single trial is shown with its own error; in the test it has its share of tau2, as in the regression."""
    table = grouped(k=13).sort_values("part", kind="stable").iloc[:9]
    table.loc[table.index[-1], "part"] = "single"
    fits = ipt.pool_by(table, "part", common_tau2=True, ci_method="wald")
    single = fits["single"]
    assert single.k == 1
    assert single.std_error == pytest.approx(np.sqrt(table["variance"].iloc[-1]))
    tau2 = fits["a"].tau2
    v = np.array([f.std_error**2 + (tau2 if f.k == 1 else 0) for f in fits.values()])
    m = np.array([f.estimate for f in fits.values()])
    assert fits.between is not None
    assert fits.between.q == pytest.approx(((m - np.average(m, weights=1 / v)) ** 2 / v).sum(), rel=1e-12)


def test_common_tau2_uses_one_effect_per_trial() -> None:
    table = grouped().assign(trial_id=np.repeat(np.arange(7), 2), part=np.repeat(list("aabbaab"), 2))
    fits = ipt.pool_by(table, "part", common_tau2=True, ci_method="wald")
    units = ipt.pool(table, ci_method="wald").studies
    again = ipt.pool_by(units[["effect", "variance", "part"]], "part", common_tau2=True, ci_method="wald")
    assert fits["a"].tau2 == pytest.approx(again["a"].tau2, rel=1e-9)


@pytest.mark.parametrize("ids", [list("abca"), [1, 2, 3, 1]])
def test_trials_in_several_groups_are_warned_of(ids: list[Any]) -> None:
    table = grouped(k=4).assign(trial_id=ids, part=list("xxyy"))
    with pytest.warns(DependenceWarning, match=f"1 trial stands in several groups.*: {ids[0]}$"):
        ipt.pool_by(table, "part", ci_method="wald", overall=False)


def test_separate_trials_are_not_warned_of() -> None:
    table = grouped(k=6).assign(trial_id=list("aabbcd"), part=list("xxxxyy"))
    assert ipt.pool_by(table, "part", ci_method="wald").between is not None
    left_out = table.assign(trial_id=list("aabbca")).assign(effect=[*table["effect"][:5], np.nan])
    assert ipt.pool_by(left_out, "part", ci_method="wald")["y"].k == 1


def test_fits_can_be_copied_and_sent_to_another_process() -> None:
    fits = ipt.pool_by(grouped(), "part", ci_method="wald")
    for twin in (pickle.loads(pickle.dumps(fits)), copy.deepcopy(fits)):
        assert twin.summary() == fits.summary()
        assert twin.between == fits.between


def test_blank_text_is_missing() -> None:
    table = grouped().assign(part=["", " ", None, *"aabbaabbaab"])
    assert next(iter(ipt.pool_by(table, "part", ci_method="wald"))) == "(missing)"
    assert ipt.pool_by(table, "part", ci_method="wald")["(missing)"].k == 3


def test_groups_of_different_questions_are_not_warned_of() -> None:
    table = grouped().assign(trial_id=[f"t{i // 2}" for i in range(14)])
    with pytest.warns(DependenceWarning, match="in several groups"):
        ipt.pool_by(table, ["part", "arm"], ci_method="wald", dependence="aggregate")
    ipt.pool_by(table, ["part", "arm"], ci_method="wald", dependence="aggregate", overall=False)
