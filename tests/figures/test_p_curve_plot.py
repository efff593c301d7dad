import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import ipt_evidence as ipt
from ipt_evidence.diagnostics.p_curve_shares import expected_shares, observed_shares
from ipt_evidence.figures.output import figure_alt_text
from ipt_evidence.figures.p_curve_plot import p_curve_plot

from .plotting_checks import line, problems, words_of

EXACT = 1e-9
"""Roots and normal tails, both to more than ten digits."""


def curve_of(p):
    z = norm.isf(np.asarray(p) / 2)
    return ipt.p_curve(pd.DataFrame({"effect": 0.1 * z, "variance": 0.01}))


pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.SmallKWarning")
P = [0.001, 0.0099, 0.0101, 0.022, 0.031, 0.049, 0.2, 0.9, 0.6, 0.3]


def test_shares_are_counts_in_the_bands():
    np.testing.assert_allclose(observed_shares(curve_of(P)), np.array([2, 1, 1, 1, 1]) / 6)
    drawn = line(p_curve_plot(curve_of(P)).axes[0], "observed")
    np.testing.assert_allclose(drawn[:, 0], [0.01, 0.02, 0.03, 0.04, 0.05])
    np.testing.assert_allclose(drawn[:, 1], 100 * np.array([2, 1, 1, 1, 1]) / 6)


@pytest.mark.parametrize("power", [1 / 3, 0.8])
def test_expected_shares_are_those_of_a_test_with_that_power(power):
    shares = expected_shares(power)
    edges = norm.isf(np.array([0.01, 0.02, 0.03, 0.04, 0.05]) / 2)
    grid = np.linspace(0, 6, 600001)
    tails = norm.sf(edges[-1] - grid) + norm.cdf(-edges[-1] - grid)
    shift = np.interp(power, tails, grid)
    below = norm.sf(edges - shift) + norm.cdf(-edges - shift)
    np.testing.assert_allclose(shares, np.diff(below, prepend=0) / below[-1], atol=1e-8)
    assert shares.sum() == pytest.approx(1, abs=EXACT)


def test_no_effect_is_flat():
    np.testing.assert_allclose(expected_shares(0.05 + 1e-12), 0.2, atol=1e-5)
    np.testing.assert_allclose(line(p_curve_plot(curve_of(P)).axes[0], "no effect")[:, 1], 20)


@pytest.mark.parametrize("p", [[0.01, 0.5], P, list(np.linspace(0.001, 0.06, 120))])
def test_no_text_overlaps(p):
    fig = p_curve_plot(curve_of(p), width_mm=60)
    assert problems(fig) == []
    assert "Observed" in words_of(fig)


def test_alt_text_says_the_shares():
    said = figure_alt_text(p_curve_plot(curve_of(P)))
    assert "6 significant results of 10 trials: 33% have p < 0.01 and 17% p above 0.04" in said
