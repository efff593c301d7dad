"""Small-study effects against metafor, meta and metasens (blocks `bias` and `limitmeta` of the pinned files)."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import DirectionWarning, SmallKWarning

CLOSED_FORM = 1e-9
"""Weighted least squares on both sides; the pinned numbers have 15 digits."""
ITERATIVE = 1e-6
"""tau2 by REML: metafor's Fisher scoring stops at steps of 1e-12 in tau2."""
LOOSE_REML = 3e-4
"""metasens takes tau2 from meta, whose REML stops at steps of 1e-5 (see README)."""
LOOSE_REFIT = 2e-4
"""metafor's trimfill fits anew with its default threshold of 1e-5 for tau2, whatever the threshold of the fit."""

NAMES = ("bcg_logrr", "normand1999_smd", "hackshaw1998", "raudenbush1985")
PINNED = {
    name: json.loads((Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8"))
    for name in (*NAMES, "binary_bcg")
}

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.SmallKWarning")


def fit_of(name):
    d = PINNED[name]
    return ipt.pool(pd.DataFrame({"effect": d["yi"], "variance": d["vi"]}), tau2_method="REML", ci_method="wald")


def close(ours, theirs, tolerance, what=""):
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * 1e-3, err_msg=what)


@pytest.mark.parametrize("name", NAMES)
def test_egger_by_weighted_regression(name):
    ref, test = PINNED[name]["bias"]["egger_lm_sei"], ipt.egger_test(fit_of(name))
    close([test.statistic, test.p_value, test.df], [ref["zval"], ref["pval"], ref["dfs"]], CLOSED_FORM)
    close([test.estimate, test.ci_low, test.ci_high], [ref["est"], ref["ci_lb"], ref["ci_ub"]], CLOSED_FORM)


@pytest.mark.parametrize(("block", "predictor"), [("egger_rma_sei", "std_error"), ("egger_rma_vi", "variance")])
@pytest.mark.parametrize("name", NAMES)
def test_egger_by_mixed_effects_regression(name, block, predictor):
    ref, test = PINNED[name]["bias"][block], ipt.egger_test(fit_of(name), model="rma", predictor=predictor)
    assert test.df == np.inf
    close([test.statistic, test.p_value], [ref["zval"], ref["pval"]], ITERATIVE)
    close([test.estimate, test.ci_low, test.ci_high], [ref["est"], ref["ci_lb"], ref["ci_ub"]], ITERATIVE)


@pytest.mark.parametrize("name", NAMES)
def test_rank_correlation(name):
    ref, test = PINNED[name]["bias"]["rank"], ipt.begg_test(fit_of(name))
    close([test.statistic, test.p_value], [ref["tau"], ref["pval"]], CLOSED_FORM)


@pytest.mark.parametrize("estimator", ["L0", "R0", "Q0"])
@pytest.mark.parametrize("name", NAMES)
def test_trim_and_fill(name, estimator):
    ref, found = PINNED[name]["bias"]["trimfill"][estimator], ipt.trim_and_fill(fit_of(name), estimator=estimator)
    assert (found.k0, found.side) == (ref["k0"], ref["side"])
    close(sorted(found.filled["effect"]), sorted(np.atleast_1d(ref["yi_filled"])), LOOSE_REFIT)
    for ours, theirs in {"estimate": "beta", "std_error": "se", "ci_low": "ci_lb", "ci_high": "ci_ub"}.items():
        close(getattr(found, ours), ref[theirs], LOOSE_REFIT, ours)
    close(found.tau2, ref["tau2"], LOOSE_REFIT)


@pytest.mark.parametrize("name", NAMES)
def test_pet_and_peese(name):
    table = ipt.pet_peese(fit_of(name)).tidy().set_index("model")
    for model in ("pet", "peese"):
        ref, row = PINNED[name]["bias"][f"{model}_lm"], table.loc[model.upper()]
        close([row["estimate"], row["slope"]], ref["coef"], CLOSED_FORM)
        close([row["std_error"], row["slope_std_error"]], ref["se"], CLOSED_FORM)
        close([row["p_value"], row["p_value_slope"]], ref["p"], CLOSED_FORM)


@pytest.mark.parametrize("name", NAMES)
def test_limit_meta_analysis(name):
    ref, found = PINNED[name]["limitmeta"], ipt.limit_meta(fit_of(name))
    close([found.estimate, found.std_error], [ref["TE_adjust"], ref["se"]], LOOSE_REML)
    close([found.ci_low, found.ci_high], [ref["lower"], ref["upper"]], LOOSE_REML)
    close(found.g2, 100 * ref["G2"], LOOSE_REML)


@pytest.mark.parametrize("test", ["peters", "harbord"])
def test_counted_outcomes(test):
    d, ref = PINNED["binary_bcg"]["data"], PINNED["binary_bcg"][f"regtest_{test}"]
    counts = {"events_1": d["a"], "total_1": d["n1"], "events_2": d["c"], "total_2": d["n2"], "study": d["label"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DirectionWarning)
        effects = ipt.effect_sizes(pd.DataFrame(counts), measure="OR")
    found = getattr(ipt, f"{test}_test")(effects)
    close([found.statistic, found.p_value], [ref["stat"], ref["p"]], CLOSED_FORM)


def test_the_grid_does_not_shrink():
    assert len(NAMES) == 4
    blocks = {"egger_lm_sei", "egger_rma_sei", "egger_rma_vi", "rank", "trimfill", "pet_lm", "peese_lm"}
    assert all(blocks <= set(PINNED[name]["bias"]) for name in NAMES)


def test_few_trials_are_warned_of():
    with pytest.warns(SmallKWarning, match="rests on 9 trials"):
        ipt.egger_test(fit_of("normand1999_smd"))
