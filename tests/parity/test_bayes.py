"""Bayesian random effects against bayesmeta and against brute-force integration on a dense grid."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from ipt_evidence.pooling.bayes import bayes
from ipt_evidence.pooling.bayes_result import PosteriorSummary

REFERENCE = json.loads((Path(__file__).parent / "bayes.json").read_text(encoding="utf-8"))
SETS = ("bcg_logrr", "normand1999_smd", "hackshaw1998", "raudenbush1985")
TAU_MOMENTS = 1e-9
"""Median, mean and SD of tau: bayesmeta integrates them adaptively, as we do."""
TAU_SEARCH = 2e-5
"""Mode and shortest interval of tau: bayesmeta searches them with R's optimize() and its default tolerance."""
BINNED = 0.006
"""Posterior of mu and of a new effect, in posterior SDs: bayesmeta merges values of tau into bins (delta = 0.01,
epsilon = 1e-4), which narrows or widens its mixtures by this much. Brute force below sides with us."""
BINNED_CENTRE = 0.002
"""The same for mean and median, where the errors of the bins largely cancel."""
BRUTE = 1e-8
"""Probabilities against a dense midpoint rule with 400,000 points, which is itself good to about 1e-9."""
PARTS = {"tau": 0, "mu": 1, "theta": 2}


@pytest.fixture(scope="module", params=SETS)
def case(request: pytest.FixtureRequest):
    block = REFERENCE[request.param]
    table = pd.DataFrame({"effect": block["yi"], "variance": block["vi"]})
    return block, bayes(table)


def reference(block, name: str) -> PosteriorSummary:
    value = {key: values[PARTS[name]] for key, values in block["summary"].items()}
    ends = value["95% lower"], value["95% upper"]
    return PosteriorSummary(value["mode"], value["median"], value["mean"], value["sd"], *ends, np.nan, np.nan, *ends)


def test_all_four_sets_are_there():
    assert set(SETS) < set(REFERENCE)
    assert all(REFERENCE[name]["interval_type"] == "shortest" for name in SETS)


def test_tau(case):
    block, fit = case
    ours, theirs = fit.tau_summary, reference(block, "tau")
    for name in ("median", "mean", "sd"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=TAU_MOMENTS)
    for name in ("mode", "ci_low", "ci_high"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=TAU_SEARCH)


@pytest.mark.parametrize("name", ["mu", "theta"])
def test_mean_and_new_effect(case, name):
    block, fit = case
    ours, theirs = fit.mu if name == "mu" else fit.prediction, reference(block, name)
    for part in ("mean", "median"):
        assert getattr(ours, part) == pytest.approx(getattr(theirs, part), abs=BINNED_CENTRE * ours.sd)
    for part in ("mode", "sd", "ci_low", "ci_high"):
        assert getattr(ours, part) == pytest.approx(getattr(theirs, part), abs=BINNED * ours.sd)


def dense(block, points: int = 400_000):
    """Return tau, its probabilities, and mean and SD of mu given tau, by a midpoint rule."""
    y, v = np.array(block["yi"], dtype=float), np.array(block["vi"], dtype=float)
    tau = 4.0 * (np.arange(points) + 0.5) / points
    precision, weighted = np.full(points, 1 / 16), np.zeros(points)
    for y_i, v_i in zip(y, v, strict=True):
        precision += 1 / (v_i + tau**2)
        weighted += y_i / (v_i + tau**2)
    mean = weighted / precision
    log_density = -0.5 * np.log(precision) - mean**2 / 32 - 0.5 * (tau / 0.5) ** 2
    for y_i, v_i in zip(y, v, strict=True):
        log_density -= 0.5 * (np.log(v_i + tau**2) + (y_i - mean) ** 2 / (v_i + tau**2))
    weight = np.exp(log_density - log_density.max())
    return tau, weight / weight.sum(), mean, precision**-0.5


def test_brute_force(case):
    """Limits have the probability they claim, both kinds, for mu, tau and a new effect."""
    block, fit = case
    tau, weight, mean, sd = dense(block)
    spread = {"mu": sd, "theta": np.hypot(sd, tau)}
    for name, summary in (("mu", fit.mu), ("theta", fit.prediction)):
        for low, high in (
            (summary.shortest_low, summary.shortest_high),
            (summary.equal_tailed_low, summary.equal_tailed_high),
        ):
            inside = weight @ (ndtr((high - mean) / spread[name]) - ndtr((low - mean) / spread[name]))
            assert inside == pytest.approx(0.95, abs=BRUTE)
        assert weight @ ndtr((summary.median - mean) / spread[name]) == pytest.approx(0.5, abs=BRUTE)
        assert summary.mean == pytest.approx(weight @ mean, abs=BRUTE)
        assert summary.sd == pytest.approx(
            np.sqrt(weight @ (spread[name] ** 2 + (mean - weight @ mean) ** 2)), abs=BRUTE
        )
    edges = np.append(0.0, np.cumsum(weight))
    below = np.interp([fit.tau_summary.median, fit.tau_summary.equal_tailed_high], np.append(0.0, tau + tau[0]), edges)
    assert below == pytest.approx([0.5, 0.975], abs=BRUTE)


def test_brute_force_sides_with_us(case):
    """bayesmeta's own shortest interval of a new effect misses 95% by more than ours does."""
    block, fit = case
    tau, weight, mean, sd = dense(block, points=100_000)
    spread = np.hypot(sd, tau)

    def error(summary: PosteriorSummary) -> float:
        inside = weight @ (ndtr((summary.ci_high - mean) / spread) - ndtr((summary.ci_low - mean) / spread))
        return abs(inside - 0.95)

    assert error(fit.prediction) < 1e-7 < error(reference(block, "theta"))
