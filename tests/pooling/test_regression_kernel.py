"""The residual tau2: global optimum, both roads to it, awkward variances, cost."""

from __future__ import annotations

from time import perf_counter
from typing import get_args

import numpy as np
import pytest

from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling import regression_kernel as kernel
from ipt_evidence.pooling.design import orthonormal_basis
from ipt_evidence.pooling.regression_moments import moment_excess, moment_score
from ipt_evidence.pooling.tau2 import estimate_tau2

ROUNDING = 1e-9
METHODS = get_args(Tau2Method)


def many(n, k, p, seed, wide=False):
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(k), rng.normal(size=(k, p - 1))])
    v = 10 ** rng.uniform(-3, 1, (n, k)) if wide else rng.uniform(0.02, 0.4, (n, k))
    y = rng.normal(size=(n, k)) * np.sqrt(v + rng.choice([0, 0.05, 0.5], (n, 1)))
    return y, v, x, orthonormal_basis(x)


def dense(y, v, x, t):
    """P, residual Q and both log-likelihoods by k x k matrices."""
    w = np.diag(1 / (v + t))
    p = w - w @ x @ np.linalg.solve(x.T @ w @ x, x.T @ w)
    k = y.size
    full = -0.5 * (k * np.log(2 * np.pi) - np.log(np.diag(w)).sum() + y @ p @ y)
    extra = np.linalg.slogdet(x.T @ x)[1] - np.linalg.slogdet(x.T @ w @ x)[1] + x.shape[1] * np.log(2 * np.pi)
    return p, full, full + 0.5 * extra


@pytest.mark.parametrize("p", [1, 2, 4])
def test_projection_against_dense_matrices(p):
    y, v, x, basis = many(3, 9, p, 1)
    t = np.array([0.0, 0.1, 3.0])
    s = kernel.project(y, v, basis, t)
    scores = {r: kernel.score(y, v, basis, t, restricted=r) for r in (True, False)}
    for b in range(3):
        m, full, restricted = dense(y[b], v[b], x, t[b])
        w = np.diag(1 / (v[b] + t[b]))
        assert s.qe[b] == pytest.approx(y[b] @ m @ y[b], rel=ROUNDING)
        assert (s.w[b] * s.free[b]).sum() == pytest.approx(np.trace(m), rel=ROUNDING)
        assert kernel.trace_squared(s.q, s.w)[b] == pytest.approx(np.trace(m @ m), rel=ROUNDING)
        value = y[b] @ m @ m @ y[b]
        cubic = y[b] @ m @ m @ m @ y[b]
        np.testing.assert_allclose(
            [scores[True][0][b], scores[True][1][b], scores[False][0][b], scores[False][1][b]],
            [value - np.trace(m), np.trace(m @ m) - 2 * cubic, value - np.trace(w), np.trace(w @ w) - 2 * cubic],
            rtol=1e-7,
        )
        one = slice(b, b + 1)
        assert kernel.log_likelihood(y[one], v[one], basis, t[one], restricted=False)[0] == pytest.approx(full)
        assert kernel.log_likelihood(y[one], v[one], basis, t[one], restricted=True)[0] == pytest.approx(restricted)


