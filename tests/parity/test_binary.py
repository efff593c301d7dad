"""Pooled events against metafor (rma.mh, rma.peto, rma.glmm); binary_bcg.json holds the calls and versions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ipt_evidence.pooling.arrow import maximise
from ipt_evidence.pooling.binary import pool_binary
from ipt_evidence.pooling.event_likelihoods import Binomial
from ipt_evidence.pooling.glmm import Glmm, _mode

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.DirectionWarning")
REFERENCE = json.loads((Path(__file__).parent / "binary_bcg.json").read_text(encoding="utf-8"))
COUNTS = REFERENCE["data"]
TABLE = pd.DataFrame(
    {
        "study": COUNTS["label"],
        "events_1": COUNTS["a"],
        "total_1": COUNTS["n1"],
        "events_2": COUNTS["c"],
        "total_2": COUNTS["n2"],
    }
)
CLOSED_FORM = 1e-12
"""Relative; no iteration on either side."""
LME4 = 5e-5
"""Relative; lme4 stops its optimiser and its inner iteration at about 1e-7 of the deviance, so its parameters are good
to the root of that: our likelihood is never lower (tested)."""
LME4_HESSIAN = 5e-3
"""Relative, standard error and Wald test of UM.RS: lme4 differentiates a Laplace deviance whose inner iteration stops
at 1e-7 by steps of 1e-4, so its second derivatives may lose digits. tests/pooling proves ours by brute force."""
CASES = {
    "mh_OR": {"measure": "OR"},
    "mh_RR": {"measure": "RR"},
    "mh_RD": {"measure": "RD"},
    "peto": {"method": "peto"},
    "glmm_UM.FS": {"method": "glmm", "model": "UM.FS"},
    "glmm_UM.RS": {"method": "glmm", "model": "UM.RS"},
    "glmm_CM.AL": {"method": "glmm", "model": "CM.AL"},
    "glmm_PLO": {"method": "glmm", "measure": "PLO"},
}


SMALL_STUDY = ("regtest_peters", "regtest_harbord")
"""Tested in test_small_study.py."""


def test_no_block_is_left_out():
    assert set(REFERENCE) - {"data", "versions", "calls", "glmm_CM.EL", *SMALL_STUDY} == set(CASES)
    assert "BiasedUrn" in REFERENCE["glmm_CM.EL"]["error"]


@pytest.mark.parametrize("name", ["mh_OR", "mh_RR", "mh_RD", "peto"])
def test_closed_forms(name):
    fit, theirs = pool_binary(TABLE, **CASES[name]), REFERENCE[name]
    ours = [fit.estimate, fit.std_error, fit.ci_low, fit.ci_high, fit.p_value, fit.q, fit.log_likelihood]
    names = ("beta", "se", "ci_lb", "ci_ub", "pval", "QE", "logLik")
    assert ours == pytest.approx([theirs[n] for n in names], rel=CLOSED_FORM)
    assert fit.tau2 == theirs["tau2"]


@pytest.mark.parametrize("name", ["glmm_UM.FS", "glmm_UM.RS", "glmm_CM.AL", "glmm_PLO"])
def test_glmm(name):
    fit, theirs = pool_binary(TABLE, **CASES[name]), REFERENCE[name]
    error = LME4_HESSIAN if name == "glmm_UM.RS" else LME4
    assert fit.estimate == pytest.approx(theirs["beta"], rel=2 * LME4)
    assert fit.tau2 == pytest.approx(theirs["tau2"], rel=2 * LME4)
    assert fit.std_error == pytest.approx(theirs["se"], rel=error)
    assert fit.ci_low == pytest.approx(theirs["ci_lb"], rel=error)
    assert fit.ci_high == pytest.approx(theirs["ci_ub"], rel=error)
    assert fit.q == pytest.approx(theirs["QE_LRT"], rel=1e-7)
    assert fit.tests[0].statistic == pytest.approx(theirs["QE_Wld"], rel=error if name == "glmm_UM.RS" else 1e-7)


def test_laplace_likelihood_is_the_reference_or_better():
    gain = pool_binary(TABLE, method="glmm", model="UM.RS").log_likelihood - REFERENCE["glmm_UM.RS"]["logLik"]
    assert 0 < gain < 5e-5


@pytest.mark.parametrize("name", ["glmm_UM.FS", "glmm_CM.AL", "glmm_PLO"])
def test_reference_log_likelihood_is_conditional(name):
    """With quadrature metafor's logLik is the binomial one at the modes of the random effects, not the marginal one."""
    a, n1, c, n2 = (np.array(COUNTS[x], dtype=float) for x in ("a", "n1", "c", "n2"))
    fit = pool_binary(TABLE, **CASES[name])
    one, own = np.ones((1, 1)), np.zeros(a.size)
    if name == "glmm_UM.FS":
        family = Binomial(np.stack([a, c], 1), np.stack([n1, n2], 1))
        half = np.array([[0.5, -0.5]])
        glmm = Glmm(family, np.zeros((a.size, 2)), half, half, np.ones(2), 7)
        shared = np.array([fit.estimate, fit.tau2**0.5])
        found = maximise(glmm.log_likelihood, shared, np.full(a.size, -3.0), free=(0, 1), with_own=True)
        own = found.own
        assert found.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-9)
    elif name == "glmm_CM.AL":
        glmm = Glmm(Binomial(a[:, None], (a + c)[:, None]), np.log(n1 / n2)[:, None], one, one, None, 7)
    else:
        glmm = Glmm(Binomial(a[:, None], n1[:, None]), np.zeros((a.size, 1)), one, one, None, 7)
    base = glmm.offset + fit.estimate * glmm.fixed + (own[:, None] * glmm.local if glmm.local is not None else 0.0)
    load = fit.tau2**0.5 * glmm.random.T
    modes = _mode(glmm.family, base[None], load[None, None])[0][0]
    conditional = glmm.family.terms(base + modes @ load.T)[0].sum()
    assert conditional == pytest.approx(REFERENCE[name]["logLik"], abs=5e-4)
    assert abs(fit.log_likelihood - REFERENCE[name]["logLik"]) > 10
