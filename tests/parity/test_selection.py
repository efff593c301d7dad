"""Selection models against metafor's selmodel() 5.1 and 3.8; worst case against PublicationBias; see README.md."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ipt_evidence.diagnostics.selection import selection_model, weight_sensitivity
from ipt_evidence.diagnostics.selection_likelihood import SelectionData, log_likelihood
from ipt_evidence.diagnostics.selection_result import SelectionModel
from ipt_evidence.diagnostics.weight_functions import (
    VEVEA_WOODS_STEPS,
    VEVEA_WOODS_WEIGHTS,
    shape_weights,
    step_weights,
)
from ipt_evidence.diagnostics.worst_case import worst_case

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.SmallKWarning")

FOLDER = Path(__file__).parent
DATASETS = ("bcg_logrr", "normand1999_smd", "hackshaw1998", "raudenbush1985")
MODELS: dict[str, dict[str, Any]] = {
    "step_025": {},
    "step_025_50": {"steps": (0.025, 0.5)},
    "beta": {"model": "beta"},
    "halfnorm": {"model": "halfnormal"},
    "negexp": {"model": "negexp"},
    "power": {"model": "power"},
    "logistic": {"model": "logistic"},
}
MORE: dict[str, dict[str, Any]] = {
    "step_two_sided_05": {"steps": (0.05,), "alternative": "two-sided"},
    "step_three": {"steps": (0.01, 0.1, 0.5)},
    "beta_two_sided": {"model": "beta", "alternative": "two-sided"},
    "negexp_two_sided": {"model": "negexp", "alternative": "two-sided"},
    "mods_step": {"moderators": "~ mod"},
    "mods_negexp": {"model": "negexp", "moderators": "~ mod"},
}

SEARCHED = 1e-3
"""Relative. The reference searches without gradients to a relative change of 1e-8 of the likelihood, which leaves the
estimates uncertain in their fourth digit; its integrals are good to 1e-4."""
HEIGHT = 1e-9
"""Our log-likelihood must not be lower than the reference's by more than rounding."""
INEXACT_INTEGRAL = {("bcg_logrr", "power"), ("raudenbush1985", "beta")}
"""Here the reference prints a higher likelihood than it has: ours at its own parameters is lower."""
ELSEWHERE = {
    ("bcg_logrr", "negexp"),
    ("bcg_logrr", "logistic"),
    ("normand1999_smd", "halfnorm"),
    ("raudenbush1985", "beta"),
    ("raudenbush1985", "halfnorm"),
    ("normand1999_smd", "beta"),
    ("hackshaw1998", "power"),
    ("raudenbush1985", "negexp"),
    ("raudenbush1985", "step_025_50"),
}
"""The reference stopped before the maximum: its likelihood is lower and an estimate differs by more than 1e-3."""
ERROR_OF_REFERENCE = {("hackshaw1998", "beta"), ("hackshaw1998", "halfnorm"), ("normand1999_smd", "power")}
"""The reference's standard error comes from differences of inexact integrals; ours is checked against those of ours."""
STOPPED_SHORT = {("bcg_logrr", "beta_two_sided"), ("bcg_logrr", "negexp_two_sided"), ("bcg_logrr", "mods_negexp")}
"""metafor 3.8: its integral is off by more than 1e-4, or it stopped below the maximum by as much."""
PRINTED_5 = 5e-6
PRINTED_3 = 5e-4


@cache
def reference(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / f"{name}.json").read_text()))


@cache
def fitted(dataset: str, kind: str) -> SelectionModel:
    data = reference(dataset)
    frame = pd.DataFrame({"effect": data["yi"], "variance": data["vi"]})
    return selection_model(frame, alternative=data["selection"]["alternative"], **MODELS[kind])