@pytest.mark.parametrize("p", [1, 2, 3, 5])
@pytest.mark.parametrize("restricted", [True, False])
def test_normal_equations_agree(p, restricted):
    y, v, _, basis = many(40, 12, p, 2)
    t = np.linspace(0, 1, 40)
    slow, fast = (
        kernel.score(y, v, basis, t, restricted=restricted),
        moment_score(y, v, basis, t, restricted=restricted),
    )
    np.testing.assert_allclose(fast[0], slow[0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(fast[1], slow[1], rtol=1e-9, atol=1e-9)
    qe = kernel.project(y, v, basis, t).qe
    np.testing.assert_allclose(moment_excess(y, v, basis, t, np.ones(40))[0], 1 - 1 / qe, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_intercept_alone_is_the_estimator_without_moderators(method):
    y, v, _, _ = many(50, 8, 1, 3)
    basis = orthonormal_basis(np.ones((8, 1)))
    ours = kernel.estimate_residual_tau2(y, v, basis, method)
    np.testing.assert_allclose(ours, estimate_tau2(y, v, method), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize(("k", "p"), [(4, 2), (6, 3), (12, 2), (20, 4)])
@pytest.mark.parametrize("wide", [False, True])
def test_global_optimum_of_a_fine_grid(method, k, p, wide):
    y, v, _, basis = many(60, k, p, k * p, wide)
    restricted = method == "REML"
    found = kernel.estimate_residual_tau2(y, v, basis, method)
    height = kernel.log_likelihood(y, v, basis, found, restricted=restricted)
    grid = np.concatenate([[0.0], np.geomspace(1e-6, 1e3, 500)])
    for t in grid:
        other = kernel.log_likelihood(y, v, basis, np.full(60, t), restricted=restricted)
        assert (other <= height + 1e-9).all()


def test_two_maxima_of_the_restricted_likelihood():
    rng = np.random.default_rng(1)
    several = 0
    grid = np.concatenate([[0.0], np.geomspace(1e-6, 1e3, 600)])
    for _ in range(120):
        k = int(rng.integers(5, 9))
        basis = orthonormal_basis(np.column_stack([np.ones(k), np.arange(k) % 2.0]))
        v = 10 ** rng.uniform(-4, 1, (1, k))
        y = rng.normal(size=(1, k)) * np.sqrt(v) * rng.choice([0.2, 1, 5], (1, k))
        many_y, many_v = np.repeat(y, grid.size, 0), np.repeat(v, grid.size, 0)
        heights = kernel.log_likelihood(many_y, many_v, basis, grid, restricted=True)
        rises = np.diff(heights) > 0
        several += int((rises[:-1] & ~rises[1:]).sum() + (not rises[0])) > 1
        found = kernel.estimate_residual_tau2(y, v, basis, "REML")
        assert kernel.log_likelihood(y, v, basis, found, restricted=True)[0] >= heights.max() - 1e-9
    assert several > 5


@pytest.mark.parametrize("method", METHODS)
def test_batch_and_single_agree(method):
    y, v, _, basis = many(30, 10, 3, 5)
    together = kernel.estimate_residual_tau2(y, v, basis, method)
    alone = np.array([kernel.estimate_residual_tau2(y[b : b + 1], v[b : b + 1], basis, method)[0] for b in range(30)])
    np.testing.assert_allclose(together, alone, rtol=1e-9, atol=1e-13)


def test_quantile_profile_solves_its_equation():
    from scipy.stats import chi2

    y, v, _, basis = many(40, 10, 2, 6)
    low, high = kernel.residual_q_profile(y, v, basis, 0.9)
    for limit, target in ((low, chi2.ppf(0.95, 8)), (high, chi2.ppf(0.05, 8))):
        inside = limit > 0
        np.testing.assert_allclose(kernel.project(y, v, basis, limit).qe[inside], target, rtol=1e-9)
    assert (low <= high).all()


@pytest.mark.parametrize("method", METHODS)
def test_variances_of_very_different_size(method):
    v = np.array([[1e-12, 1e12, 0.1, 0.1, 0.2, 0.3]])
    y = np.array([[0.1, 5.0, 0.3, 0.9, 0.2, 0.6]])
    basis = orthonormal_basis(np.column_stack([np.ones(6), [0.0, 3, 1, 2, 5, 4]]))
    t = kernel.estimate_residual_tau2(y, v, basis, method)
    assert np.isfinite(t).all()
    assert (t >= 0).all()
    assert np.isfinite(kernel.project(y, v, basis, t).qe).all()


def test_leverage_near_one_keeps_its_digits():
    from fractions import Fraction

    v = [Fraction(1, 10**12), Fraction(1), Fraction(2), Fraction(1, 2)]
    w = [1 / x for x in v]
    free = [1 - x / sum(w) for x in w]
    trace = float(sum(a * b for a, b in zip(w, free, strict=True)))
    y = np.array([[0.1, 0.4, 0.2, 0.6]])
    s = kernel.project(y, np.array([[float(x) for x in v]]), orthonormal_basis(np.ones((4, 1))), np.zeros(1))
    assert (s.w * s.free).sum() == pytest.approx(trace, rel=1e-12)


def test_cost_is_linear_in_the_number_of_trials():
    y, v, _, basis = many(1, 20_000, 3, 8)
    start = perf_counter()
    t = kernel.estimate_residual_tau2(y, v, basis, "REML")
    assert np.isfinite(t[0])
    assert perf_counter() - start < 5
