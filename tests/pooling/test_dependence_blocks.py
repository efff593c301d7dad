"""Block algebra and cluster-robust formulas against brute force over full matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.pooling.blocks import block_model, derivatives, log_likelihood_grid, singular_trials, weigh
from ipt_evidence.pooling.cluster_robust import batches, cluster_robust
from ipt_evidence.pooling.components import fit_components, profile_interval

from . import dense

EXACT = 1e-9
"""The same formula by two routes: rounding only."""
DIFFERENCE = 1e-5
"""Central differences of the log-likelihood."""

seeds = st.integers(0, 10_000)
rhos = st.sampled_from([0.0, 0.3, 0.8])
variances = st.sampled_from([0.0, 0.01, 0.2, 5.0])
law = settings(max_examples=40, derandomize=True, deadline=None)


def whole(seed, rho, p=1):
    y, x, trial, v = dense.draw(seed, p=p)
    return y, x, trial, v, block_model(y, x, trial, v, rho=rho)


@law
@given(seed=seeds, rho=rhos, between=variances, within=variances, p=st.sampled_from([1, 2]), restricted=st.booleans())
def test_likelihood_is_that_of_the_multivariate_normal(seed, rho, between, within, p, restricted):
    y, x, trial, v, model = whole(seed, rho, p)
    expected = dense.log_likelihood(y, x, dense.marginal(trial, v, rho, between, within), restricted=restricted)
    assert weigh(model, between, within, restricted=restricted).log_likelihood == pytest.approx(expected, rel=EXACT)
    grid = log_likelihood_grid(model, np.array([between]), np.array([within]), restricted=restricted)
    assert grid[0, 0] == pytest.approx(expected, rel=EXACT)


@law
@given(seed=seeds, rho=rhos, between=variances, within=variances)
def test_generalised_least_squares(seed, rho, between, within):
    y, x, trial, v, model = whole(seed, rho, 2)
    w = np.linalg.inv(dense.marginal(trial, v, rho, between, within))
    m = np.linalg.inv(x.T @ w @ x)
    k = weigh(model, between, within)
    np.testing.assert_allclose(model.basis @ k.beta, m @ x.T @ w @ y, rtol=EXACT)
    np.testing.assert_allclose(model.basis @ k.m @ model.basis.T, m, rtol=EXACT)
    np.testing.assert_allclose(model.restore(k.solved_r), w @ (y - x @ (m @ x.T @ w @ y)), rtol=1e-7, atol=1e-8)


@law
@given(seed=seeds, rho=rhos, restricted=st.booleans(), p=st.sampled_from([1, 2]))
def test_derivatives(seed, rho, restricted, p):
    y, x, trial, v, model = whole(seed, rho, p)
    theta = np.array([0.11, 0.07])
    now = derivatives(model, theta, restricted=restricted)
    h = 1e-5
    for a in (0, 1):
        step = np.eye(2)[a] * h
        up, down = (derivatives(model, theta + s, restricted=restricted) for s in (step, -step))
        assert now.gradient[a] == pytest.approx(
            (up.log_likelihood - down.log_likelihood) / (2 * h), abs=1e-4, rel=DIFFERENCE
        )
        np.testing.assert_allclose(-now.observed[a], (up.gradient - down.gradient) / (2 * h), rtol=1e-4, atol=1e-3)
    omega = dense.marginal(trial, v, rho, *theta)
    w = np.linalg.inv(omega)
    left = w - w @ x @ np.linalg.inv(x.T @ w @ x) @ x.T @ w if restricted else w
    parts = (trial[:, None] == trial).astype(float), np.eye(y.size)
    expected = [[0.5 * np.trace(left @ a @ left @ b) for b in parts] for a in parts]
    np.testing.assert_allclose(now.expected, expected, rtol=EXACT)


@law
@given(seed=seeds, rho=rhos, restricted=st.booleans())
def test_the_maximum_is_the_highest_point_of_a_fine_grid(seed, rho, restricted):
    *_, model = whole(seed, rho)
    optimum, free = fit_components(model, restricted=restricted)
    axis = np.concatenate([[0.0], np.geomspace(1e-6, 20, 60)])
    height = log_likelihood_grid(model, axis, axis, restricted=restricted)
    assert free.all()
    assert optimum.log_likelihood >= height.max() - 1e-10
    steepness = optimum.gradient / np.sqrt(np.diag(optimum.expected))
    assert (steepness < 1e-6).all()
    assert (np.abs(steepness[optimum.theta > 0]) < 1e-6).all()


def test_two_maxima_are_compared():
    """Sampling variances over five orders of magnitude give likelihoods with several local maxima."""
    found = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        trial = np.repeat(np.arange(5), 2)
        v = 10.0 ** rng.uniform(-5, 0, 10)
        y = rng.normal(size=5)[trial] * rng.choice([0.1, 1]) + rng.normal(size=10) * np.sqrt(v)
        model = block_model(y, np.ones((10, 1)), trial, v)
        axis = np.concatenate([[0.0], np.geomspace(1e-7, 20, 60)])
        height = log_likelihood_grid(model, axis, axis, restricted=True)
        padded = np.pad(height, 1, constant_values=-np.inf)
        around = [np.roll(padded, (a, b), (0, 1)) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]
        peaks = int((padded > np.max(around, axis=0))[1:-1, 1:-1].sum())
        if peaks > 1:
            found += 1
            assert fit_components(model, restricted=True)[0].log_likelihood >= height.max() - 1e-10
    assert found >= 3


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR2"])
@pytest.mark.parametrize("seed", range(6))
def test_cluster_robust_is_the_dense_formula(kind, seed):
    y, x, trial, v = dense.draw(seed, n_trials=8, p=2)
    omega = dense.marginal(trial, v, 0.5, 0.1, 0.05)
    w = np.linalg.inv(omega)
    residual = y - x @ np.linalg.solve(x.T @ w @ x, x.T @ w @ y)
    ours = cluster_robust(batches(x, residual, trial, blocks=dense.diagonal_blocks(trial, omega)), kind=kind)
    vcov, df = dense.robust(y, x, trial, omega, kind)
    np.testing.assert_allclose(ours.vcov, vcov, rtol=1e-8)
    np.testing.assert_allclose(ours.df, df if kind == "CR2" else [8.0 - 2] * 2, rtol=1e-8)
    assert ours.n_clusters == 8


def test_cluster_robust_of_a_diagonal_covariance():
    y, x, trial, v = dense.draw(3, n_trials=8, p=2)
    residual = y - x @ np.linalg.solve(x.T @ (x / v[:, None]), x.T @ (y / v))
    ours = cluster_robust(batches(x, residual, trial, variance=v))
    vcov, df = dense.robust(y, x, trial, np.diag(v), "CR2")
    np.testing.assert_allclose(ours.vcov, vcov, rtol=1e-8)
    np.testing.assert_allclose(ours.df, df, rtol=1e-8)


def test_cr2_is_unbiased_under_the_working_model():
    """The expectation of the robust covariance is the model's: trace of the quadratic form against ``M``."""
    y, x, trial, v = dense.draw(5, n_trials=7, p=2)
    omega = dense.marginal(trial, v, 0.6, 0.2, 0.02)
    robust = cluster_robust(batches(x, y, trial, blocks=dense.diagonal_blocks(trial, omega)))
    expectation = (robust.own - np.einsum("jks,jkt->jst", robust.shared, robust.shared)).sum(axis=0)
    np.testing.assert_allclose(expectation, np.linalg.inv(x.T @ np.linalg.inv(omega) @ x), rtol=EXACT)


