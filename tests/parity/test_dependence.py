"""Three-level and CHE models, robust intervals and profile limits against metafor, clubSandwich and metapsyTools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ipt_evidence.options import Aggregation
from ipt_evidence.pooling.blocks import weigh
from ipt_evidence.pooling.components import maximise
from ipt_evidence.pooling.dependence import multilevel
from ipt_evidence.pooling.units import aggregate

HERE = Path(__file__).parent
FIXED = 1e-6
"""Fixed effects and what follows from them: metafor's optimiser (nlminb) stops at a relative change of 1e-8 or so."""
COMPONENT = 1e-4
"""Variance components, absolute: where the likelihood is flat the optimiser stops early."""
SAME_COMPONENTS = 5e-7
"""Variance components, absolute, as far as the two really agree on these data."""
UNIROOT = 1e-4
"""Profile limits, absolute: R's uniroot() stops within 1.2e-4."""
TIGHT = 1e-7
"""Profile limits against metafor with a tolerance of 1e-12 (its estimates between them still stop at 3e-8)."""
BETTER = 1e-8
"""Our restricted likelihood is never lower than the reference's by more than rounding."""
CLOSED_FORM = 1e-11
"""No iteration on either side."""
PRINTED = 0.0051
"""Two decimals, as printed."""
PRINTED_I2 = 0.0501
"""One decimal, as printed (73 for 73.0)."""

SETS = ("konstantopoulos2011", "ipt_depression")
RHOS = (0, 0.3, 0.6, 0.9)
PINNED = {name: json.loads((HERE / f"dependent_{name}.json").read_text(encoding="utf-8")) for name in SETS}
ROBUST = json.loads((HERE / "dependent_robust.json").read_text(encoding="utf-8"))
METAPSY = json.loads((HERE / "metapsytools_ipt_depression.json").read_text(encoding="utf-8"))


def table(name: str) -> pd.DataFrame:
    d = PINNED[name]
    return pd.DataFrame({"effect": d["yi"], "variance": d["vi"], "trial_id": d["study"], "mod": d["mod"]})


def check_model(fit, reference):
    coefficient = fit.tidy()
    beta = np.atleast_1d(reference["beta"])
    np.testing.assert_allclose(coefficient["estimate"], beta, rtol=FIXED)
    np.testing.assert_allclose(coefficient["std_error"], reference["se"], rtol=FIXED)
    ours = [fit.sigma2_between, fit.sigma2_within]
    np.testing.assert_allclose(ours, reference["sigma2"], rtol=0, atol=COMPONENT)
    np.testing.assert_allclose(ours, reference["sigma2"], rtol=0, atol=SAME_COMPONENTS)


def check_intervals(fit, reference):
    np.testing.assert_allclose(
        [fit.ci_low, fit.ci_high, fit.p_value],
        [reference["ci_lb"], reference["ci_ub"], reference["pval"]],
        rtol=FIXED,
    )
    np.testing.assert_allclose([fit.pi_low, fit.pi_high], [reference["pi_lb"], reference["pi_ub"]], rtol=FIXED)
    assert fit.qe == pytest.approx(reference["QE"], rel=CLOSED_FORM)
    assert fit.log_likelihood == pytest.approx(reference["logLik"], abs=BETTER)
    assert fit.log_likelihood > reference["logLik"] - 1e-12


def check_robust(fit, reference):
    tidy = fit.tidy()
    for ours, theirs in (
        ("estimate", "beta"),
        ("std_error", "se"),
        ("df", "dfs"),
        ("ci_low", "ci_lb"),
        ("ci_high", "ci_ub"),
        ("p_value", "pval"),
    ):
        np.testing.assert_allclose(tidy[ours], np.atleast_1d(reference[theirs]), rtol=FIXED, err_msg=ours)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(
    ("block", "ci_method", "df"), [("three_level_z", "wald", np.inf), ("three_level_t", "t", None)]
)
def test_three_level(name, block, ci_method, df):
    reference = PINNED[name][block]
    fit = multilevel(table(name), ci_method=ci_method)
    check_model(fit, reference)
    check_intervals(fit, reference)
    assert fit.df == (reference["ddf"] if df is None else df)


@pytest.mark.parametrize("name", SETS)
def test_three_level_with_cr2(name):
    check_robust(multilevel(table(name)), PINNED[name]["three_level_rob"])


@pytest.mark.parametrize("rho", RHOS)
@pytest.mark.parametrize("name", SETS)
def test_che(name, rho):
    reference = PINNED[name][f"che_{rho}"]
    fit = multilevel(table(name), rho=rho, ci_method="wald")
    check_model(fit, reference["fit"])
    check_intervals(fit, reference["fit"])
    check_robust(multilevel(table(name), rho=rho), reference["CR2"])


