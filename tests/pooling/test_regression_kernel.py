"""The residual tau2: global optimum, both roads to it, awkward variances, cost."""

from __future__ import annotations

from itertools import pairwise
from time import perf_counter
from typing import get_args

import numpy as np
import pytest

from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling import certain_maxima
from ipt_evidence.pooling import regression_kernel as kernel
from ipt_evidence.pooling.design import orthonormal_basis
from ipt_evidence.pooling.kernel import one_zero_at_most
from ipt_evidence.pooling.regression_moments import moment_excess, moment_sums
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


def score_parts(m, restricted):
    """y'PPy, trace, y'PPPy, trace of the square: all that the search for maxima asks of a regression."""
    return np.stack([m.q2, m.tr_p if restricted else m.s1, m.q3 - m.l2**2 / m.s1, m.tr_pp if restricted else m.s2])


@pytest.mark.parametrize("p", [1, 2, 4])
def test_projection_against_dense_matrices(p):
    y, v, x, basis = many(3, 9, p, 1)
    t = np.array([0.0, 0.1, 3.0])
    s = kernel.project(y, v, basis, t)
    sums = {r: kernel.score_sums(y, v, basis, t, restricted=r) for r in (True, False)}
    for b in range(3):
        m, full, restricted = dense(y[b], v[b], x, t[b])
        w = np.diag(1 / (v[b] + t[b]))
        assert s.qe[b] == pytest.approx(y[b] @ m @ y[b], rel=ROUNDING)
        assert (s.w[b] * s.free[b]).sum() == pytest.approx(np.trace(m), rel=ROUNDING)
        square, cubic = y[b] @ m @ m @ y[b], y[b] @ m @ m @ m @ y[b]
        for r, traces in ((True, (np.trace(m), np.trace(m @ m))), (False, (np.trace(w), np.trace(w @ w)))):
            np.testing.assert_allclose(score_parts(sums[r], r)[:, b], [square, traces[0], cubic, traces[1]], rtol=1e-9)
        one = slice(b, b + 1)
        assert kernel.log_likelihood(y[one], v[one], basis, t[one], restricted=False)[0] == pytest.approx(full)
        assert kernel.log_likelihood(y[one], v[one], basis, t[one], restricted=True)[0] == pytest.approx(restricted)


@pytest.mark.parametrize("p", [1, 2, 3, 5])
@pytest.mark.parametrize("restricted", [True, False])
def test_normal_equations_agree(p, restricted):
    y, v, _, basis = many(40, 12, p, 2)
    t = np.linspace(0, 1, 40)
    slow, fast = (f(y, v, basis, t, restricted=restricted) for f in (kernel.score_sums, moment_sums))
    np.testing.assert_allclose(score_parts(fast, restricted), score_parts(slow, restricted), rtol=1e-9)
    np.testing.assert_allclose(fast.q, slow.q, rtol=1e-9)
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


