"""Cluster-robust errors against the formulas written with k x k matrices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import sqrtm

from ipt_evidence.errors import NotEstimableError
from ipt_evidence.pooling.cluster_robust import batches, cluster_robust
from ipt_evidence.pooling.regression import meta_regression

ROUNDING = 1e-9


def example(sizes, p=3, seed=0):
    rng = np.random.default_rng(seed)
    cluster = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    k = cluster.size
    x = np.column_stack([np.ones(k), rng.normal(size=(k, p - 1))])
    phi = rng.uniform(0.1, 2, k)
    y = rng.normal(size=k)
    w = np.diag(1 / phi)
    m = np.linalg.inv(x.T @ w @ x)
    return x, y - x @ m @ x.T @ w @ y, phi, cluster, m, w


def brute_force(x, e, phi, cluster, m, w, method):
    """Eqs. 2, 9 and 11 of Pustejovsky & Tipton 2018."""
    k, p = x.shape
    n = cluster.max() + 1
    hat = x @ m @ x.T @ w
    rest = np.eye(k) - hat
    full = np.diag(phi)
    meat, pieces = np.zeros((p, p)), []
    for j in range(n):
        rows = np.flatnonzero(cluster == j)
        d = np.diag(np.sqrt(phi[rows]))
        a = np.eye(rows.size) * (np.sqrt(n / (n - p)) if method == "CR1" else 1)
        if method == "CR2":
            b = d @ (rest[rows] @ full @ rest[rows].T) @ d
            a = d @ np.linalg.inv(np.real(sqrtm(b))) @ d
        g = a @ w[np.ix_(rows, rows)] @ x[rows] @ m
        meat += np.outer(g.T @ e[rows], g.T @ e[rows])
        pieces.append(rest[rows].T @ g)
    return meat, pieces, full


@pytest.mark.parametrize("sizes", [[1] * 9, [3, 1, 4, 2, 2, 5], [2] * 8])
@pytest.mark.parametrize("method", ["CR0", "CR1", "CR2"])
def test_covariance_and_degrees_of_freedom(sizes, method):
    x, e, phi, cluster, m, w = example(sizes)
    robust = cluster_robust(batches(x, e, cluster, variance=phi), kind=method)
    vcov, pieces, full = brute_force(x, e, phi, cluster, m, w, method)
    np.testing.assert_allclose(robust.vcov, vcov, rtol=ROUNDING)
    contrasts = np.array([[1.0, 0, 0], [0, 1, 0], [1, -2, 0.5]])
    if method != "CR2":
        assert robust.contrast_df(contrasts).tolist() == [len(sizes) - 3.0] * 3
        return
    for c, df in zip(contrasts, robust.contrast_df(contrasts), strict=True):
        p = np.stack([piece @ c for piece in pieces])
        g = p @ full @ p.T
        assert df == pytest.approx(np.trace(g) ** 2 / (g**2).sum(), rel=ROUNDING)


def test_expected_covariance_under_the_model_is_exact():
    x, e, phi, cluster, m, w = example([3, 2, 4, 2, 3])
    _, pieces, full = brute_force(x, e, phi, cluster, m, w, "CR2")
    np.testing.assert_allclose(sum(p.T @ full @ p for p in pieces), m, rtol=ROUNDING, atol=1e-12)


def test_hotelling_test_by_summing_over_pairs_of_clusters():
    x, e, phi, cluster, m, w = example([3, 2, 4, 2, 3, 2, 2])
    robust = cluster_robust(batches(x, e, cluster, variance=phi))
    contrasts = np.eye(3)[1:]
    beta = np.array([0.1, 0.4, -0.3])
    _, pieces, full = brute_force(x, e, phi, cluster, m, w, "CR2")
    omega = contrasts @ m @ contrasts.T
    turn = np.linalg.inv(np.real(sqrtm(omega))) @ contrasts
    p = [piece @ turn.T for piece in pieces]
    total = 0.0
    for a in p:
        for b in p:
            h = a.T @ full @ b
            total += np.outer(np.diag(h), np.diag(h)).sum() + (h * h.T).sum()
    q = 2
    eta = q * (q + 1) / total
    value = contrasts @ beta
    quadratic = value @ np.linalg.inv(contrasts @ robust.vcov @ contrasts.T) @ value
    test = robust.joint_test(beta, contrasts)
    assert test.df2 == pytest.approx(eta - q + 1, rel=ROUNDING)
    assert test.statistic == pytest.approx((eta - q + 1) / (eta * q) * quadratic, rel=ROUNDING)


def test_one_coefficient_hotelling_is_the_t_test():
    x, e, phi, cluster, *_ = example([3, 2, 4, 2, 3])
    robust = cluster_robust(batches(x, e, cluster, variance=phi))
    beta, c = np.array([0.1, 0.4, -0.3]), np.array([[0.0, 1, 0]])
    test = robust.joint_test(beta, c)
    assert test.df2 == pytest.approx(robust.contrast_df(c)[0], rel=ROUNDING)
    assert test.statistic == pytest.approx(0.16 / robust.vcov[1, 1], rel=ROUNDING)


def test_names_of_clusters_do_not_matter():
    x, e, phi, cluster, *_ = example([3, 2, 4, 2, 3])
    other = np.array([4, 2, 0, 1, 3])[cluster]
    np.testing.assert_allclose(
        cluster_robust(batches(x, e, cluster, variance=phi)).vcov,
        cluster_robust(batches(x, e, other, variance=phi)).vcov,
        rtol=ROUNDING,
    )


@pytest.mark.parametrize("method", ["CR2", "CR1", "CR0"])
def test_a_coefficient_that_one_cluster_determines_has_no_error(method):
    rng = np.random.default_rng(3)
    only = np.repeat([1.0, 0, 0, 0, 0, 0], [2, 2, 2, 2, 3, 1])
    table = pd.DataFrame({"effect": rng.normal(size=12), "variance": 0.1, "only": only, "x": rng.normal(size=12)})
    table["cl"] = np.repeat(list("abcdef"), [2, 2, 2, 2, 3, 1])
    fit = meta_regression(table, "~ only + x", cluster="cl", cluster_method=method)
    row = fit.tidy().set_index("term").loc["only"]
    assert row[["std_error", "p_value", "ci_low", "df"]].isna().all()
    assert fit.tidy()["std_error"].notna().sum() == 2
    assert np.isnan(fit.omnibus.p_value)
    assert any("single cluster determines it or its reference: only" in note for note in fit.notes)
    assert fit.covariance().loc["only"].isna().all()
    assert fit.predict({"only": [0.0], "x": [0.0]})["std_error"].notna().all()


def test_more_coefficients_than_clusters_can_test():
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"effect": rng.normal(size=20), "variance": 0.1, "cl": np.repeat(range(4), 5)})
    names = ["a", "b", "c", "d", "e"]
    table[names] = rng.normal(size=(20, 5))
    fit = meta_regression(table, "~ a + b + c + d + e", cluster="cl")
    assert np.isnan(fit.omnibus.statistic)
    assert any("too few clusters" in note for note in fit.notes)


@pytest.mark.parametrize(("method", "least"), [("CR2", 2), ("CR1", 4), ("CR0", 4)])
def test_too_few_clusters(method, least):
    x, e, phi, cluster, *_ = example([3, 2, 4])
    with pytest.raises(NotEstimableError, match=f"at least {least} clusters"):
        cluster_robust(batches(x, e, np.minimum(cluster, least - 2), variance=phi), kind=method)