def test_a_list_of_rho_is_the_single_fits():
    name = SETS[0]
    fits = multilevel(table(name), rho=list(RHOS))
    for rho in RHOS:
        check_robust(fits[rho], PINNED[name][f"che_{rho}"]["CR2"])
    assert list(fits.tidy()["rho"]) == list(RHOS)


@pytest.mark.parametrize("name", SETS)
def test_che_with_a_moderator(name):
    """The block is called che_0.6_mod but its V is that of rho = 0.9: the script had overwritten it in its loop.

    The variance components prove it: they are near those of che_0.9, and metafor run again with rho = 0.6 gives ours.
    """
    reference = PINNED[name]["che_0.6_mod"]
    fit = multilevel(table(name), rho=0.9, formula="~ mod", ci_method="wald")
    check_model(fit, reference)
    assert fit.qm == pytest.approx(reference["QM"], rel=FIXED)
    check_robust(multilevel(table(name), rho=0.9, formula="~ mod"), reference["CR2"])
    at_06 = multilevel(table(name), rho=0.6, formula="~ mod", ci_method="wald")
    rerun = {"konstantopoulos2011": 0.1721760987, "ipt_depression": 1.102795687}[name]
    assert at_06.qm == pytest.approx(rerun, rel=FIXED)


@pytest.mark.parametrize("name", SETS)
def test_our_likelihood_is_at_least_the_reference_s(name):
    for rho in RHOS:
        fit = multilevel(table(name), rho=rho)
        theirs = weigh(fit.model, *PINNED[name][f"che_{rho}"]["fit"]["sigma2"]).log_likelihood
        assert fit.log_likelihood >= theirs - 1e-12


@pytest.mark.parametrize("name", SETS)
def test_profile_limits(name):
    fit = multilevel(table(name))
    for component, key in (("between", "1"), ("within", "2")):
        estimate, low, high = PINNED[name]["profile_ci_sigma2"][key]
        ours = fit.profile_ci(component)
        np.testing.assert_allclose([ours.estimate, ours.ci_low, ours.ci_high], [estimate, low, high], atol=UNIROOT)


@pytest.mark.parametrize("name", SETS)
def test_profile_limits_solve_their_equation_and_the_reference_s_do_not(name):
    fit = multilevel(table(name))
    critical = 3.841458820694124
    for at, component in enumerate(("between", "within")):
        free = np.arange(2) != at

        def ratio(value, at=at, free=free):
            theta = fit.optimum.theta.copy()
            theta[at] = value
            return 2 * (fit.log_likelihood - maximise(fit.model, theta, free, restricted=True).log_likelihood)

        ours, theirs = fit.profile_ci(component), PINNED[name]["profile_ci_sigma2"][str(at + 1)]
        for limit, other in ((ours.ci_low, theirs[1]), (ours.ci_high, theirs[2])):
            if limit > 0:
                assert ratio(limit) == pytest.approx(critical, abs=1e-8)
                assert abs(ratio(other) - critical) > 1e-6


def test_profile_limits_are_those_of_metafor_run_to_the_end():
    fit = multilevel(table("konstantopoulos2011"))
    between, within = fit.profile_ci("between"), fit.profile_ci("within")
    ours = [between.estimate, between.ci_low, between.ci_high, within.estimate, within.ci_low]
    theirs = ROBUST["profile_tight"]["between"] + ROBUST["profile_tight"]["within"][:2]
    np.testing.assert_allclose(ours, theirs, rtol=TIGHT)


def test_maximum_likelihood_criteria_and_cr0_cr1():
    reference = ROBUST["ml"]
    data = table("konstantopoulos2011")
    fit = multilevel(data, rho=0.6, method="ML", ci_method="wald")
    check_model(fit, reference["fit"])
    names = (("log_likelihood", "logLik"), ("aic", "AIC"), ("aicc", "AICc"), ("bic", "BIC"))
    for ours, theirs in names:
        assert getattr(fit, ours) == pytest.approx(reference["fit"][theirs], rel=1e-10)
    cr0 = multilevel(data, rho=0.6, method="ML", ci_method="cr0")
    assert cr0.std_error == pytest.approx(reference["CR0"]["se"], rel=FIXED)
    cr1 = multilevel(data, rho=0.6, method="ML", ci_method="cr1")
    assert cr1.std_error == pytest.approx(reference["CR1p"]["se"], rel=FIXED)
    assert cr1.df == reference["CR1_residual_df"]["df"]
    assert cr1.p_value == pytest.approx(reference["CR1_residual_df"]["pval"], rel=FIXED)
    cr2 = multilevel(data, rho=0.6, method="ML")
    assert (cr2.std_error, cr2.df) == pytest.approx((reference["CR2"]["se"], reference["CR2"]["dfs"]), rel=FIXED)