def test_the_joint_test_of_one_coefficient_is_its_t_test():
    y, x, trial, v = dense.draw(6, n_trials=9, p=3)
    w = 1 / v
    beta = np.linalg.solve(x.T @ (w[:, None] * x), x.T @ (w * y))
    robust = cluster_robust(batches(x, y - x @ beta, trial, variance=v))
    test = robust.joint_test(beta, np.eye(3)[[1]])
    assert test.statistic == pytest.approx((beta[1] / robust.std_error[1]) ** 2, rel=EXACT)
    assert (test.df1, test.df2) == pytest.approx((1.0, robust.df[1]), rel=EXACT)


def test_the_joint_test_does_not_depend_on_the_coding():
    y, x, trial, v = dense.draw(7, n_trials=12, p=3)
    recoded = x @ np.array([[1.0, 2.0, 0.5], [0.0, 3.0, -1.0], [0.0, 0.5, 2.0]])
    tests = []
    for design in (x, recoded):
        beta = np.linalg.solve(design.T @ (design / v[:, None]), design.T @ (y / v))
        robust = cluster_robust(batches(design, y - design @ beta, trial, variance=v))
        tests.append(robust.joint_test(beta, np.eye(3)[1:]))
    assert (tests[0].statistic, tests[0].df2) == pytest.approx((tests[1].statistic, tests[1].df2), rel=1e-8)


