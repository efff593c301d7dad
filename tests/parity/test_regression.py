"""Meta-regression against metafor and clubSandwich (see `calls` and `versions` in regression.json)."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ipt_evidence.errors import NarrowIntervalWarning
from ipt_evidence.pooling.location_scale import location_scale
from ipt_evidence.pooling.regression import meta_regression

CLOSED_FORM = 1e-7
"""No iteration on either side: rounding, and the 15 digits of the pinned numbers."""
ITERATIVE = 1e-5
"""metafor's Fisher scoring stops at steps of 1e-12 in tau2, which leaves more in derived numbers near tau2 = 0."""
NUMERIC_HESSIAN = 1e-4
"""metafor's location-scale models stop where an optimiser does and take errors from a numeric Hessian."""
EXACT_P = 1e-12
"""Counts of permutations."""

PINNED = json.loads((Path(__file__).parent / "regression.json").read_text(encoding="utf-8"))
DATA = PINNED["data"]
BLOCKS = {
    "mod_REML_z": ("~ mod", {"tau2_method": "REML", "ci_method": "wald"}, ITERATIVE),
    "mod_REML_knha": ("~ mod", {"tau2_method": "REML", "ci_method": "hksj"}, ITERATIVE),
    "mod_DL": ("~ mod", {"tau2_method": "DL", "ci_method": "wald"}, CLOSED_FORM),
    "mod_group_REML": ("~ mod + grp", {"tau2_method": "REML", "ci_method": "wald"}, ITERATIVE),
}
CLOSED = ("EE", "DL", "HE", "HS", "HSk", "SJ")


def table(name: str) -> pd.DataFrame:
    d = DATA[name]
    mod = np.array(d["mod"], dtype=float)
    return pd.DataFrame(
        {
            "effect": d["yi"],
            "variance": d["vi"],
            "mod": mod,
            "grp": d["group"],
            "std": (mod - mod.mean()) / mod.std(ddof=1),
            "row": range(mod.size),
        }
    )


def regress(name: str, formula: str, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NarrowIntervalWarning)
        return meta_regression(table(name), formula, **options)


def close(ours, theirs, tolerance, what="", floor=1e-9):
    theirs = np.array([np.nan if x is None else x for x in np.atleast_1d(theirs)], dtype=float)
    np.testing.assert_allclose(np.atleast_1d(ours), theirs, rtol=tolerance, atol=floor * tolerance, err_msg=what)


def test_grid_does_not_shrink():
    assert len(DATA) == 4
    assert sum(len(d["further"]["estimators"]) for d in DATA.values()) == 48
    assert all(set(BLOCKS) | {"cluster_robust_CR2"} <= set(d["regression"]) for d in DATA.values())


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("name", DATA)
def test_metafor_regression(name, block):
    formula, options, tolerance = BLOCKS[block]
    fit, ref = regress(name, formula, prediction_df="as-ci", **options), DATA[name]["regression"][block]
    t = fit.tidy()
    columns = {"estimate": "beta", "std_error": "se", "statistic": "zval", "p_value": "pval"}
    for ours, theirs in (columns | {"ci_low": "ci_lb", "ci_high": "ci_ub"}).items():
        close(t[ours], ref[theirs], tolerance, theirs)
    numbers = {"tau2": "tau2", "tau2_std_error": "se_tau2", "i2": "I2", "h2": "H2", "qe": "QE", "qe_p": "QEp"}
    for ours, theirs in (numbers | {"r2": "R2", "log_likelihood": "logLik"}).items():
        close(getattr(fit, ours), ref[theirs], tolerance, theirs)
    close([fit.omnibus.statistic, fit.omnibus.p_value], [ref["QM"], ref["QMp"]], tolerance, "omnibus")
    predicted = fit.predict()
    close(predicted["pi_low"], ref["pi_lb"], tolerance, "pi_lb")
    close(predicted["pi_high"], ref["pi_ub"], tolerance, "pi_ub")


@pytest.mark.parametrize("name", DATA)
def test_metafor_robust(name):
    ref = DATA[name]["regression"]["cluster_robust_CR2"]
    t = regress(name, "~ mod", ci_method="wald", cluster="row").tidy()
    columns = {"estimate": "beta", "std_error": "se", "df": "dfs", "ci_low": "ci_lb", "ci_high": "ci_ub"}
    for ours, theirs in (columns | {"p_value": "pval"}).items():
        close(t[ours], ref[theirs], ITERATIVE, theirs)


@pytest.mark.parametrize("name", DATA)
def test_metafor_exact_permutations(name):
    ref = DATA[name]["permutation_exact"]
    rows = table(name).head(ref["k"])
    fit = meta_regression(rows, "~ mod", tau2_method="DL", ci_method="wald", permutations="exact")
    close(fit.tidy()["p_value"], ref["pval"], EXACT_P)
    close(fit.omnibus.p_value, ref["QMp"], EXACT_P)
    assert fit.permutation.exact