def test_two_moderators_with_the_hotelling_test():
    reference = ROBUST["two_moderators"]
    data = table("konstantopoulos2011").assign(year=lambda d: d["mod"] - 1990)
    fit = multilevel(data, rho=0.6, formula="~ year + variance", ci_method="wald")
    check_model(fit, reference["fit"])
    names = (("qm", "QM"), ("qe", "QE"), ("aicc", "AICc"), ("bic", "BIC"))
    for ours, theirs in names:
        assert getattr(fit, ours) == pytest.approx(reference["fit"][theirs], rel=FIXED)
    robust = multilevel(data, rho=0.6, formula="~ year + variance")
    np.testing.assert_allclose(robust.tidy()["std_error"], reference["CR2"]["se"], rtol=FIXED)
    np.testing.assert_allclose(robust.tidy()["df"], reference["CR2"]["dfs"], rtol=FIXED)
    htz = reference["HTZ"]
    np.testing.assert_allclose(
        [robust.qm, robust.qm_df, robust.qm_df2, robust.qm_p],
        [htz["Fstat"], htz["df_num"], htz["df_denom"], htz["p"]],
        rtol=FIXED,
    )
    for kind, key in (("cr0", "CR0"), ("cr1", "CR1p")):
        ours = multilevel(data, rho=0.6, formula="~ year + variance", ci_method=kind).tidy()["std_error"]
        np.testing.assert_allclose(ours, reference[key]["se"], rtol=FIXED)


@pytest.mark.parametrize("name", SETS)
def test_aggregate(name):
    data, reference = table(name), PINNED[name]["aggregate_rho_0.6"]
    how: Aggregation = "weighted"
    y, v = (data[c].to_numpy() for c in ("effect", "variance"))
    codes, trials = pd.factorize(data["trial_id"])
    units = aggregate(y, v, np.full(y.size, "", dtype=object), codes, 0.6, how)
    order = [list(trials).index(s) for s in reference["study"]]
    np.testing.assert_allclose(units.y[order], reference["yi"], rtol=CLOSED_FORM)
    np.testing.assert_allclose(units.v[order], reference["vi"], rtol=CLOSED_FORM)


def test_metapsytools_three_level_and_che():
    """Its CHE averages the sampling variances within trials before it correlates them; both of its models use t."""
    full, printed = METAPSY["full_precision"], METAPSY["summary"]
    data = table("ipt_depression")
    for key, label, options in (
        ("threelevel", "Three-Level Model", {}),
        ("che", "Three-Level Model (CHE)", {"rho": 0.6, "variances": "trial_mean"}),
    ):
        fit = multilevel(data, ci_method="t", **options)
        np.testing.assert_allclose(
            [fit.estimate, fit.ci_low, fit.ci_high],
            [full[key]["beta"], full[key]["ci_lb"], full[key]["ci_ub"]],
            rtol=FIXED,
        )
        np.testing.assert_allclose([fit.sigma2_between, fit.sigma2_within], full[key]["sigma2"], atol=SAME_COMPONENTS)
        row = printed["analysis"].index(label)
        assert fit.k_effects == printed["k"][row] == 48
        assert fit.k_trials == 31
        low, high = (float(x) for x in printed["prediction.ci"][row].strip("[]").split(";"))
        np.testing.assert_allclose([fit.pi_low, fit.pi_high], [low, high], atol=PRINTED)
        robust = multilevel(data, **options)
        low, high = (float(x) for x in printed["g.ci"][row].strip("[]").split(";"))
        assert robust.estimate == pytest.approx(printed["g"][row], abs=PRINTED)
        np.testing.assert_allclose([robust.ci_low, robust.ci_high], [low, high], atol=PRINTED)


def test_metapsytools_i2():
    data = table("ipt_depression")
    printed = dict(zip(METAPSY["summary"]["analysis"], METAPSY["summary"]["i2"], strict=True))
    assert multilevel(data).i2 == pytest.approx(printed["Three-Level Model"], abs=PRINTED_I2)
    che = multilevel(data, rho=0.6, variances="trial_mean").i2
    assert che == pytest.approx(printed["Three-Level Model (CHE)"], abs=PRINTED_I2)