def discordant(seed):
    """Draw levels of precision, or precise trials that agree and rough ones that do not, and 1 to 3 moderators."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(6, 15))
    x = np.column_stack([np.ones(k), np.arange(k) % 2, rng.normal(size=(k, 2))])[:, : int(rng.integers(2, 5))]
    if seed % 2:
        v = 10.0 ** rng.choice([-4.0, -3.0, -2.0, -1.0, 0.0], k)
        return rng.normal(size=k) * np.sqrt(v) * rng.uniform(1, 4), v, orthonormal_basis(x)
    rough = np.arange(k) >= k // 2
    v = 10.0 ** np.where(rough, rng.uniform(-1, 0.5, k), rng.uniform(-4, -2.5, k))
    return rng.normal(size=k) * np.sqrt(v) * np.where(rough, rng.uniform(1, 4), 1.0), v, orthonormal_basis(x)


@pytest.mark.parametrize("restricted", [True, False])
def test_where_one_zero_at_most_is_claimed_there_is_no_second(restricted):
    claimed, refused = 0, {"falls, rises": 0, "rises, falls": 0}
    t = np.geomspace(1e-7, 10, 400)
    for seed in range(200):
        y, v, basis = discordant(seed)
        sums = kernel.score_sums(*(np.tile(x, (t.size, 1)) for x in (y, v)), basis, t, restricted=restricted)
        square, trace = score_parts(sums, restricted)[:2]
        rising = square > trace

        def at(i, sums=sums):
            return type(sums)(*(x[i] for x in sums))

        for i, j in pairwise(np.flatnonzero(rising[1:] != rising[:-1]).tolist()):
            low = np.maximum(i - np.array([0, 3, 15, 60]), 0)
            high = np.minimum(j + 1 + np.array([0, 3, 15, 60]), t.size - 1)
            assert not one_zero_at_most(at(low), at(high), restricted).any(), (seed, i, j)
            refused["falls, rises" if rising[i] else "rises, falls"] += 1
        starts = np.arange(0, t.size - 8, 8)
        claimed += int(one_zero_at_most(at(starts), at(starts + 8), restricted).sum())
    assert min(refused.values()) >= 10, "some sets must have two zeros close by, or this test shows little"
    assert claimed >= 7_000, "and most short intervals must be claimed, or the proof is of no use"


def far_apart():
    """Return a precise study of leverage one, two precise ones far apart, and rough ones: the bound is close here."""
    basis = orthonormal_basis(np.column_stack([np.ones(5), [1, 0, 0, 0, 0]]))
    return np.array([0.0, -100, 100, 0, 0]), np.array([1e-4, 1e-4, 1e-4, 1, 1]), basis


@pytest.mark.parametrize("restricted", [True, False])
def test_the_score_is_negative_above_the_last_value_looked_at(restricted):
    near = 0
    for seed in range(300):
        y, v, basis = discordant(seed) if seed else far_apart()
        if seed % 3 == 0 and seed:
            v = np.full_like(v, 0.1) if seed % 9 else v**0.1
        top = np.maximum(kernel.last_positive_residual(y[None], v[None], basis)[0], 0.0)
        t = top + max(top, v.min()) * np.array([1e-9, 0.01, 1.0, 100.0, 1e6])
        sums = kernel.score_sums(*(np.tile(x, (5, 1)) for x in (y, v)), basis, t, restricted=restricted)
        square, trace = score_parts(sums, restricted)[:2]
        assert (square < trace).all(), seed
        near += square[0] > 0.5 * trace[0]
    assert near >= 20, "a bound far above the last root would show little"


def two_zeros(low, high, restricted):
    """Studies of which the score is zero at `low` and at `high` and nowhere else, negative outside.

    Five studies of variance 1 that agree and six of variance u that do not, each group with a mean of its own: the
    score is ``c / (u + t)^2 - n / (u + t) - m / (1 + t)``, with m and n contrasts (for ML studies) and c the sum of
    squares of the six. Times both denominators that is a quadratic in t, whose coefficients give u and c.
    """
    m, n = (4, 5) if restricted else (5, 6)
    u = 1 + np.sqrt((1 + low) * (1 + high) * (1 + n / m))
    c = n * (u + 1) + 2 * m * u + (n + m) * (low + high)
    group = np.repeat([0.0, 1.0], [5, 6])
    y = np.append(np.zeros(5), np.sqrt(c / 6) * np.array([1, -1, 1, -1, 1, -1]))
    return y, np.where(group == 0, 1.0, u), orthonormal_basis(np.column_stack([np.ones(11), group]))


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("batch", [1, 9])
def test_a_maximum_between_the_first_values_is_found(method, batch, monkeypatch):
    """The score is negative at zero and from a tenth of the smallest variance on, where a scan would look."""
    y, v, basis = two_zeros(0.01, 0.08, method == "REML")
    many = np.tile(y, (batch, 1)), np.tile(v, (batch, 1)), basis
    np.testing.assert_allclose(kernel.estimate_residual_tau2(*many, method), 0.08, rtol=ROUNDING)
    lower = two_zeros(0.05, 0.08, method == "REML")
    lower = np.tile(lower[0], (batch, 1)), np.tile(lower[1], (batch, 1)), basis
    assert (kernel.estimate_residual_tau2(*lower, method) == 0).all(), "zero is the higher of its two maxima"
    monkeypatch.setattr(certain_maxima, "MAX_HALVINGS", 0)
    assert (kernel.estimate_residual_tau2(*many, method) == 0).all(), "which is why these studies are the example"


def test_equal_variances_need_no_search(monkeypatch):
    """The score is zero at the last value then: rounding must not send the search beyond it."""
    calls = 0

    def counted(*args, **options):
        nonlocal calls
        calls += 1
        return score_sums(*args, **options)

    score_sums = kernel.score_sums
    monkeypatch.setattr(kernel, "score_sums", counted)
    y, _, _, basis = many(50, 10, 2, 9)
    residual = y - y @ basis.T @ basis
    for row, squares in zip(y, (residual**2).sum(axis=1), strict=True):
        found = kernel.estimate_residual_tau2(row[None], np.full((1, 10), 0.02), basis, "REML")
        np.testing.assert_allclose(found, squares / 8 - 0.02, rtol=ROUNDING)
    assert calls == 2 * 50, "one look at the first values and one step"


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


def test_sums_of_high_leverage_keep_their_digits():
    """Two weights 10^8 and 10^9 times the others; exact fractions beside it."""
    from fractions import Fraction

    v = [Fraction(1, 10**8), Fraction(1), Fraction(2), Fraction(1, 10**9), Fraction(1, 2)]
    x = [[Fraction(1), Fraction(c)] for c in (0, 3, 1, 2, 5)]
    y = [Fraction(c, 8) for c in (1, 3, -2, 5, 7)]
    w = [1 / c for c in v]
    a, b, d = (sum(wi * xi[0] ** (2 - j) * xi[1] ** j for wi, xi in zip(w, x, strict=True)) for j in range(3))
    hat = [[w[i] * w[j] * (d - b * (x[i][1] + x[j][1]) + a * x[i][1] * x[j][1]) for j in range(5)] for i in range(5)]
    p = [[(w[i] if i == j else 0) - hat[i][j] / (a * d - b * b) for j in range(5)] for i in range(5)]
    py = [sum(p[i][j] * y[j] for j in range(5)) for i in range(5)]
    square, trace = sum(c * c for c in py), sum(p[i][i] for i in range(5))
    cubic = sum(py[i] * p[i][j] * py[j] for i in range(5) for j in range(5))
    fall = sum(p[i][j] ** 2 for i in range(5) for j in range(5))
    basis = orthonormal_basis(np.array(x, dtype=float))
    sums = kernel.score_sums(np.array([y], float), np.array([v], float), basis, np.zeros(1), restricted=True)
    expected = [float(c) for c in (square, trace, cubic, fall)]
    np.testing.assert_allclose(score_parts(sums, True)[:, 0], expected, rtol=1e-8)


def test_cost_is_linear_in_the_number_of_trials():
    y, v, _, basis = many(1, 20_000, 3, 8)
    start = perf_counter()
    t = kernel.estimate_residual_tau2(y, v, basis, "REML")
    assert np.isfinite(t[0])
    assert perf_counter() - start < 5