def test_cr2_with_variances_over_many_orders_of_magnitude():
    """Rows of no weight in every cluster change nothing; the squared variances alone would use up all digits."""
    y, x, trial, v = dense.draw(8, n_trials=7)
    residual = y - np.sum(y / v) / np.sum(1 / v)
    few = cluster_robust(batches(x, residual, trial, variance=v))
    extra = np.arange(7)
    more = cluster_robust(
        batches(
            np.vstack([x, np.ones((7, 1))]),
            np.append(residual, np.zeros(7)),
            np.append(trial, extra),
            variance=np.append(v, np.full(7, 1e13)),
        )
    )
    np.testing.assert_allclose([more.std_error, more.df], [few.std_error, few.df], rtol=1e-9)


def test_a_cluster_that_a_coefficient_absorbs_is_left_out_of_the_adjustment():
    y, x, trial, v = dense.draw(9, n_trials=6)
    x = np.column_stack([x, (trial == 2).astype(float)])
    w = 1 / v
    beta = np.linalg.solve(x.T @ (w[:, None] * x), x.T @ (w * y))
    robust = cluster_robust(batches(x, y - x @ beta, trial, variance=v))
    keep = trial != 2
    alone = cluster_robust(
        batches(x[keep, :1], y[keep] - beta[0], np.unique(trial[keep], return_inverse=True)[1], variance=v[keep])
    )
    assert (robust.std_error[0], robust.df[0]) == pytest.approx((alone.std_error[0], alone.df[0]), rel=EXACT)


def test_too_few_clusters():
    y, x, trial, v = dense.draw(1, p=2)
    with pytest.raises(NotEstimableError, match="at least 2 clusters"):
        cluster_robust(batches(x, y, np.zeros(y.size, dtype=int), variance=v))
    with pytest.raises(NotEstimableError, match="at least 3 clusters"):
        cluster_robust(batches(x, y, (trial > 2).astype(int), variance=v), kind="CR1")
    with pytest.raises(OptionError, match="CR2"):
        cluster_robust(batches(x, y, trial, variance=v), kind="CR3")


def test_a_singular_block_is_found():
    y, x, trial, v = dense.draw(2)
    blocks = dense.diagonal_blocks(trial, dense.sampling(trial, v, 0.5))
    blocks[0] = np.full((4, 4), 0.1)
    order = np.argsort(trial, kind="stable")
    assert list(singular_trials(block_model(y[order], x[order], trial[order], v[order], blocks=blocks))) == [0]
    assert singular_trials(block_model(y, x, trial, v, rho=0.9)).size == 0


def test_profile_interval_contains_the_estimate_and_widens_with_the_level():
    *_, model = whole(11, 0.4)
    optimum, free = fit_components(model, restricted=True)
    narrow, wide = (profile_interval(model, optimum, free, "between", level, restricted=True) for level in (0.5, 0.95))
    assert wide.ci_low <= narrow.ci_low <= optimum.theta[0] <= narrow.ci_high < wide.ci_high
