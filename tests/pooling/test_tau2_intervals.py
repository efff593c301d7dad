"""Profile likelihood and generalised-Q intervals of tau2."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import chdtri

from ipt_evidence.pooling.kernel import log_likelihood
from ipt_evidence.pooling.tau2 import estimate_tau2
from ipt_evidence.pooling.tau2_intervals import generalised_q, profile_likelihood

PARITY = Path(__file__).parents[1] / "parity"
NAMES = ["bcg_logrr", "normand1999_smd", "hackshaw1998", "raudenbush1985"]
ROOT_OF_R = 2e-4  # R's uniroot stops at .Machine$double.eps^0.25 = 1.2e-4
SOLVED = 1e-9  # our root finder
LEVEL = 0.95


def data(name: str) -> tuple[np.ndarray, np.ndarray, dict]:
    reference = json.loads((PARITY / f"{name}.json").read_text())
    return np.array(reference["yi"]), np.array(reference["vi"]), reference


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_profile_likelihood_agrees_with_metafor(name: str, method: str) -> None:
    y, v, reference = data(name)
    tau2 = float(estimate_tau2(y[None], v[None], method)[0])
    low, high = profile_likelihood(y, v, tau2, restricted=method == "REML", level=LEVEL)
    expected = reference["confint"][f"PL_{method}"]
    assert low == pytest.approx(expected["ci.lb"][0], abs=ROOT_OF_R)
    assert high == pytest.approx(expected["ci.ub"][0], abs=ROOT_OF_R)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("restricted", [True, False])
def test_profile_limits_lie_on_the_likelihood_ratio_contour(name: str, restricted: bool) -> None:
    y, v, _ = data(name)
    tau2 = float(estimate_tau2(y[None], v[None], "REML" if restricted else "ML")[0])
    drop = [
        float(log_likelihood(y, v, tau2, restricted=restricted) - log_likelihood(y, v, t, restricted=restricted))
        for t in profile_likelihood(y, v, tau2, restricted=restricted, level=LEVEL)
    ]
    half = 0.5 * float(chdtri(1, 1 - LEVEL))
    assert drop[1] == pytest.approx(half, abs=SOLVED)
    assert drop[0] <= half + SOLVED


def test_generalised_q_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    v, tau2, level = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.03]), 0.08, 0.8
    for weights in (1 / v, 1 / np.sqrt(v)):
        draws = rng.normal(0.0, np.sqrt(v + tau2), (400, v.size))
        limits = [generalised_q(y, v, weights, level=level) for y in draws]
        covered = np.mean([low <= tau2 <= high for low, high in limits])
        assert covered == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 400))


@pytest.mark.parametrize("name", NAMES)
def test_generalised_q_scales_with_the_effects(name: str) -> None:
    y, v, _ = data(name)
    plain = generalised_q(y, v, 1 / v, level=LEVEL)
    scaled = generalised_q(1e4 * y, 1e8 * v, 1e-8 / v, level=LEVEL)
    assert scaled == pytest.approx([1e8 * x for x in plain], rel=1e-7)


def test_equal_effects_give_an_interval_at_zero() -> None:
    v = np.array([0.1, 0.2, 0.3])
    assert generalised_q(np.full(3, 0.4), v, 1 / v, level=LEVEL) == (0.0, 0.0)
