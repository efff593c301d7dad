"""Brute-force formulas over full matrices, for small data: what the block algebra must agree with."""

from __future__ import annotations

import numpy as np
from scipy.linalg import sqrtm
from scipy.stats import multivariate_normal


def draw(seed: int, n_trials: int = 6, *, largest: int = 4, p: int = 1):
    """Return effects, design, trials (in mixed order) and variances."""
    rng = np.random.default_rng(seed)
    size = rng.integers(1, largest + 1, n_trials)
    size[0] = largest
    trial = rng.permutation(np.repeat(np.arange(n_trials), size))
    n = trial.size
    v = rng.lognormal(-3, 0.8, n)
    x = np.column_stack([np.ones(n), *(rng.normal(size=n) for _ in range(p - 1))])
    y = 0.4 + 0.3 * rng.normal(size=n_trials)[trial] + rng.normal(size=n) * np.sqrt(v + 0.05)
    return y, x, trial, v


def sampling(trial, v, rho):
    """Return the full sampling covariance."""
    s = np.sqrt(v)
    same = trial[:, None] == trial
    return np.where(np.eye(v.size, dtype=bool), np.diag(v), rho * same * s * s[:, None])


def marginal(trial, v, rho, between, within):
    """Return the full marginal covariance."""
    return sampling(trial, v, rho) + within * np.eye(v.size) + between * (trial[:, None] == trial)


def log_likelihood(y, x, omega, *, restricted):
    """Return the (restricted) log-likelihood with the coefficients profiled out."""
    w = np.linalg.inv(omega)
    information = x.T @ w @ x
    beta = np.linalg.solve(information, x.T @ w @ y)
    full = multivariate_normal(x @ beta, omega).logpdf(y)
    if not restricted:
        return full
    p = x.shape[1]
    constant = np.linalg.slogdet(x.T @ x)[1] - np.linalg.slogdet(information)[1] + p * np.log(2 * np.pi)
    return full + 0.5 * constant


def robust(y, x, trial, omega, kind):
    """Return coefficients, robust covariance and Satterthwaite degrees of freedom by full matrices."""
    n, p = x.shape
    w = np.linalg.inv(omega)
    m = np.linalg.inv(x.T @ w @ x)
    hat = np.eye(n) - x @ m @ x.T @ w
    e = y - x @ (m @ x.T @ w @ y)
    parts, columns = [], []
    for j in np.unique(trial):
        at = np.flatnonzero(trial == j)
        d = np.real(sqrtm(omega[np.ix_(at, at)]))
        b = d @ (hat @ omega @ hat.T)[np.ix_(at, at)] @ d
        a = d @ np.linalg.inv(np.real(sqrtm(b))) @ d if kind == "CR2" else np.eye(at.size)
        g = m @ x[at].T @ w[np.ix_(at, at)] @ a
        parts.append(g @ e[at])
        columns.append(g @ hat[at])
    vcov = np.array(parts).T @ np.array(parts)
    j = len(parts)
    vcov = vcov * (j / (j - p) if kind == "CR1" else 1.0)
    df = []
    for q in range(p):
        rows = np.array([c[q] for c in columns])
        gram = rows @ omega @ rows.T
        df.append(np.trace(gram) ** 2 / np.sum(gram**2))
    return vcov, np.array(df)


def diagonal_blocks(trial, matrix):
    """Return the block of each trial."""
    return [matrix[np.ix_(trial == j, trial == j)] for j in range(trial.max() + 1)]
