"""The equations of :mod:`ipt_evidence.pooling.regression_kernel` by normal equations: fast for batches.

One matrix product gives the weighted cross-products of all data sets at once. Normal equations square the condition
number, so they serve where the variances lie within a factor of ``MODERATE``; the kernel takes over elsewhere.
Arrays of small matrices have the batch last, ``(p, p, batch)``, so that every operation runs over it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ipt_evidence.pooling.moments import Array, Moments

MODERATE = 1e4


def is_moderate(v: Array) -> bool:
    """Return whether normal equations keep at least ten digits for these variances."""
    return bool(v.max() <= MODERATE * v.min())


class Solution(NamedTuple):
    """Weighted least squares: weights, weighted residuals ``(batch, k)``, residual Q, inverse Cholesky factor."""

    w: Array
    wr: Array
    qe: Array
    factor: Array


def row_dot(a: Array, b: Array) -> Array:
    """Return the inner product over the last axis, by data set."""
    return np.einsum("bk,bk->b", a, b)  # type: ignore[no-any-return]


def cross_products(basis: Array, w: Array) -> Array:
    """Return ``B diag(w) B'`` for each row of `w`, ``(p, p, batch)``."""
    p = basis.shape[0]
    upper = np.triu_indices(p)
    packed = (basis[upper[0]] * basis[upper[1]]) @ w.T
    result = np.empty((p, p, w.shape[0]))
    result[upper] = packed
    result[upper[1], upper[0]] = packed
    return result


def inverse_cholesky(s: Array) -> Array:
    """Return ``L^-1`` with ``S = LL'`` for symmetric positive definite matrices, ``(p, p, batch)``."""
    p = s.shape[0]
    low = np.zeros_like(s)
    inverse = np.zeros_like(s)
    for j in range(p):
        pivot = s[j, j] - (low[j, :j] ** 2).sum(axis=0)
        low[j, j] = np.sqrt(pivot)
        inverse[j, j] = 1.0 / low[j, j]
        for i in range(j + 1, p):
            low[i, j] = (s[i, j] - (low[i, :j] * low[j, :j]).sum(axis=0)) * inverse[j, j]
        for i in range(j):
            inverse[j, i] = -(low[j, i:j] * inverse[i:j, i]).sum(axis=0) * inverse[j, j]
    return inverse


def solve(y: Array, v: Array, basis: Array, t: Array) -> Solution:
    """Return weighted least squares at ``tau2 = t``."""
    w = 1.0 / (v + t[:, None])
    factor = inverse_cholesky(cross_products(basis, w))
    right = basis @ (w * y).T
    half = (factor * right).sum(axis=1)
    beta = (factor * half[:, None]).sum(axis=0)
    residual = y - beta.T @ basis
    wr = w * residual
    return Solution(w, wr, row_dot(wr, residual), factor)


def whitened(factor: Array, s: Array) -> Array:
    """Return ``L^-1 S L^-T``, ``(p, p, batch)``."""
    left = (factor[:, :, None] * s[None]).sum(axis=1)
    return (left[:, None] * factor[None]).sum(axis=2)  # type: ignore[no-any-return]


def moment_sums(y: Array, v: Array, basis: Array, t: Array, *, restricted: bool) -> Moments:
    """Return :func:`ipt_evidence.pooling.regression_kernel.score_sums` by normal equations."""
    s = solve(y, v, basis, t)
    u, w2 = s.w * s.wr, s.w * s.w
    along = (s.factor * (basis @ u.T)).sum(axis=1)
    cubic = row_dot(u, s.wr) - (along**2).sum(axis=0)
    one, two = s.w.sum(axis=-1), row_dot(s.w, s.w)
    trace, fall = one, two
    if restricted:
        second = whitened(s.factor, cross_products(basis, w2))
        third = whitened(s.factor, cross_products(basis, w2 * s.w))
        trace = one - np.einsum("iib->b", second)
        fall = two - 2 * np.einsum("iib->b", third) + (second**2).sum(axis=(0, 1))
    return under_names_of_a_mean(one, two, trace, fall, s.qe, row_dot(s.wr, s.wr), cubic)


def under_names_of_a_mean(
    one: Array, two: Array, trace: Array, fall: Array, qe: Array, square: Array, cubic: Array
) -> Moments:
    """Return sums of a regression under the names they have for a mean, so that both share a search for maxima.

    ``y'PPPy``, there ``q3 - l2^2 / s1``, stands under `q3` with zero for `l2`; there is no mean.
    """
    return Moments(one, two, trace, fall, np.full_like(qe, np.nan), qe, square, cubic, np.zeros_like(qe))


def moment_excess(y: Array, v: Array, basis: Array, t: Array, target: Array) -> tuple[Array, Array]:
    """Return ``1 - target / Q(t)`` and its slope."""
    s = solve(y, v, basis, t)
    ratio = target / s.qe
    return 1.0 - ratio, -ratio * row_dot(s.wr, s.wr) / s.qe
