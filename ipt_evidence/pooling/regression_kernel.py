"""Weighted projections and the residual between-study variance of a meta-regression, for many data sets at once.

Shapes: ``y, v`` are ``(batch, k)``; the design is shared, given as the rows of ``basis``, ``(p, k)``, orthonormal
columns that span the design matrix (tau2 and residuals do not depend on which basis of the span it is).
Notation: ``W = diag(1 / (v + t))`` with ``t`` the residual tau2, ``P = W - W X (X'WX)^-1 X'W``.

References
----------
Raudenbush SW. Analyzing effect sizes: random-effects models. In: Cooper H, Hedges LV, Valentine JC, eds. The Handbook
of Research Synthesis and Meta-Analysis. 2nd ed. Russell Sage Foundation, 2009, pp. 295-315.
Viechtbauer W, López-López JA, Sánchez-Meca J, Marín-Martínez F. A comparison of procedures to test for moderators in
mixed-effects meta-regression models. Psychol Methods 2015;20:360-374. doi:10.1037/met0000023
Knapp G, Hartung J. Improved tests for a random effects meta-regression with a single covariate. Stat Med
2003;22:2693-2710. doi:10.1002/sim.1482
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import chdtri

from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling.certain_maxima import Likelihood, first_values, highest_maximum
from ipt_evidence.pooling.kernel import newton
from ipt_evidence.pooling.moments import Array, Moments
from ipt_evidence.pooling.regression_moments import is_moderate, moment_excess, moment_sums, under_names_of_a_mean
from ipt_evidence.pooling.tau2 import last_positive

HIGH_LEVERAGE = 0.99
FEW = 8
ROOT_METHODS = ("PM", "EB", "PMM", "SJIT", "DLIT")
LOG_2PI = float(np.log(2 * np.pi))


class Projection(NamedTuple):
    """Weighted least squares at one tau2 per data set.

    Attributes
    ----------
    w : numpy.ndarray
        Weights, ``(batch, k)``.
    q : numpy.ndarray
        Orthonormal basis of ``sqrt(W) X``, ``(batch, p, k)``.
    r : numpy.ndarray
        Upper triangle with ``sqrt(W) X = Q R``, ``(batch, p, p)``.
    c : numpy.ndarray
        ``Q' sqrt(W) y``, ``(batch, p)``.
    e : numpy.ndarray
        Residuals times ``sqrt(w)``, ``(batch, k)``.
    free : numpy.ndarray
        One minus the leverages, ``(batch, k)``, accurate also when they are tiny.
    qe : numpy.ndarray
        Weighted residual sum of squares ``y'Py``, ``(batch,)``.
    """

    w: Array
    q: Array
    r: Array
    c: Array
    e: Array
    free: Array
    qe: Array


def inner(a: Array, b: Array) -> Array:
    """Return the inner product over the last axis, by data set."""
    return np.einsum("bk,bk->b", a, b)  # type: ignore[no-any-return]


def project(y: Array, v: Array, basis: Array, t: Array) -> Projection:
    """Return weighted least squares of `y` on the design at ``tau2 = t``, shape ``(batch,)``.

    Notes
    -----
    Modified Gram-Schmidt, each vector orthogonalised twice, which keeps rows of very different weights accurate.
    """
    w = 1.0 / (v + t[:, None])
    root = np.sqrt(w)
    p = basis.shape[0]
    q = root[:, None, :] * basis
    e = root * y
    r = np.zeros((e.shape[0], p, p))
    c = np.zeros((e.shape[0], p))
    for j in range(p):
        current = q[:, j]
        for i in [*range(j), *range(j)]:
            part = inner(q[:, i], current)
            r[:, i, j] += part
            current -= part[:, None] * q[:, i]
        length = np.sqrt(inner(current, current))
        r[:, j, j] = length
        current /= length[:, None]
    for j in [*range(p), *range(p)]:
        part = inner(q[:, j], e)
        c[:, j] += part
        e -= part[:, None] * q[:, j]
    return Projection(w, q, r, c, e, _free(q), inner(e, e))


def _free(q: Array) -> Array:
    """Return one minus the leverages.

    Where that difference would cancel it is solved from ``1 - h = (1 - h)^2 + sum of the squared off-diagonals of H``.
    """
    free: Array = 1.0 - np.einsum("bpk,bpk->bk", q, q)
    member, row = np.nonzero(free < 1.0 - HIGH_LEVERAGE)
    if member.size:
        hat = np.einsum("np,npk->nk", q[member, :, row], q[member])
        hat[np.arange(member.size), row] = 0.0
        off = np.minimum(np.einsum("nk,nk->n", hat, hat), 0.25)
        free[member, row] = 2 * off / (1 + np.sqrt(1 - 4 * off))
    return free


def inverse_triangle(r: Array) -> Array:
    """Return the inverses of upper triangular matrices, ``(batch, p, p)``, by back substitution."""
    p = r.shape[1]
    inverse = np.zeros_like(r)
    for j in range(p):
        inverse[:, j, j] = 1.0 / r[:, j, j]
        for i in range(j - 1, -1, -1):
            total = np.einsum("bm,bm->b", r[:, i, i + 1 : j + 1], inverse[:, i + 1 : j + 1, j])
            inverse[:, i, j] = -total / r[:, i, i]
    return inverse


def coefficients(s: Projection, turn: Array) -> tuple[Array, Array]:
    """Return the coefficients, ``(batch, p)``, and F with ``(X'WX)^-1 = FF'``, ``(batch, p, p)``.

    Parameters
    ----------
    s : Projection
        Weighted least squares on an orthonormal basis.
    turn : numpy.ndarray
        Coefficients of the design per coefficient of the basis: the inverse of ``basis @ x``.
    """
    factor = turn @ inverse_triangle(s.r)
    return np.einsum("bpm,bm->bp", factor, s.c), factor


def trace_squared(s: Projection, a: Array) -> Array:
    """Return ``tr(D (I - QQ') D D (I - QQ') D)`` for ``D = diag(sqrt(a))``, which is ``tr(PP)`` for ``a = w``.

    Notes
    -----
    The squared entries of the matrix, added up: those of its diagonal, and ``a_i a_j h_ij^2`` with ``H = QQ'``. The
    latter are the square of ``Q'D D Q`` without its own diagonal, which would cancel for rows of high leverage; these
    are added one by one.
    """
    high = s.free < 1.0 - HIGH_LEVERAGE
    rest = np.where(high, 0.0, a)
    f = (s.q * rest[:, None]) @ s.q.swapaxes(1, 2)
    total = np.einsum("bpq,bpq->b", f, f) + inner(a * a, s.free**2) - inner(rest * rest, (1.0 - s.free) ** 2)
    member, row = np.nonzero(high)
    if member.size:
        hat = np.einsum("np,npk->nk", s.q[member, :, row], s.q[member])
        hat[np.arange(member.size), row] = 0.0
        twice = np.where(high[member], 1.0, 2.0) * a[member]
        np.add.at(total, member, a[member, row] * inner(twice, hat * hat))
    return np.asarray(total)


def log_likelihood(y: Array, v: Array, basis: Array, t: Array, *, restricted: bool) -> Array:
    """Return the (restricted) log-likelihood with the coefficients profiled out, all constants included.

    The restricted one contains ``log |X'X| / 2`` (Harville 1974), so it does not change with the coding of moderators.
    """
    s = project(y, v, basis, t)
    value = 0.5 * (np.log(s.w).sum(axis=-1) - s.qe)
    k, p = y.shape[1], basis.shape[0]
    if restricted:
        value = value - np.log(np.diagonal(s.r, axis1=1, axis2=2)).sum(axis=-1)
        k -= p
    return np.asarray(value - 0.5 * k * LOG_2PI)


def score_sums(y: Array, v: Array, basis: Array, t: Array, *, restricted: bool) -> Moments:
    """Return what the score of the likelihood and its slope are made of, at ``tau2 = t``.

    Notes
    -----
    Twice the derivative of the log-likelihood is ``y'PPy - tr(P)``, its slope ``tr(PP) - 2 y'PPPy``, for REML; ML has
    ``tr(W)`` and ``tr(WW)`` in place of the traces of P, which are not made for it.
    """
    s = project(y, v, basis, t)
    u = s.w * s.e
    across = u - np.einsum("bpk,bp->bk", s.q, np.einsum("bpk,bk->bp", s.q, u))
    one, two = s.w.sum(axis=-1), inner(s.w, s.w)
    trace, fall = (inner(s.w, s.free), trace_squared(s, s.w)) if restricted else (one, two)
    return under_names_of_a_mean(one, two, trace, fall, s.qe, inner(u, s.e), inner(across, across))


def estimate_residual_tau2(y: Array, v: Array, basis: Array, method: Tau2Method) -> Array:
    """Return the residual between-study variance of each data set, never below zero, shape ``(batch,)``.

    Parameters
    ----------
    y, v : numpy.ndarray
        Effects and sampling variances, ``(batch, k)``, with ``k`` above the number of coefficients ``p``.
    basis : numpy.ndarray
        Orthonormal basis of the design, ``(p, k)``.
    method : str
        One of the estimators of :data:`ipt_evidence.options.Tau2Method`.

    Notes
    -----
    The estimating equations of the model without moderators with ``k - p`` for ``k - 1`` and ``P`` of the design; an
    intercept alone gives :func:`ipt_evidence.pooling.tau2.estimate_tau2`. REML and ML are the *global* maximum over
    ``tau2 >= 0``: that is divided into intervals in which the score provably changes its sign once at most, and where
    there are several maxima their likelihoods are compared.
    """
    if method == "EE":
        return np.zeros(y.shape[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        if method in ("REML", "ML"):
            return _likelihood_maximum(y, v, basis, restricted=method == "REML")
        if method in ROOT_METHODS:
            df = float(y.shape[1] - basis.shape[0])
            target = float(chdtri(df, 0.5)) if method == "PMM" else df
            return residual_q_root(y, v, basis, np.full(y.shape[0], target))
        return _closed_form(y, v, basis, method)


def _closed_form(y: Array, v: Array, basis: Array, method: Tau2Method) -> Array:
    p, k = basis.shape
    zero = np.zeros(y.shape[0])
    if method in ("DL", "HS", "HSk"):
        s = project(y, v, basis, zero)
        if method == "DL":
            return positive((s.qe - (k - p)) / inner(s.w, s.free))
        correction = k / (k - p) if method == "HSk" else 1.0
        return positive((correction * s.qe - k) / s.w.sum(axis=-1))
    if method == "HE":
        s = project(y, np.ones_like(v), basis, zero)
        return positive((s.qe - inner(v, s.free)) / (k - p))
    start = _crude(y)
    qe = project(y, v, basis, start).qe
    return np.where(start > 0, start * qe / (k - p), 0.0)


def positive(x: Array) -> Array:
    """Return `x` with zero in place of negative values."""
    return np.asarray(np.maximum(0.0, x))


def _crude(y: Array) -> Array:
    """Return Sidik and Jonkman's starting value, the variance of the effects with divisor k."""
    return np.asarray(y.var(axis=-1))


def residual_q_root(y: Array, v: Array, basis: Array, target: Array) -> Array:
    """Return the tau2 at which the residual Q statistic equals `target`; zero where ``Q(0)`` is not above it."""
    fast = y.shape[0] > FEW and is_moderate(v)

    def excess(a: Array, b: Array, t: Array, goal: Array) -> tuple[Array, Array]:
        if fast:
            return moment_excess(a, b, basis, t, goal)
        s = project(a, b, basis, t)
        ratio = goal / s.qe
        return 1.0 - ratio, -ratio * inner(s.w * s.e, s.e) / s.qe

    result = np.zeros(target.size)
    above = np.flatnonzero(project(y, v, basis, result).qe > target)
    if above.size:
        zero = np.zeros(above.size)
        result[above] = newton(excess, y[above], v[above], target[above], low=zero, high=zero + np.inf, start=zero)
    return result


def residual_q_profile(y: Array, v: Array, basis: Array, level: float) -> tuple[Array, Array]:
    """Return the Q-profile interval of the residual tau2 (Viechtbauer 2007), shape ``(batch,)`` each."""
    df = float(y.shape[1] - basis.shape[0])
    tail = (1 - level) / 2
    one = np.ones(y.shape[0])
    goals = np.concatenate([one * chdtri(df, tail), one * chdtri(df, 1 - tail)])
    low, high = np.split(residual_q_root(np.tile(y, (2, 1)), np.tile(v, (2, 1)), basis, goals), 2)
    return low, high


def last_positive_residual(y: Array, v: Array, basis: Array) -> Array:
    """Return a tau2 above which the score of REML and of ML is negative, so that no maximum lies there.

    Notes
    -----
    As the second bound of :func:`ipt_evidence.pooling.tau2.last_positive`: ``y'PPy <= w_max y'Py <= w_max^2 RSS`` with
    RSS the residual sum of squares of the unweighted fit. With ``mu_j`` the eigenvalues of ``K'VK``, K an orthonormal
    basis of the contrasts, ``tr(P)`` is the sum of ``1 / (mu_j + t)``, at least ``(k - p) / (mu + t)`` for their mean
    ``mu``, which is that of ``v_i`` weighted by one minus the unweighted leverages. For ML ``sum(w) > tr(P)`` is
    subtracted.
    """
    p, k = basis.shape
    residual = y - (y @ basis.T) @ basis
    free = positive(1.0 - (basis * basis).sum(axis=0))
    square, mean = inner(residual, residual) / (k - p), v @ free / (k - p)
    return np.asarray(last_positive(np.inf, square, v.min(axis=-1), mean))


def _likelihood_maximum(y: Array, v: Array, basis: Array, *, restricted: bool) -> Array:
    """Return the tau2 of the highest (restricted) likelihood over tau2 >= 0."""
    sums = moment_sums if y.shape[0] > FEW and is_moderate(v) else score_sums
    model = Likelihood(
        lambda a, b, t: sums(a, b, basis, t, restricted=restricted),
        lambda a, b, t: log_likelihood(a, b, basis, t, restricted=restricted),
        restricted,
    )
    top = last_positive_residual(y, v, basis)
    return highest_maximum(y, v, first_values(top, v.min(axis=-1)), model)


def residual_tau2_std_error(y: Array, v: Array, basis: Array, tau2: Array, method: Tau2Method) -> Array:
    """Return the asymptotic standard error of the residual tau2, shape ``(batch,)``; NaN for ``"EE"``.

    Notes
    -----
    As for a mean alone (:func:`ipt_evidence.pooling.tau2.tau2_std_error`): inverse expected information for REML and
    ML, ``2 tr(A S A S)`` over the squared divisor for the moment estimators.
    """
    p, k = basis.shape
    if method == "EE":
        return np.full(tau2.shape, np.nan)
    s = project(y, v, basis, tau2)
    if method == "ML":
        return np.sqrt(2.0 / inner(s.w, s.w))
    if method == "REML":
        return np.sqrt(2.0 / trace_squared(s, s.w))
    if method in ROOT_METHODS:
        return np.asarray(k / (k - p) / s.w.sum(axis=-1) * np.sqrt(2 * (k - p)))
    zero = np.zeros_like(tau2)
    if method == "HE":
        form, divisor = project(y, np.ones_like(v), basis, zero), np.full(tau2.shape, float(k - p))
    elif method == "SJ":
        start = _crude(y)
        form = project(y, v, basis, start)
        with np.errstate(divide="ignore"):
            divisor = (k - p) / start
    else:
        form = project(y, v, basis, zero)
        total = form.w.sum(axis=-1)
        divisor = {"DL": inner(form.w, form.free), "HS": total, "HSk": total * (k - p) / k}[method]
    return np.asarray(np.sqrt(2 * trace_squared(form, form.w * (v + tau2[:, None]))) / divisor)
