"""p-value methods against metafor and puniform (pinned), and a published p-curve."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt

CLOSED_FORM = 1e-9
"""Sums and normal tails on both sides."""
CONVERGED = 1e-5
"""puniform's optimiser stops at its default tolerance; ours has the higher likelihood where they differ."""
UNIROOT = 1.3e-4
"""puniform's interval ends come from a root search with R's default tolerance of 1.2e-4."""
PRINTED_3 = 6e-4
"""Three decimals are printed."""

NAMES = ("bcg_logrr", "normand1999_smd", "hackshaw1998", "raudenbush1985")
PINNED = {n: json.loads((Path(__file__).parent / f"{n}.json").read_text(encoding="utf-8")) for n in NAMES}
pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.SmallKWarning")

THIRD_WAVE = pd.DataFrame(
    [
        *[(0.7091362, 0.2608202), (0.3548641, 0.1963624), (1.7911700, 0.3455692), (0.1824552, 0.1177874)],
        *[(0.4218509, 0.1448128), (0.6300000, 0.1960000), (0.7248838, 0.2246641), (0.5286638, 0.2104609)],
        *[(0.2840000, 0.1680000), (1.2750682, 0.3371997), (0.1036082, 0.1947275), (0.3883906, 0.2308689)],
        *[(0.5407398, 0.2443133), (0.4261593, 0.2579379), (0.5153969, 0.3512737), (1.4797260, 0.3152817)],
        *[(0.6125782, 0.2266834), (0.6000000, 0.2490000)],
    ],
    columns=["effect", "std_error"],
)
"""Harrer, Cuijpers, Furukawa & Ebert, Doing Meta-Analysis with R (2021), data set ThirdWave."""


def table(name):
    return pd.DataFrame({"effect": PINNED[name]["yi"], "variance": PINNED[name]["vi"]})


def close(ours, theirs, tolerance):
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * 1e-2)


@pytest.mark.parametrize("name", NAMES)
def test_failsafe_numbers(name):
    ref, t = PINNED[name]["bias"]["fsn"], table(name)
    assert ipt.failsafe_n(t).n == ref["Rosenthal"]["fsnum"]
    assert ipt.failsafe_n(t, method="rosenberg").n == ref["Rosenberg"]["fsnum"]
    orwin = ref["Orwin"]
    assert ipt.failsafe_n(t, method="orwin", target=abs(orwin["target"])).n == orwin["fsnum"]


@pytest.mark.parametrize("name", NAMES)
def test_excess_significance(name):
    ref = PINNED[name]["bias"]["tes"]
    found = ipt.excess_significance(table(name), test="chi2" if len(PINNED[name]["yi"]) > 30 else "exact")
    assert found.observed == ref["O"]
    close([found.expected, found.p_value, found.effect], [ref["E"], ref["pval"], ref["theta"]], CLOSED_FORM)


@pytest.mark.parametrize("name", NAMES)
def test_p_uniform_star(name):
    d = PINNED[name]
    ref, less = d["puni_star"], d["selection"]["alternative"] == "less"
    found = ipt.p_uniform_star(table(name), alternative="less" if less else "greater")
    sign = -1 if less else 1
    close([sign * found.estimate, found.tau2], [ref["est"], ref["tau2"]], CONVERGED)
    close([found.statistic, found.p_value], [ref["L_0"], ref["pval_0"]], CONVERGED)
    ends = sorted([sign * found.ci_low, sign * found.ci_high])
    np.testing.assert_allclose(ends, [ref["lb"], ref["ub"]], rtol=0, atol=UNIROOT)


def test_the_published_data_are_the_ones_typed_here():
    fit = ipt.pool(THIRD_WAVE)
    printed = [0.5771, 0.3782, 0.7760, 0.0820, 0.0295, 0.3533, 45.50]
    ours = [fit.estimate, fit.ci_low, fit.ci_high, fit.tau2, fit.tau2_ci_low, fit.tau2_ci_high, round(fit.q, 2)]
    np.testing.assert_allclose(ours, printed, atol=6e-5)


def test_published_p_curve():
    """The printed result of `pcurve()` in chapter 9 of Doing Meta-Analysis with R (see README for `z_half` below)."""
    curve = ipt.p_curve(THIRD_WAVE)
    assert (curve.k, curve.k_significant, curve.k_half) == (18, 11, 10)
    right, flat = curve.tests.loc["right_skew"], curve.tests.loc["flatness"]
    np.testing.assert_allclose(right, [0.006, -5.943, 0.0, -4.982, 0.0], atol=PRINTED_3)
    np.testing.assert_allclose(flat[["p_binomial", "z_full", "p_full"]], [0.975, 3.260, 0.999], atol=PRINTED_3)
    np.testing.assert_allclose([curve.power, curve.power_low, curve.power_high], [0.84, 0.627, 0.946], atol=0.005)
    assert curve.evidential_value
    assert not curve.evidence_lacking
