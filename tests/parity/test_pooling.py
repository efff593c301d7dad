"""Every number of pool() and pool_by() against R's metafor, meta and metapsyTools; README.md says what is compared."""

from __future__ import annotations

import json
import math
import re
from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import ipt_evidence as ipt
from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling.fit import fit_table
from ipt_evidence.pooling.settings import resolve_method
from ipt_evidence.studies.one_per_trial import one_per_trial

pytestmark = [
    pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning"),
    pytest.mark.filterwarnings("ignore::ipt_evidence.errors.DependenceWarning"),
]

FOLDER = Path(__file__).parent
DATASETS = ("bcg_logrr", "normand1999_smd", "hackshaw1998", "raudenbush1985")
CI_METHODS = {"z": "wald", "knha": "hksj", "adhoc": "hksj-adhoc", "t": "t"}
STATISTICS = {
    "beta": "estimate",
    "se": "std_error",
    "zval": "statistic",
    "pval": "p_value",
    "ci_lb": "ci_low",
    "ci_ub": "ci_high",
    "tau2": "tau2",
    "se_tau2": "tau2_std_error",
    "I2": "i2",
    "H2": "h2",
    "QE": "q",
    "QEp": "q_p",
    "pi_lb": "pi_low",
    "pi_ub": "pi_high",
    "ddf": "df",
}
STOPS_EARLY = ("SJIT", "DLIT")
ITERATIVE = ("REML", "ML", "EB", "PM", "PMM")

CLOSED_FORM = 1e-11
"""Relative. Both sides evaluate one formula in double precision; the reference prints 15 digits."""
CONVERGED = 1e-9
"""Relative. The reference iterates tau2 until it moves by less than 1e-12 (absolute); ours to the last digit."""
SJIT_STOP = {"rel": 5e-3, "abs": 5e-4}
"""The reference stops when tau2 moves by less than 1e-5, and this fixed point is approached slowly."""
DLIT_STOP = {"rel": 1e-4, "abs": 1e-5}
"""The same stop of 1e-5; this fixed point is approached faster."""
GIVEN_TAU2 = 1e-11
"""Relative. What is left of a difference once the reference's own tau2 is put in: formulas alone."""
EQUATION = 1e-10
"""Relative. How well an estimating equation is solved."""
UNIROOT = 3e-5
"""Absolute, on tau2. R's uniroot() stops within .Machine$double.eps^0.25 = 1.2e-4 of the root."""
UNIROOT_I2 = 0.02
"""Percentage points of I2 that an error of UNIROOT in tau2 can make in these data sets."""
META_STOP = {"rel": 3e-3, "abs": 1e-6}
"""metagen() stops its REML when tau2 moves by less than 1e-5 (absolute); seen most where tau2 is small."""
PRINTED = 5.0001e-3
"""Half a unit of the second decimal, in which metapsyTools prints."""
PRINTED_4 = 5.0001e-5
"""Half a unit of the fourth decimal, in which the orientation values of the data were noted."""

NUMBERS_IN_GRID = 3020
NUMBERS_IN_CONFINT = 32
NUMBERS_IN_META = 113
NUMBERS_IN_SUBGROUPS = 134
NUMBERS_IN_MENU = 48


