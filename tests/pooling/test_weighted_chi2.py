"""Tail probabilities of positive combinations of chi-square variables."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.stats import chi2

from ipt_evidence.pooling.weighted_chi2 import tail_probability

EXACT = 1e-11  # both methods are built for 1e-12


@pytest.mark.parametrize("n", [1, 2, 3, 5, 12, 13, 30, 120, 1000])
@pytest.mark.parametrize("q", [1e-3, 0.025, 0.5, 0.975, 0.9999])
def test_equal_coefficients_are_a_chi_square(n: int, q: float) -> None:
    x = float(chi2.ppf(q, n))
    assert tail_probability(np.full(n, 1e-6), 1e-6 * x) == pytest.approx(1 - q, abs=EXACT)


@pytest.mark.parametrize("n", [2, 12, 13, 40])
@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("factor", [0.3, 1.0, 2.0])
def test_agrees_with_high_precision_inversion(n: int, spread: float, factor: float) -> None:
    c = np.geomspace(10.0**-spread, 1.0, n)
    x = factor * float(c.sum())
    with mpmath.workdps(30):
        transform = lambda p: mpmath.fprod((1 + 2 * mpmath.mpf(a) * p) ** -0.5 for a in c) / p  # noqa: E731
        below = mpmath.invertlaplace(transform, mpmath.mpf(x), method="talbot", degree=60)
    assert tail_probability(c, x) == pytest.approx(1 - float(below), abs=EXACT)


def test_threshold_at_or_below_zero_is_always_exceeded() -> None:
    assert tail_probability(np.ones(3), 0.0) == 1.0


def test_falls_with_the_threshold_and_rises_with_the_coefficients() -> None:
    c = np.array([0.2, 1.0, 3.0])
    values = [tail_probability(c, x) for x in (0.1, 1.0, 5.0, 50.0)]
    assert values == sorted(values, reverse=True)
    assert tail_probability(1.1 * c, 5.0) > tail_probability(c, 5.0)