def exact_height(data: dict[str, Any], alternative: str, options: dict[str, Any], expected: dict[str, Any]) -> float:
    """Return our log-likelihood at the reference's parameters."""
    sign = -1.0 if alternative == "less" else 1.0
    y, s = sign * np.array(data["yi"]), np.sqrt(data["vi"])
    two_sided, delta = alternative == "two-sided", np.atleast_1d(expected["delta"])
    if "model" in options:
        bound: Any = shape_weights(y / s, options["model"], two_sided=two_sided)
    else:
        bound = step_weights(y / s, np.array(options.get("steps", (0.025,))), two_sided=two_sided)
        delta = delta[1:]
    columns = [np.ones_like(y)] + ([np.array(data["mod"], dtype=float)] if "moderators" in options else [])
    theta = np.concatenate([sign * np.atleast_1d(expected["beta"]), [expected["tau2"]], delta])
    return log_likelihood(SelectionData(y, s, np.column_stack(columns), bound), theta)[0]


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_metafor(dataset: str, kind: str) -> None:
    expected = reference(dataset)["selection"][kind]
    fit = fitted(dataset, kind)
    if "error" in expected:
        assert fit.converged
        assert fit.log_likelihood >= fit.null_log_likelihood - HEIGHT
        return
    data = reference(dataset)
    height = exact_height(data, data["selection"]["alternative"], MODELS[kind], expected)
    assert fit.log_likelihood >= height - HEIGHT
    if (dataset, kind) in INEXACT_INTEGRAL:
        assert expected["logLik"] > height + 1e-7
    else:
        assert fit.log_likelihood >= expected["logLik"] - HEIGHT
    if (dataset, kind) in ELSEWHERE:
        if (dataset, kind) not in INEXACT_INTEGRAL:
            assert fit.log_likelihood > expected["logLik"]
        return
    delta = np.atleast_1d(expected["delta"])
    assert fit.estimate == pytest.approx(expected["beta"], rel=SEARCHED, abs=1e-4)
    assert fit.tau2 == pytest.approx(expected["tau2"], rel=SEARCHED, abs=1e-5)
    assert fit.parameters == pytest.approx(delta, rel=SEARCHED)
    assert fit.lrt == pytest.approx(expected["LRT"], rel=SEARCHED)
    assert fit.p_value == pytest.approx(expected["LRTp"], rel=SEARCHED)
    if (dataset, kind) not in ERROR_OF_REFERENCE:
        assert fit.std_error == pytest.approx(expected["se"], rel=SEARCHED)
        assert fit.ci_low == pytest.approx(expected["ci_lb"], rel=SEARCHED, abs=1e-3)
        assert fit.ci_high == pytest.approx(expected["ci_ub"], rel=SEARCHED, abs=1e-3)


@pytest.mark.parametrize("dataset", DATASETS)
def test_vevea_woods(dataset: str) -> None:
    data = reference(dataset)
    expected = data["selection"]["vevea_woods_moderate_one"]
    frame = pd.DataFrame({"effect": data["yi"], "variance": data["vi"]})
    fits = weight_sensitivity(frame, alternative=data["selection"]["alternative"])
    fit = fits.models["moderate one-tailed"]
    assert fit.parameters == tuple(expected["delta"])
    assert fit.log_likelihood == pytest.approx(expected["logLik"], abs=1e-8)
    for ours, theirs in (("estimate", "beta"), ("std_error", "se"), ("tau2", "tau2"), ("ci_low", "ci_lb")):
        assert getattr(fit, ours) == pytest.approx(expected[theirs], rel=SEARCHED)


