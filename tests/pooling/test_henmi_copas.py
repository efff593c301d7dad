"""The Henmi-Copas interval."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtri

from ipt_evidence.pooling.henmi_copas import _q_given_r, henmi_copas
from ipt_evidence.pooling.moments import moments

PARITY = Path(__file__).parents[1] / "parity"
CLOSED_FORM = 1e-10
ROOT_OF_R = 2e-4  # R's uniroot, relative to the width


@pytest.mark.parametrize("name", ["bcg_logrr", "normand1999_smd", "hackshaw1998", "raudenbush1985"])
def test_agrees_with_metafor(name: str) -> None:
    reference = json.loads((PARITY / f"{name}.json").read_text())
    expected = reference["henmi_copas"]
    fit = henmi_copas(np.array(reference["yi"]), np.array(reference["vi"]), level=0.95)
    assert fit.estimate == pytest.approx(expected["beta"], rel=CLOSED_FORM)
    assert fit.std_error == pytest.approx(expected["se"], rel=CLOSED_FORM)
    width = expected["ci_ub"] - expected["ci_lb"]
    assert fit.ci_low == pytest.approx(expected["ci_lb"], abs=ROOT_OF_R * width)
    assert fit.ci_high == pytest.approx(expected["ci_ub"], abs=ROOT_OF_R * width)


def test_moments_of_q_given_r_are_those_of_the_dense_matrices() -> None:
    w, tau2 = np.array([8.0, 3.0, 20.0, 5.0]), 0.2
    sigma, w1 = 1 / w + tau2, w.sum()
    spread = 1 + tau2 * (w @ w) / w1
    form = np.diag(w) - np.outer(w, w) / w1
    a = w * sigma / np.sqrt(w1)
    inner = np.diag(sigma) - np.outer(a, a) / spread
    got, r = _q_given_r(w, moments(np.zeros(4), 1 / w, 0.0, third=True), tau2), 1.7
    m = a * r / spread
    assert got.mean_0 + got.mean_2 * r**2 == pytest.approx(m @ form @ m + np.trace(form @ inner), rel=CLOSED_FORM)
    variance = 2 * np.trace(form @ inner @ form @ inner) + 4 * m @ form @ inner @ form @ m
    assert got.variance_0 + got.variance_2 * r**2 == pytest.approx(variance, rel=CLOSED_FORM)


def exact_moments(v: list[Fraction], tau2: Fraction) -> list[Fraction]:
    """The moments of Q given R from the definition, with ``a sqrt(W)`` in place of ``a``, without rounding."""
    w = [1 / x for x in v]
    sigma, total = [x + tau2 for x in v], sum(w)
    spread = 1 + tau2 * sum(x * x for x in w) / total
    n = range(len(v))
    form = [[(w[i] if i == j else 0) - w[i] * w[j] / total for j in n] for i in n]
    a = [x * s for x, s in zip(w, sigma, strict=True)]
    given = [[(sigma[i] if i == j else 0) - a[i] * a[j] / total / spread for j in n] for i in n]
    product = [[sum(form[i][m] * given[m][j] for m in n) for j in n] for i in n]
    image = [sum(form[i][j] * a[j] for j in n) for i in n]
    along = sum(a[i] * image[i] for i in n) / total / spread**2
    across = sum(image[i] * given[i][j] * image[j] for i in n for j in n) / total / spread**2
    squares = sum(product[i][j] * product[j][i] for i in n for j in n)
    return [sum((product[i][i] for i in n), Fraction(0)), along, 2 * squares, 4 * across]


@pytest.mark.parametrize("decades", [1, 6, 12, 30])
def test_moments_keep_their_digits_where_one_weight_dwarfs_the_others(decades: int) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        v = 10.0 ** rng.uniform(-decades, decades, int(rng.integers(2, 6)))
        y = rng.normal(size=v.size) * np.sqrt(v.mean())
        common = moments(y, v, 0.0, third=True)
        tau2 = max(0.0, (float(common.q) - v.size + 1) / float(common.tr_p))
        ours = _q_given_r(1 / v, common, tau2)
        exact = [float(x) for x in exact_moments([Fraction(x) for x in v.tolist()], Fraction(tau2))]
        for got, expected, size in zip(ours, exact, [exact[0], exact[0], exact[2], exact[2]], strict=True):
            assert got == pytest.approx(expected, abs=CLOSED_FORM * size), seed


@pytest.mark.parametrize("spread", [1e12, 1e60])
def test_one_study_with_all_the_weight_decides(spread: float) -> None:
    fit = henmi_copas(np.array([0.4, 0.1, 0.9]), np.array([0.01, spread, 2 * spread]), level=0.95)
    assert fit.estimate == pytest.approx(0.4)
    assert fit.std_error == pytest.approx(0.1)


def test_scale_and_sign() -> None:
    y, v = np.array([0.1, 0.9, 0.4, 1.5]), np.array([0.02, 0.1, 0.05, 0.2])
    plain, other = henmi_copas(y, v, level=0.9), henmi_copas(-1e6 * y, 1e12 * v, level=0.9)
    assert other.estimate == pytest.approx(-1e6 * plain.estimate, rel=1e-9)
    assert other.ci_low == pytest.approx(-1e6 * plain.ci_high, rel=1e-9)


def test_without_heterogeneity_the_critical_value_is_below_the_normal_one() -> None:
    fit = henmi_copas(np.full(6, 0.3), np.linspace(0.1, 0.4, 6), level=0.95)
    assert 0 < fit.critical <= float(ndtri(0.975)) + 1e-9
