"""Selection models: laws, exactness of the integrals, what happens when the data do not suffice."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

import ipt_evidence as ipt
from ipt_evidence.diagnostics.selection import selection_model, weight_sensitivity
from ipt_evidence.diagnostics.selection_likelihood import SelectionData, log_likelihood
from ipt_evidence.diagnostics.weight_functions import relative_weight, shape_weights, step_weights
from ipt_evidence.errors import NotEstimableError, OptionError, SmallKWarning

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.SmallKWarning")

SHAPES = ("beta", "halfnormal", "negexp", "logistic", "power")
LAW = 1e-6
"""Relative. Two searches for one maximum, each to a Newton decrement of 1e-12 of the log-likelihood or less."""
QUADRATURE = 1e-9
"""Relative. Both integrals are converged; adaptive quadrature is asked for 1e-10 on each piece."""


def frame(y: Any, v: Any, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"effect": np.asarray(y, dtype=float), "variance": np.asarray(v, dtype=float), **columns})


def selected(seed: int = 1, k: int = 30) -> pd.DataFrame:
    """Trials of which the nonsignificant ones are published with probability 0.3."""
    rng = np.random.default_rng(seed)
    s = rng.uniform(0.1, 0.5, 40 * k)
    y = rng.normal(0.2, np.sqrt(s**2 + 0.04))
    kept = (y / s > 1.96) | (rng.random(y.size) < 0.3)
    return frame(y[kept][:k], s[kept][:k] ** 2)


@pytest.mark.parametrize(
    ("shape", "two_sided"), [*((shape, False) for shape in SHAPES), ("beta", True), ("logistic", True)]
)
def test_the_likelihood_integrates_to_one(shape: str, two_sided: bool) -> None:
    """The density of an effect given its publication, integrated by adaptive quadrature."""
    s, mu, tau2 = 0.3, 0.25, 0.05
    delta = np.array([0.6, 1.7]) if shape == "beta" else np.array([2.5])

    def density(y: float) -> float:
        bound = shape_weights(np.array([y / s]), shape, two_sided=two_sided)
        data = SelectionData(np.array([y]), np.array([s]), np.ones((1, 1)), bound)
        return math.exp(log_likelihood(data, np.array([mu, tau2, *delta]))[0])

    z = -norm.ppf([1e-5, 5e-6, 0.5 - 5e-6, 0.1])
    ends = [-4.0, *s * np.unique([*-z, 0.0, *z]), 4.5]
    total = sum(quad(density, *pair, epsabs=1e-11, epsrel=1e-10, limit=100)[0] for pair in pairwise(ends))
    assert total == pytest.approx(1, rel=QUADRATURE)


@pytest.mark.parametrize("model", ["step", *SHAPES])
@pytest.mark.parametrize("two_sided", [False, True])
def test_the_gradient(model: str, two_sided: bool) -> None:
    data = selected()
    y, s = data["effect"].to_numpy(), np.sqrt(data["variance"].to_numpy())
    if model == "step":
        bound: Any = step_weights(y / s, np.array([0.025, 0.5]), two_sided=two_sided)
    else:
        bound = shape_weights(y / s, model, two_sided=two_sided)
    given_to = SelectionData(y, s, np.column_stack([np.ones_like(y), s]), bound)
    theta = np.array([0.2, 0.3, 0.04] + [0.7] * len(bound.names))
    slope = log_likelihood(given_to, theta)[1]
    steps = 1e-6 * np.eye(theta.size)
    expected = [(log_likelihood(given_to, theta + h)[0] - log_likelihood(given_to, theta - h)[0]) / 2e-6 for h in steps]
    assert slope == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("options", [{}, {"steps": (0.025, 0.5)}, {"model": "negexp"}, {"model": "beta"}])
def test_turning_the_effects_around_turns_the_result_around(options: dict[str, Any]) -> None:
    data = selected()
    one = selection_model(data, **options)
    other = selection_model(data.assign(effect=-data["effect"]), alternative="less", **options)
    assert other.estimate == pytest.approx(-one.estimate, rel=1e-12)
    assert (other.ci_low, other.ci_high) == pytest.approx((-one.ci_high, -one.ci_low), rel=1e-12)
    assert other.parameters == pytest.approx(one.parameters, rel=1e-12)
    assert other.log_likelihood == pytest.approx(one.log_likelihood, rel=1e-12)


@settings(max_examples=4, deadline=None, derandomize=True)
@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 50), model=st.sampled_from(["step", "halfnormal"]))
def test_scale_and_order_do_not_matter(scale: float, seed: int, model: Any) -> None:
    data = selected(seed)
    one = selection_model(data, model=model)
    changed = frame(data["effect"] * scale, data["variance"] * scale**2).sample(frac=1, random_state=seed)
    other = selection_model(changed, model=model)
    assert other.estimate == pytest.approx(one.estimate * scale, rel=LAW, abs=1e-8 * scale)
    assert other.tau2 == pytest.approx(one.tau2 * scale**2, rel=LAW, abs=1e-8 * scale**2)
    assert other.parameters == pytest.approx(one.parameters, rel=LAW, abs=1e-7)
    assert other.lrt == pytest.approx(one.lrt, rel=1e-6, abs=1e-8)


def test_equal_weights_are_plain_maximum_likelihood() -> None:
    data = selected()
    plain = ipt.pool(data, tau2_method="ML", ci_method="wald")
    for fit in (selection_model(data, weights=(1, 1)), selection_model(data, steps=(0.01, 0.2), weights=(3, 3, 3))):
        assert fit.estimate == pytest.approx(plain.estimate, rel=1e-8)
        assert fit.tau2 == pytest.approx(plain.tau2, rel=1e-7)
        assert fit.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-10)
        assert math.isnan(fit.p_value)
    assert selection_model(data).null_log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-10)
    assert selection_model(data).unadjusted == pytest.approx(plain.estimate, rel=1e-8)


def test_known_selection_is_undone() -> None:
    """True mean 0.2, nonsignificant trials published with probability 0.3: within two standard errors."""
    fit = selection_model(selected(3, k=300))
    assert abs(fit.estimate - 0.2) < 2 * fit.std_error
    assert fit.unadjusted > 0.3
    assert fit.parameters[1] == pytest.approx(0.3, abs=2 * fit.weights["std_error"][1])
    assert fit.p_value < 0.001


def test_the_estimate_with_estimated_weights_is_that_with_the_same_weights_fixed() -> None:
    data = selected()
    free = selection_model(data, steps=(0.025, 0.5))
    fixed = selection_model(data, steps=(0.025, 0.5), weights=free.parameters)
    assert fixed.estimate == pytest.approx(free.estimate, rel=LAW)
    assert fixed.log_likelihood == pytest.approx(free.log_likelihood, rel=1e-10)
    assert fixed.std_error < free.std_error


def test_moderators() -> None:
    data = selected(2, k=60).assign(year=lambda f: np.arange(len(f)) % 20 + 2000)
    alone = selection_model(data, moderators="~ 1")
    assert alone.estimate == pytest.approx(selection_model(data).estimate, rel=LAW)
    fit = selection_model(data, moderators="~ year")
    assert list(fit.coefficients["term"]) == ["Intercept", "year"]
    centred = selection_model(data.assign(year=data["year"] - 2010), moderators="~ year")
    shift = centred.coefficients["estimate"]
    assert fit.estimate == pytest.approx(shift[0] - 2010 * shift[1], rel=1e-5)
    assert "coefficients" in fit.interpretation
    missing = data.assign(year=data["year"].astype(float).where(data.index != 3))
    assert selection_model(missing, moderators="~ year").k == 59


def test_an_empty_interval_is_named_with_the_counts() -> None:
    data = frame(np.linspace(0.8, 1.2, 12), np.full(12, 0.01))
    with pytest.raises(
        NotEstimableError, match=r"interval 0\.025 to 1 \(trials by p-value: 0 to 0\.025: 12; 0\.025 to"
    ):
        selection_model(data)
    fit = selection_model(data, model="negexp")
    assert not fit.converged
    assert math.isnan(fit.std_error)
    assert "should not be used" in fit.interpretation
    assert any("end of its range" in note for note in fit.notes)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_too_few_trials(k: int) -> None:
    data = frame([0.9, 0.1, 0.3][:k], [0.02, 0.03, 0.05][:k])
    with pytest.raises(NotEstimableError):
        selection_model(data)
    with pytest.raises(NotEstimableError, match=f"parameters and there are {k} trials"):
        selection_model(data, model="negexp")
    if k < 3:
        with pytest.raises(NotEstimableError, match="at least 3 trials"):
            weight_sensitivity(data)
    else:
        assert weight_sensitivity(data).tidy()["converged"].all()


def test_equal_effects_and_no_selection() -> None:
    fit = selection_model(frame(np.full(12, 0.4), np.linspace(0.01, 0.1, 12)), model="negexp", alternative="less")
    assert fit.tau2 == 0
    assert fit.parameters == (0.0,)
    assert fit.lrt == pytest.approx(0, abs=1e-9)
    assert fit.estimate == pytest.approx(0.4)
    assert any("tau2 is estimated as zero" in note for note in fit.notes)
    assert any("no selection to correct" in note for note in fit.notes)


def test_few_trials_are_warned_of() -> None:
    with pytest.warns(SmallKWarning, match="rests on 8 trials"):
        selection_model(selected(k=8), model="negexp")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "steps"}, "model must be one of"),
        ({"alternative": "two.sided"}, "alternative must be one of"),
        ({"model": "beta", "steps": (0.025,)}, "steps belong to model='step'"),
        ({"steps": (0.5, 0.025)}, "steps must be ascending"),
        ({"steps": (2.5,)}, "steps must be ascending"),
        ({"steps": ("a",)}, "steps must be a sequence of numbers"),
        ({"weights": (1, 0.5, 0.2)}, "weights must be 2 positive numbers"),
        ({"weights": (1, 0)}, "weights must be 2 positive numbers"),
        ({"level": 95}, "level must lie between"),
        ({"moderators": "~ nothing"}, "nothing"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        selection_model(selected(), **options)


def test_what_the_result_shows() -> None:
    fit = selection_model(selected(), steps=(0.025, 0.5, 1))
    assert fit.steps == (0.025, 0.5)
    assert sum(fit.n_per_interval) == fit.k == 30
    assert fit.weights["estimate"].iloc[0] == 1
    assert (fit.weights["ci_low"].iloc[1:] > 0).all()
    assert list(fit.weight_at([0.01, 0.025, 0.3, 0.9])) == [1, 1, fit.parameters[1], fit.parameters[2]]
    assert relative_weight("negexp", (), (2.0,), np.array([0.5])) == pytest.approx(math.exp(-1))
    copy = fit.weights
    copy["estimate"] = 0
    assert fit.weights["estimate"].iloc[0] == 1
    assert fit.tidy().loc[0, "lrt_df"] == 2
    assert "<caption>Selection model: step function" in fit._repr_html_()
    assert "corrected effect" in fit.summary()
    assert "0.5" in fit.summary()


def test_weight_sensitivity() -> None:
    data = selected()
    result = weight_sensitivity(data)
    table = result.tidy().set_index("pattern")["estimate"]
    assert table["severe one-tailed"] < table["moderate one-tailed"] < table["no correction"]
    own = weight_sensitivity(data, patterns={"half": (1, 0.5)}, steps=(0.025,))
    assert own.tidy()["estimate"][1] == pytest.approx(selection_model(data, weights=(1, 0.5)).estimate, rel=1e-9)
    assert "examples, not estimates" in result.interpretation
    assert "severe two-tailed" in result._repr_html_()
    with pytest.raises(OptionError, match="one-sided p-values"):
        weight_sensitivity(data, alternative="two-sided")


def test_a_fit_and_its_table_give_the_same() -> None:
    data = selected()
    assert selection_model(ipt.pool(data)).estimate == selection_model(data).estimate