@cache
def reference(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


@cache
def table(name: str) -> pd.DataFrame:
    data = reference(name)
    return pd.DataFrame({"effect": data["yi"], "variance": data["vi"], "part": data["group"]})


def given(x: Any) -> bool:
    """Whether the reference holds a number (R's NULL arrives as an empty list)."""
    return isinstance(x, int | float)


def q_at(name: str, tau2: float) -> float:
    """Cochran's generalised Q, written out: no code of the package."""
    y, v = (np.array(reference(name)[key]) for key in ("yi", "vi"))
    w = 1 / (v + tau2)
    return float((w * (y - (w * y).sum() / w.sum()) ** 2).sum())


def at_reference_tau2(name: str, tau2: float, **options: Any) -> ipt.PooledFit:
    return fit_table(table(name), resolve_method(options), tau2=tau2)


def pairs(numbers: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in numbers.items() if name in STATISTICS and given(value)}


GRID = [(d, m, c) for d in DATASETS for m in get_args(Tau2Method) for c in CI_METHODS]


@pytest.mark.parametrize(("name", "method", "ci"), GRID, ids=["-".join(cell) for cell in GRID])
def test_metafor_grid(name: str, method: str, ci: str) -> None:
    expected = pairs(reference(name)["pool"][method][ci])
    fit = ipt.pool(table(name), preset="metafor", tau2_method=method, ci_method=CI_METHODS[ci])
    tolerance: dict[str, float] = {"rel": CONVERGED if method in ITERATIVE else CLOSED_FORM}
    tolerance = {"SJIT": SJIT_STOP, "DLIT": DLIT_STOP}.get(method, tolerance)
    for theirs, ours in STATISTICS.items():
        value = getattr(fit, ours)
        if theirs in expected:
            assert value == pytest.approx(expected[theirs], **tolerance), ours
        else:
            assert not math.isfinite(value), f"{ours}: the reference has none"


@pytest.mark.parametrize("method", STOPS_EARLY)
@pytest.mark.parametrize("name", DATASETS)
def test_iterations_that_the_reference_stops_early(name: str, method: str) -> None:
    """Ours solves Q(tau2) = k - 1, theirs does not; with their tau2 every other number is theirs."""
    k = len(table(name))
    numbers = reference(name)["pool"][method]
    ours = ipt.pool(table(name), preset="metafor", tau2_method=method).tau2
    assert q_at(name, ours) == pytest.approx(k - 1, rel=EQUATION)
    assert abs(q_at(name, numbers["z"]["tau2"]) / (k - 1) - 1) > 100 * EQUATION
    for ci, rows in numbers.items():
        fit = at_reference_tau2(name, rows["tau2"], preset="metafor", tau2_method=method, ci_method=CI_METHODS[ci])
        for theirs, expected in pairs(rows).items():
            if theirs != "se_tau2":
                assert getattr(fit, STATISTICS[theirs]) == pytest.approx(expected, rel=GIVEN_TAU2), theirs


@pytest.mark.parametrize("method", ["PM", "EB", "PMM"])
@pytest.mark.parametrize("name", DATASETS)
def test_root_methods_solve_their_equation(name: str, method: str) -> None:
    k = len(table(name))
    target = chi2.median(k - 1) if method == "PMM" else k - 1
    tau2 = ipt.pool(table(name), preset="metafor", tau2_method=method).tau2
    assert q_at(name, tau2) == pytest.approx(target, rel=EQUATION)


@pytest.mark.parametrize("method", ["REML", "DL"])
@pytest.mark.parametrize("name", DATASETS)
def test_q_profile_interval(name: str, method: str) -> None:
    key = "QP" if method == "REML" else "QP_DL"
    expected = reference(name)["confint"][key]
    fit = ipt.pool(table(name), preset="metafor", tau2_method=method)
    k = len(table(name))
    for side, tail in (("low", 0.975), ("high", 0.025)):
        bound = expected["ci.lb" if side == "low" else "ci.ub"]
        tau2, i2 = getattr(fit, f"tau2_ci_{side}"), getattr(fit, f"i2_ci_{side}")
        assert tau2 == pytest.approx(bound[0], abs=UNIROOT)
        assert i2 == pytest.approx(bound[2], abs=UNIROOT_I2)
        typical = fit.tau2 * (100 / fit.i2 - 1)
        assert i2 == pytest.approx(100 * tau2 / (tau2 + typical), rel=CLOSED_FORM, abs=CLOSED_FORM)
        if tau2 > 0:
            assert q_at(name, tau2) == pytest.approx(chi2.ppf(tail, k - 1), rel=EQUATION)
        else:
            assert q_at(name, 0.0) <= chi2.ppf(tail, k - 1)


META = {
    "TE_random": "estimate",
    "seTE_random": "std_error",
    "lower_random": "ci_low",
    "upper_random": "ci_high",
    "lower_predict": "pi_low",
    "upper_predict": "pi_high",
    "tau2": "tau2",
}
META_I2 = {"I2": "i2", "lower_I2": "i2_ci_low", "upper_I2": "i2_ci_high"}


@pytest.mark.parametrize("name", DATASETS)
def test_meta(name: str) -> None:
    expected = reference(name)["meta"]
    fit = ipt.pool(table(name), preset="meta", ci_method="hksj")
    exact = at_reference_tau2(name, expected["tau2"], preset="meta", ci_method="hksj")
    for theirs, ours in META.items():
        assert getattr(fit, ours) == pytest.approx(expected[theirs], **META_STOP), ours
        assert getattr(exact, ours) == pytest.approx(expected[theirs], rel=GIVEN_TAU2), ours
    for theirs, ours in META_I2.items():
        assert getattr(fit, ours) == pytest.approx(100 * expected[theirs], rel=CLOSED_FORM, abs=CLOSED_FORM), ours
    assert fit.tau2_ci_low == pytest.approx(expected["lower_tau2"], abs=UNIROOT)
    assert fit.tau2_ci_high == pytest.approx(expected["upper_tau2"], abs=UNIROOT)
    assert math.sqrt(fit.h2) == pytest.approx(expected["H"], rel=CLOSED_FORM)
    common = ipt.pool(table(name), preset="meta", tau2_method="EE")
    assert common.estimate == pytest.approx(expected["TE_common"], rel=CLOSED_FORM)


@pytest.mark.parametrize("name", DATASETS)
def test_meta_subgroups(name: str) -> None:
    expected = reference(name)["meta"]["subgroup"]
    fits = ipt.pool_by(table(name), "part", preset="meta", ci_method="hksj")
    assert set(fits) == set(expected["levels"])
    for i, level in enumerate(expected["levels"]):
        rows = table(name).loc[table(name)["part"] == level]
        exact = fit_table(rows, resolve_method({"preset": "meta", "ci_method": "hksj"}), tau2=expected["tau2"][i])
        for theirs, ours in {"TE": "estimate", "lower": "ci_low", "upper": "ci_high", "tau2": "tau2"}.items():
            assert getattr(fits[level], ours) == pytest.approx(expected[theirs][i], **META_STOP), (level, ours)
            assert getattr(exact, ours) == pytest.approx(expected[theirs][i], rel=GIVEN_TAU2), (level, ours)
        assert fits[level].i2 == pytest.approx(100 * expected["I2"][i], rel=CLOSED_FORM, abs=CLOSED_FORM)
    assert fits.between is not None
    assert fits.between.q == pytest.approx(expected["Q_between"], **META_STOP)
    assert fits.between.df == expected["df"]
    assert fits.between.p_value == pytest.approx(expected["p"], **META_STOP)


@pytest.mark.parametrize("name", DATASETS)
def test_metafor_subgroups(name: str) -> None:
    expected = reference(name)["subgroups_separate_tau2"]
    fits = ipt.pool_by(table(name), "part", preset="metafor")
    assert set(fits) == set(expected["groups"])
    for level, numbers in expected["groups"].items():
        for theirs, value in pairs(numbers).items():
            ours = getattr(fits[level], STATISTICS[theirs])
            if theirs.startswith("pi_") and fits[level].k == 2:
                assert math.isnan(ours), "no prediction interval from two trials: README.md"
            else:
                assert ours == pytest.approx(value, rel=CONVERGED, abs=CLOSED_FORM), (level, theirs)
    assert fits.between is not None
    assert fits.between.q == pytest.approx(expected["Q_between"], rel=CONVERGED)
    assert fits.between.p_value == pytest.approx(expected["p_between"], rel=CONVERGED)


def test_the_grid_has_not_shrunk() -> None:
    cells = [cell for name in DATASETS for row in reference(name)["pool"].values() for cell in row.values()]
    assert len(cells) == len(GRID) == 4 * 13 * 4
    assert sum(len(pairs(cell)) for cell in cells) == NUMBERS_IN_GRID
    assert len(DATASETS) * 2 * 2 * 2 == NUMBERS_IN_CONFINT
    levels = [len(reference(name)["meta"]["subgroup"]["levels"]) for name in DATASETS]
    assert sum(5 * n + 3 for n in levels) + len(DATASETS) * (len(META) + len(META_I2) + 4) == NUMBERS_IN_META
    groups = [g for name in DATASETS for g in reference(name)["subgroups_separate_tau2"]["groups"].values()]
    assert sum(len(pairs(g)) for g in groups) + 2 * len(DATASETS) == NUMBERS_IN_SUBGROUPS
    assert len(MENU) * (len(MENU_NUMBERS) + 2) == NUMBERS_IN_MENU


def metapsy_rows() -> pd.DataFrame:
    """The 48 rows of 31 trials that come from the Metapsy database."""
    studies = ipt.load_dataset("ipt", analysis_set=None)
    return studies.loc[studies["source"].str.startswith("metapsy depression-psyctr")]


@pytest.fixture(scope="module")
def database() -> pd.DataFrame:
    """Their effects with the database's own g and SE."""
    return ipt.effect_sizes(metapsy_rows(), prefer="reported")


def outliers(effects: pd.DataFrame) -> pd.Series:
    """Rows whose interval lies outside the pooled one: the menu's rule, on all rows as independent."""
    fit = ipt.pool(effects, preset="metapsy", dependence="independent")
    return (effects["ci_high"] < fit.ci_low) | (effects["ci_low"] > fit.ci_high)


MENU = {
    "overall": "Overall",
    "combined": "Combined",
    "lowest": "One ES/study (lowest)",
    "highest": "One ES/study (highest)",
    "outliers": "Outliers removed",
    "rob": "Only rob > 2",
}
MENU_NUMBERS = {"TE": "estimate", "lower": "ci_low", "upper": "ci_high", "tau2": "tau2"} | {
    "pi_lower": "pi_low",
    "pi_upper": "pi_high",
}


def menu_fit(analysis: str, effects: pd.DataFrame, tau2: float | None = None) -> ipt.PooledFit:
    select = {
        "overall": lambda: effects,
        "combined": lambda: effects,
        "lowest": lambda: one_per_trial(effects, rule="lowest"),
        "highest": lambda: one_per_trial(effects, rule="highest"),
        "outliers": lambda: effects.loc[~outliers(effects)],
        "rob": lambda: effects.loc[effects["rob_low_risk_count"] > 2],
    }
    dependence = "aggregate" if analysis == "combined" else "independent"
    method = resolve_method({"preset": "metapsy", "dependence": dependence})
    return fit_table(select[analysis](), method, tau2=tau2)


@pytest.mark.parametrize("analysis", MENU)
def test_metapsytools_menu(analysis: str, database: pd.DataFrame) -> None:
    menu = reference("metapsytools_ipt_depression")
    expected = menu["full_precision"][analysis]
    fit, exact = menu_fit(analysis, database), menu_fit(analysis, database, expected["tau2"])
    assert fit.k == expected["k"]
    assert fit.i2 == pytest.approx(100 * expected["I2"], rel=CLOSED_FORM)
    for theirs, ours in MENU_NUMBERS.items():
        assert getattr(fit, ours) == pytest.approx(expected[theirs], **META_STOP), ours
        assert getattr(exact, ours) == pytest.approx(expected[theirs], rel=GIVEN_TAU2), ours
    printed = menu["summary"]
    row = printed["analysis"].index(MENU[analysis])
    ours = [fit.ci_low, fit.ci_high, fit.i2_ci_low, fit.i2_ci_high, fit.pi_low, fit.pi_high]
    theirs = [number for name in ("g.ci", "i2.ci", "prediction.ci") for number in _limits(printed[name][row])]
    assert ours == pytest.approx(theirs, abs=PRINTED)


def _limits(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.?\d*", text)]


def test_one_effect_per_trial_equals_aggregate(database: pd.DataFrame) -> None:
    fit = ipt.pool(database, preset="metapsy")
    studies = fit.studies.set_index("study")[["effect", "variance"]]
    combined = reference("metapsytools_ipt_depression")["combined_per_study"]
    aggregated = reference("dependent_ipt_depression")["aggregate_rho_0.6"]
    assert len(combined["study"]) == len(aggregated["study"]) == fit.k == 31
    for study, effect, std_error in zip(combined["study"], combined["TE"], combined["seTE"], strict=True):
        ours = studies.loc[study.replace(",", "")]
        assert (ours["effect"], math.sqrt(ours["variance"])) == pytest.approx((effect, std_error), rel=CLOSED_FORM)
    for study, effect, variance in zip(aggregated["study"], aggregated["yi"], aggregated["vi"], strict=True):
        ours = studies.loc[study.replace(",", "")]
        assert (ours["effect"], ours["variance"]) == pytest.approx((effect, variance), rel=CLOSED_FORM)


def near(*values: float) -> Any:
    return pytest.approx(values, abs=PRINTED_4)


def test_adult_depression_as_the_cma_reviews_pool_it(database: pd.DataFrame) -> None:
    fit = ipt.pool(database, preset="cma")
    assert fit.k == 31
    assert (fit.estimate, fit.ci_low, fit.ci_high, fit.tau2) == near(0.4810, 0.2993, 0.6626, 0.1876)
    assert fit.i2 == pytest.approx(77.00, abs=PRINTED)


@pytest.mark.parametrize(("rule", "expected"), [("highest", 0.5130), ("lowest", 0.4504)])
def test_adult_depression_one_effect_per_trial(database: pd.DataFrame, rule: str, expected: float) -> None:
    fit = ipt.pool(one_per_trial(database, rule=rule), preset="cma")
    assert fit.k == 31
    assert fit.estimate == pytest.approx(expected, abs=PRINTED_4)


SUBSETS = {
    "HAM-D": (lambda t: t["instrument_family"] == "HAM-D", 17, (0.3637, 0.1745, 0.5529)),
    "BDI": (lambda t: t["instrument_family"].isin(["BDI", "BDI-II"]), 14, (0.5889,)),
    "no outliers": (
        lambda t: ~t["trial_id"].isin(["bolton2003", "dennis2020", "lenze2017", "ohara2000", "saloheimo2016"]),
        26,
        (0.4050, 0.2742, 0.5358),
    ),
}


@pytest.mark.parametrize("subset", SUBSETS)
def test_adult_depression_subsets(database: pd.DataFrame, subset: str) -> None:
    select, k, expected = SUBSETS[subset]
    fit = ipt.pool(database.loc[select(database)], preset="cma")
    assert fit.k == k
    assert (fit.estimate, fit.ci_low, fit.ci_high)[: len(expected)] == near(*expected)


def test_adult_depression_with_the_cma_convention() -> None:
    fit = ipt.pool(ipt.effect_sizes(metapsy_rows(), convention="cma"), preset="cma")
    assert fit.k == 31
    assert (fit.estimate, fit.ci_low, fit.ci_high) == near(0.4812, 0.3002, 0.6622)
    assert fit.i2 == pytest.approx(77.38, abs=PRINTED)


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("method", [m for m in get_args(Tau2Method) if m not in STOPS_EARLY])
def test_log_likelihood(name: str, method: Any) -> None:
    reference = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    table = pd.DataFrame({"effect": reference["yi"], "variance": reference["vi"]})
    fit = ipt.pool(table, tau2_method=method, preset="metafor")
    assert fit.log_likelihood == pytest.approx(reference["pool"][method]["z"]["logLik"], rel=CONVERGED)