@pytest.mark.parametrize("kind", MORE)
@pytest.mark.parametrize("dataset", ["bcg_logrr", "hackshaw1998", "raudenbush1985"])
def test_two_sided_and_moderators(dataset: str, kind: str) -> None:
    data = reference("selection_metafor38")[dataset]
    expected = data[kind]
    frame = pd.DataFrame({"effect": data["yi"], "variance": data["vi"], "mod": data["mod"]})
    fit = selection_model(frame, **({"alternative": data["alternative"]} | MORE[kind]))
    if "error" in expected:
        assert math.isfinite(fit.log_likelihood)
        return
    height = exact_height(data, fit.alternative, MORE[kind], expected)
    assert fit.log_likelihood >= height - HEIGHT
    assert fit.log_likelihood == pytest.approx(expected["logLik"], abs=2e-3)
    if (dataset, kind) in STOPPED_SHORT:
        assert max(abs(height - expected["logLik"]), fit.log_likelihood - height) > 1e-4
        return
    assert fit.coefficients["estimate"].to_numpy() == pytest.approx(np.atleast_1d(expected["beta"]), rel=SEARCHED)
    assert fit.parameters == pytest.approx(np.atleast_1d(expected["delta"]), rel=SEARCHED)
    assert fit.tau2 == pytest.approx(expected["tau2"], rel=2 * SEARCHED, abs=1e-5)
    if None not in np.atleast_1d(expected["se"]) and (dataset, kind) != ("hackshaw1998", "beta_two_sided"):
        error = fit.coefficients["std_error"].to_numpy()
        assert error == pytest.approx(np.atleast_1d(expected["se"]), rel=2 * SEARCHED)


def test_the_grid_has_not_shrunk() -> None:
    blocks = [reference(d)["selection"][kind] for d in DATASETS for kind in MODELS]
    assert len(blocks) == 28
    assert sum("error" in block for block in blocks) == 2
    more = reference("selection_metafor38")
    assert sum(len(set(MORE) & set(more[d])) for d in ("bcg_logrr", "hackshaw1998", "raudenbush1985")) == 18
    assert len(VEVEA_WOODS_WEIGHTS) == 4
    assert all(len(w) == len(VEVEA_WOODS_STEPS) + 1 for w in VEVEA_WOODS_WEIGHTS.values())


def bcg() -> pd.DataFrame:
    data = reference("bcg_logrr")
    author = [1, 2, 3, 4, 5, 6, 7, 8, 9, 3, 10, 11, 10]
    return pd.DataFrame({"effect": data["yi"], "variance": data["vi"], "author": author})


def test_s_values_of_a_common_effect() -> None:
    """Documentation of PublicationBias 2.3.0, pubbias_svalue() and pubbias_meta(); its -76.9 stands for no ratio."""
    null = worst_case(bcg(), model="fixed", alternative="less", selection_ratio=5)
    assert (null.k_affirmative, null.k_nonaffirmative) == (8, 5)
    assert math.isinf(null.s_value)
    assert null.s_value_ci == pytest.approx(7.58431, abs=PRINTED_5)
    tenth = worst_case(bcg(), model="fixed", alternative="less", target=math.log(0.9))
    assert tenth.s_value == pytest.approx(8.261336, abs=PRINTED_5)
    assert tenth.s_value_ci == pytest.approx(3.406779, abs=PRINTED_5)
    five = null.corrected.set_index("selection_ratio").loc[5.0]
    assert list(five[["estimate", "std_error", "ci_low", "ci_high"]]) == pytest.approx(
        [-0.156, 0.0491, -0.263, -0.0485], abs=PRINTED_3
    )
    assert five["p_value"] == pytest.approx(0.00814, abs=PRINTED_5)


def test_s_values_with_robust_errors() -> None:
    """The same documentation, ``model_type = "robust"``: clustered by author, and each trial by itself."""
    clustered = worst_case(bcg(), alternative="less", selection_ratio=5, cluster="author")
    five = clustered.corrected.set_index("selection_ratio").loc[5.0]
    expected = [-0.3686171, 0.1452243, -0.7849406, 0.04770646, 0.06905043]
    assert list(five[["estimate", "std_error", "ci_low", "ci_high", "p_value"]]) == pytest.approx(expected, abs=1e-7)
    single = worst_case(bcg(), alternative="less")
    assert math.isinf(single.s_value)
    assert single.s_value_ci == pytest.approx(4.17, abs=5e-3)
