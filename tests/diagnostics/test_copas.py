"""The Copas selection model: laws, its likelihood, its path, what happens when the data do not suffice."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad

import ipt_evidence as ipt
from ipt_evidence.diagnostics.copas import copas, copas_contour
from ipt_evidence.diagnostics.copas_likelihood import copas_log_likelihood
from ipt_evidence.errors import NotEstimableError, OptionError

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.SmallKWarning")

LAW = 1e-5
"""Relative. Two searches for one maximum; the crossing of 0.1 is found within 1e-6 of the probit."""


def asymmetric(seed: int = 5, k: int = 20) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    s = np.linspace(0.08, 0.5, k)
    return pd.DataFrame({"effect": 0.1 + 1.2 * s + rng.normal(0, 0.5 * s), "variance": s**2})


def test_the_likelihood_integrates_to_one() -> None:
    """The density of a published effect when rho is 0, and its moments' identity: normal for any u."""
    s, u = np.array([0.3]), np.array([0.4])

    def density(y: float, rho: float) -> float:
        return math.exp(copas_log_likelihood(np.array([y]), s, u, np.array([0.2, rho, 0.05]))[0])

    for rho in (0.0, 0.6, -0.9):
        assert quad(density, -6, 6, args=(rho,), epsabs=1e-12)[0] == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("theta", [[0.2, 0.5, 0.1], [0.2, -0.9, 0.01, 0.3], [0.1, 0.99, 0.02, -0.3]])
def test_the_gradient(theta: list[float]) -> None:
    data, at = asymmetric(), np.array(theta)
    y, s = data["effect"].to_numpy(), np.sqrt(data["variance"].to_numpy())
    u = -0.5 + 0.3 / s
    expected = [
        (copas_log_likelihood(y, s, u, at + h)[0] - copas_log_likelihood(y, s, u, at - h)[0]) / 2e-6
        for h in 1e-6 * np.eye(at.size)
    ]
    assert copas_log_likelihood(y, s, u, at)[1] == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_the_correction_is_the_least_that_leaves_nothing_over() -> None:
    fit = copas(asymmetric())
    assert fit.p_value < 0.1
    assert 0 < fit.probability < 1
    assert fit.p_residual == pytest.approx(0.1, abs=1e-5)
    assert fit.ci_low < fit.estimate < fit.unadjusted
    assert fit.n_unpublished > 0
    path = fit.path
    assert path["probability"].is_monotonic_decreasing
    assert path["n_unpublished"].is_monotonic_increasing
    assert path["estimate"].iloc[0] == fit.unadjusted
    assert "would explain it" in fit.interpretation
    assert "Copas" in fit._repr_html_()
    assert "probability" in fit.summary()
    assert fit.tidy().loc[0, "estimate"] == fit.estimate


def test_without_asymmetry_nothing_is_corrected() -> None:
    rng = np.random.default_rng(0)
    s = rng.uniform(0.1, 0.5, 15)
    fit = copas(pd.DataFrame({"effect": rng.normal(0.3, s), "variance": s**2}), probabilities=[0.8])
    assert fit.probability == 1
    assert fit.estimate == fit.unadjusted
    assert fit.n_unpublished == 0
    assert "not evidence" in fit.interpretation


def test_plain_maximum_likelihood_without_selection() -> None:
    data = asymmetric()
    plain = ipt.pool(data, tau2_method="ML", ci_method="wald")
    first = copas(data, probabilities=[0.9]).path.iloc[0]
    assert first["estimate"] == pytest.approx(plain.estimate, rel=1e-8)
    assert first["log_likelihood"] == pytest.approx(plain.log_likelihood, rel=1e-9)
    nearly = copas_contour(data, gamma_0=[8.0], gamma_1=[0.1]).iloc[0]
    assert nearly["estimate"] == pytest.approx(plain.estimate, rel=1e-6)


def test_sign_scale_and_order() -> None:
    data = asymmetric()
    one = copas(data, probabilities=[0.9, 0.5])
    turned = copas(data.assign(effect=-data["effect"]), probabilities=[0.9, 0.5])
    assert turned.estimate == pytest.approx(-one.estimate, rel=LAW)
    assert (one.alternative, turned.alternative) == ("greater", "less")
    assert turned.rho == pytest.approx(-one.rho, rel=LAW)
    scaled = pd.DataFrame({"effect": 50 * data["effect"], "variance": 2500 * data["variance"]})
    other = copas(scaled.sample(frac=1, random_state=1), probabilities=[0.9, 0.5])
    assert other.estimate == pytest.approx(50 * one.estimate, rel=LAW)
    assert other.probability == pytest.approx(one.probability, rel=LAW)


def test_the_contour_agrees_with_the_path() -> None:
    data = asymmetric()
    row = copas(data, probabilities=[0.6]).path.iloc[1]
    same = copas_contour(data, gamma_0=[row["gamma_0"]], gamma_1=[row["gamma_1"]]).iloc[0]
    for name in ("estimate", "std_error", "rho", "p_residual", "probability", "probability_most_precise"):
        assert same[name] == pytest.approx(row[name], rel=1e-6)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_too_few_trials(k: int) -> None:
    with pytest.raises(NotEstimableError, match="at least 4 trials"):
        copas(pd.DataFrame({"effect": [0.3, 0.2, 0.5][:k], "variance": [0.1, 0.02, 0.05][:k]}))


def test_equal_sizes_and_equal_effects() -> None:
    with pytest.raises(NotEstimableError, match="same standard error"):
        copas(pd.DataFrame({"effect": np.linspace(0, 1, 12), "variance": 0.04}))
    fit = copas(pd.DataFrame({"effect": 0.4, "variance": np.linspace(0.01, 0.1, 12)}), probabilities=[0.7])
    assert fit.estimate == pytest.approx(0.4)
    assert fit.p_value == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probabilities": [0, 0.5]}, "probabilities must be numbers between 0 and 1"),
        ({"probabilities": ["a"]}, "probabilities must be numbers between 0 and 1"),
        ({"largest": 0.4}, "largest must be a probability between 0.5 and 1"),
        ({"residual_level": 10}, "residual_level must lie between 0 and 1"),
        ({"alternative": "left"}, "alternative must be one of"),
        ({"level": 95}, "level must lie between"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        copas(asymmetric(), **options)
