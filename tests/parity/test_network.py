"""Network meta-analysis against R's netmeta 3.6-2 (REML) on the trials of Senn 2013."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ipt_evidence.pooling.network import network
from ipt_evidence.pooling.network_evidence import split_table
from ipt_evidence.pooling.network_kernel import differences, p_scores, solve
from ipt_evidence.pooling.network_result import NetworkFit

REFERENCE: dict[str, Any] = json.loads((Path(__file__).parent / "network_senn2013.json").read_text())
CLOSED_FORM = 1e-11
"""Relative and absolute: common effects, Q, and everything once the reference's tau is put in. Seen: 1e-13."""
CONVERGED = 1e-8
"""REML tau and what hangs on it: the reference's optimiser stops within 1e-9 of the maximum. Seen: 5e-10."""


def near(expected: Any, tolerance: float) -> Any:
    return pytest.approx(np.array(expected, dtype=float), rel=tolerance, abs=tolerance, nan_ok=True)


@pytest.fixture(scope="module")
def fit() -> NetworkFit:
    table = pd.DataFrame(
        {
            "trial_id": REFERENCE["studlab"],
            "treat1": REFERENCE["treat1"],
            "treat2": REFERENCE["treat2"],
            "effect": REFERENCE["TE"],
            "std_error": REFERENCE["seTE"],
        }
    )
    return network(table, treatments=("treat1", "treat2"), reference="placebo", small_values="desirable")


def test_common_effects_and_q(fit: NetworkFit) -> None:
    assert list(fit.treatments) == REFERENCE["trts"]
    assert fit.common_estimate == near(REFERENCE["TE_common"], CLOSED_FORM)
    assert fit.q == pytest.approx(REFERENCE["Q"], rel=CLOSED_FORM)
    assert fit.q_df == REFERENCE["df"]
    assert fit.i2 / 100 == pytest.approx(REFERENCE["I2"], rel=CLOSED_FORM)
    assert fit.inconsistency.q_between == pytest.approx(REFERENCE["Q_inconsistency"], rel=CLOSED_FORM)
    assert fit.inconsistency.q_within == pytest.approx(REFERENCE["Q_heterogeneity"], rel=CLOSED_FORM)
    assert fit.inconsistency.df_between + fit.inconsistency.df_within == fit.q_df


def test_random_effects_at_our_own_tau(fit: NetworkFit) -> None:
    assert fit.tau == pytest.approx(REFERENCE["tau"], rel=CONVERGED)
    assert fit.estimate == near(REFERENCE["TE_random"], CONVERGED)
    assert fit.std_error == near(REFERENCE["seTE_random"], CONVERGED)
    scores = fit.ranking().set_index("treatment")["p_score"].loc[REFERENCE["trts"]]
    assert scores.to_numpy() == near(REFERENCE["pscore_random"], CONVERGED)


def test_random_effects_at_the_tau_of_the_reference(fit: NetworkFit) -> None:
    effect, error = differences(solve(fit.network.rows, REFERENCE["tau"] ** 2))
    assert effect == near(REFERENCE["TE_random"], CLOSED_FORM)
    assert error == near(REFERENCE["seTE_random"], CLOSED_FORM)
    assert p_scores(effect, error, larger_is_better=False) == near(REFERENCE["pscore_random"], CLOSED_FORM)


def test_split(fit: NetworkFit) -> None:
    """All 45 pairs, missing ones included; the reference writes some pairs the other way round."""
    table = split_table(fit.network, REFERENCE["tau"] ** 2, "back-calculation", 0.95)
    ours = {}
    for row in table.to_dict("records"):
        one, two = row["treatment_1"], row["treatment_2"]
        ours[f"{one}:{two}"] = (row["direct"], row["indirect"], row["p_value"])
        ours[f"{two}:{one}"] = (-row["direct"], -row["indirect"], row["p_value"])
    expected = REFERENCE["split"]
    assert len(expected["comparison"]) == len(table) == 45
    for at, what in enumerate(("direct", "indirect", "p")):
        found = np.array([ours[name][at] for name in expected["comparison"]])
        assert found == near(expected[what], CLOSED_FORM)
        assert np.isfinite(found).sum() == {"direct": 15, "indirect": 41, "p": 11}[what]


def test_our_likelihood_is_not_lower_than_at_the_tau_of_the_reference(fit: NetworkFit) -> None:
    from ipt_evidence.pooling.design import orthonormal_basis
    from ipt_evidence.pooling.regression_kernel import log_likelihood

    rows = fit.network.rows
    basis = orthonormal_basis(rows.x[:, 1:])
    heights = [
        float(log_likelihood(rows.y[None], rows.v[None], basis, np.array([t]), restricted=True)[0])
        for t in (fit.tau2, REFERENCE["tau"] ** 2, 0.9 * fit.tau2)
    ]
    assert heights[0] >= heights[1] - 1e-12
    assert heights[0] > heights[2]
    assert math.isfinite(heights[0])