@pytest.mark.parametrize("name", DATA)
def test_every_estimator(name):
    for method, ref in DATA[name]["further"]["estimators"].items():
        fit = regress(name, "~ mod + grp", tau2_method=method, ci_method="wald")
        tolerance = CLOSED_FORM if method in CLOSED else ITERATIVE
        close(fit.tidy()["estimate"], ref["beta"], tolerance, method)
        close(fit.tidy()["std_error"], ref["se"], tolerance, method)
        close(fit.omnibus.statistic, ref["QM"], tolerance, method)
        close(fit.omnibus.p_value, ref["QMp"], tolerance, method)
        names = {"tau2_std_error": "se_tau2", "i2": "I2", "h2": "H2", "r2": "R2", "qe": "QE"}
        names |= {"log_likelihood": "logLik", "aic": "AIC", "aicc": "AICc", "bic": "BIC"}
        for ours, theirs in names.items():
            floor = 1.0 if theirs in ("I2", "R2") else 1e-9
            close(getattr(fit, ours), ref[theirs], tolerance, f"{method} {theirs}", floor)
        close(fit.tau2, ref["tau2"], tolerance, f"{method} tau2", floor=1e-3)


@pytest.mark.parametrize("name", DATA)
def test_iterated_dersimonian_laird_solves_paule_mandel(name):
    pm, dlit = (regress(name, "~ mod + grp", tau2_method=m).tau2 for m in ("PM", "DLIT"))
    assert dlit == pm


@pytest.mark.parametrize("name", DATA)
def test_tests_confint_vif(name):
    ref = DATA[name]["further"]
    for test, ci_method in {"knha": "hksj", "adhoc": "hksj-adhoc", "t": "t"}.items():
        fit = regress(name, "~ mod + grp", ci_method=ci_method)
        close(fit.tidy()["std_error"], ref["tests"][test]["se"], ITERATIVE, test)
        close(fit.omnibus.statistic, ref["tests"][test]["QM"], ITERATIVE, test)
        close(fit.omnibus.p_value, ref["tests"][test]["QMp"], ITERATIVE, test)
    close([fit.tau2_ci_low, fit.tau2_ci_high], ref["confint_tau2"], ITERATIVE, "confint", floor=1.0)
    close(fit.vif()["gvif"], ref["vif"]["gvif"], ITERATIVE)
    close(fit.vif()["gsif"], ref["vif"]["gsif"], ITERATIVE)


@pytest.mark.parametrize("name", DATA)
def test_club_sandwich(name):
    ref = DATA[name]["further"]
    rows = table(name).assign(cl=ref["cluster"])
    fit = meta_regression(rows, "~ mod + grp", cluster="cl")
    close(fit.tidy()["std_error"], ref["robust"]["CR2"]["se"], ITERATIVE)
    close(fit.tidy()["df"], ref["robust"]["CR2"]["df"], ITERATIVE)
    close(fit.tidy()["p_value"], ref["robust"]["CR2"]["p"], ITERATIVE)
    o = ref["robust"]["CR2"]
    ours = [fit.omnibus.statistic, fit.omnibus.df_denominator, fit.omnibus.p_value]
    close(ours, [o["F"], o["df_denominator"], o["p_omnibus"]], ITERATIVE, "HTZ")
    for kind, theirs in {"CR0": "CR0", "CR1": "CR1p"}.items():
        fit = meta_regression(rows, "~ mod + grp", cluster="cl", cluster_method=kind)
        close(fit.tidy()["std_error"], ref["robust"][theirs]["se"], ITERATIVE, kind)
    m = ref["robust_metafor_CR1"]
    close(fit.tidy()["df"], np.repeat(m["ddf"], len(fit.tidy())), EXACT_P)
    close(fit.tidy()["p_value"], m["pval"], ITERATIVE)
    close([fit.omnibus.statistic, fit.omnibus.p_value], [m["QM"], m["QMp"]], ITERATIVE)


@pytest.mark.parametrize("method", ["ML", "REML"])
@pytest.mark.parametrize("name", DATA)
def test_location_scale(name, method):
    ref = DATA[name]["further"]["location_scale"][method]
    fit = location_scale(table(name), "~ std", "~ std", method=method)
    assert fit.log_likelihood >= ref["logLik"] - 1e-10
    close(fit.log_likelihood, ref["logLik"], CLOSED_FORM)
    close(fit.location["estimate"], ref["beta"], ITERATIVE)
    close(fit.location["std_error"], ref["se"], ITERATIVE)
    close(fit.scale["estimate"], ref["alpha"], NUMERIC_HESSIAN)
    close(fit.scale["std_error"], ref["se_alpha"], NUMERIC_HESSIAN)
    close([fit.scale_omnibus.statistic, fit.scale_omnibus.p_value], [ref["QS"], ref["QSp"]], NUMERIC_HESSIAN, floor=1.0)
    close([fit.aic, fit.aicc, fit.bic], [ref["AIC"], ref["AICc"], ref["BIC"]], CLOSED_FORM)
