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
import numpy.typing as npt
from scipy.special import chdtri

from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling.kernel import Array, newton
from ipt_evidence.pooling.regression_moments import is_moderate, moment_excess, moment_score

HIGH_LEVERAGE = 0.99
GRID_RATIO = 2.0
GRID_MAX_POINTS = 48
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


def trace_squared(q: Array, a: Array) -> Array:
    """Return ``tr(D (I - QQ') D D (I - QQ') D)`` for ``D = diag(sqrt(a))``, which is ``tr(PP)`` for ``a = w``."""
    leverage = np.einsum("bpk,bpk->bk", q, q)
    f = (q * a[:, None]) @ q.swapaxes(1, 2)
    return inner(a * a, 1 - 2 * leverage) + np.einsum("bpq,bpq->b", f, f)  # type: ignore[no-any-return]


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


def score(y: Array, v: Array, basis: Array, t: Array, *, restricted: bool) -> tuple[Array, Array]:
    """Return twice the derivative of the log-likelihood by tau2, and the derivative of that.

    Notes
    -----
    ``y'PPy - tr(P)`` with slope ``tr(PP) - 2 y'PPPy`` for REML; ``tr(W)`` and ``tr(WW)`` in their place for ML.
    """
    s = project(y, v, basis, t)
    square, cubic = _powers(s)
    if restricted:
        return square - inner(s.w, s.free), trace_squared(s.q, s.w) - 2 * cubic
    return square - s.w.sum(axis=-1), inner(s.w, s.w) - 2 * cubic


def _powers(s: Projection) -> tuple[Array, Array]:
    """Return ``y'PPy`` and ``y'PPPy``."""
    u = s.w * s.e
    along = np.einsum("bpk,bk->bp", s.q, u)
    return inner(u, s.e), inner(u, u) - np.einsum("bp,bp->b", along, along)


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
    ``tau2 >= 0``: the score is scanned over a geometric grid and the likelihoods of all maxima are compared.
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


def _grid(y: Array, v: Array, basis: Array) -> Array:
    """Return the tau2 values at which the score is looked at: zero, then geometric steps, ``(batch, points)``.

    From a tenth of the smallest variance (below it the score is nearly straight) to the residual sum of squares of the
    unweighted fit (above it the score is negative unless the variances differ wildly; the last cell is open).
    """
    squares = project(y, np.ones_like(v), basis, np.zeros(y.shape[0])).qe
    top = np.maximum(squares, np.finfo(float).tiny)
    bottom = np.minimum(0.1 * v.min(axis=-1), top / 16)
    widest = float(np.max(np.log(top / bottom))) / np.log(GRID_RATIO)
    points = int(np.clip(np.ceil(widest) + 1, 6, GRID_MAX_POINTS))
    grid = bottom[:, None] * (top / bottom)[:, None] ** np.linspace(0.0, 1.0, points)
    return np.concatenate([np.zeros((y.shape[0], 1)), grid], axis=1)


def _rising(y: Array, v: Array, basis: Array, grid: Array, *, restricted: bool) -> npt.NDArray[np.bool_]:
    """Return where on the grid the likelihood rises."""
    b, g = grid.shape
    if b <= FEW:
        many = np.repeat(y, g, axis=0), np.repeat(v, g, axis=0)
        return score(*many, basis, grid.ravel(), restricted=restricted)[0].reshape(b, g) > 0
    if is_moderate(v):
        slopes = [moment_score(y, v, basis, t, restricted=restricted, with_slope=False)[0] for t in grid.T]
    else:
        slopes = [score(y, v, basis, t, restricted=restricted)[0] for t in grid.T]
    return np.stack(slopes, axis=1) > 0


def _likelihood_maximum(y: Array, v: Array, basis: Array, *, restricted: bool) -> Array:
    """Return the tau2 of the highest (restricted) likelihood over tau2 >= 0."""
    function = moment_score if y.shape[0] > FEW and is_moderate(v) else score

    def slope(a: Array, b: Array, t: Array) -> tuple[Array, Array]:
        return function(a, b, basis, t, restricted=restricted)

    grid = _grid(y, v, basis)
    rises = _rising(y, v, basis, grid, restricted=restricted)
    size = y.shape[0]
    rises = np.concatenate([rises, np.zeros((size, 1), dtype=bool)], axis=1)
    grid = np.concatenate([grid, np.full((size, 1), np.inf)], axis=1)
    member, cell = np.nonzero(rises[:, :-1] & ~rises[:, 1:])
    result = np.zeros(size)
    if member.size == 0:
        return result
    low, high = grid[member, cell], grid[member, cell + 1]
    start = np.where(np.isfinite(high), 0.5 * (low + high), 2 * low)
    root = newton(slope, y[member], v[member], low=low, high=high, start=start)
    result[member] = root
    maxima = np.bincount(member, minlength=size) + ~rises[:, 0]
    for b in np.flatnonzero(maxima > 1):
        candidates = np.concatenate([[0.0], root[member == b]])
        ys, vs = (np.repeat(x[b : b + 1], candidates.size, axis=0) for x in (y, v))
        height = log_likelihood(ys, vs, basis, candidates, restricted=restricted)
        result[b] = candidates[int(np.argmax(height))]
    return result


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
        return np.sqrt(2.0 / trace_squared(s.q, s.w))
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
    return np.asarray(np.sqrt(2 * trace_squared(form.q, form.w * (v + tau2[:, None]))) / divisor)
