"""Weighted sums, likelihood and root finding for many data sets at once: the arithmetic under every fit.

All functions take ``y`` and ``v`` whose last axis runs over studies: shape ``(k,)`` for one data set, ``(batch, k)``
for many. A study that is not in a data set has ``v = inf`` (so its weight is zero) and a finite ``y``. Notation of the
formulas: ``w_i = 1 / (v_i + t)`` with ``t`` the between-study variance (tau2), ``m`` the weighted mean and
``r_i = y_i - m``.

References
----------
Viechtbauer W. Bias and efficiency of meta-analytic variance estimators in the random-effects model. J Educ Behav
Stat 2005;30:261-293. doi:10.3102/10769986030003261
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from ipt_evidence.errors import ConvergenceError
from ipt_evidence.pooling.moments import Array as Array
from ipt_evidence.pooling.moments import Moments, moments
from ipt_evidence.pooling.moments import Values as Values

Slopes = tuple[Values, Values]

VARIANCE_RANGE = (1e-60, 1e60)
LARGEST_EFFECT = 1e40
"""What can be pooled: within these bounds no sum of weighted squares leaves the range of numbers."""
STEP_TOLERANCE = 32 * np.finfo(float).eps
LAST_STEP = 1e-8  # Newton's error after a relative step this small is its square: below rounding
MAX_ITERATIONS = 200
BISECT_AFTER = 60


class Sums(NamedTuple):
    """Sums at one tau2 per data set: ``w``, ``w r``, ``sum w``, ``sum w^2``, the mean and ``Q = sum w r^2``."""

    w: Array
    wr: Array
    s1: Values
    s2: Values
    mean: Values
    q: Values


def dot(a: Array, b: Array) -> Values:
    """Return the inner product over the last axis."""
    if a.ndim == 1 and b.ndim == 1:
        return float(a @ b)
    if b.ndim == 1:
        return a @ b
    return np.einsum("...i,...i->...", a, b)  # type: ignore[no-any-return]


def column(x: Values) -> Values:
    """Return `x` shaped to broadcast against ``(batch, k)``; a number stays a number."""
    return x[..., None] if isinstance(x, np.ndarray) and x.ndim else x


def weighted_sums(y: Array, v: Array, t: Values) -> Sums:
    """Return the weighted sums at ``tau2 = t`` (a number, or one per data set)."""
    w = v + column(t)
    np.divide(1.0, w, out=w)
    s1 = dot(w, np.ones(w.shape[-1]))
    mean = dot(w, y) / s1
    r = y - column(mean)
    wr = w * r
    return Sums(w, wr, s1, dot(w, w), mean, dot(wr, r))


def count(v: Array) -> Values:
    """Return how many studies each data set holds."""
    n = np.isfinite(v).sum(axis=-1)
    return float(n) if v.ndim == 1 else n.astype(float)


def log_likelihood(y: Array, v: Array, t: Values, *, restricted: bool) -> Values:
    """Return the (restricted) log-likelihood at ``tau2 = t`` with the mean profiled out, all constants included."""
    s = weighted_sums(y, v, t)
    k = count(v)
    log_w = np.log(s.w, out=np.zeros_like(s.w), where=s.w > 0).sum(axis=-1)
    value = 0.5 * (log_w - s.q)
    if restricted:
        value = value - 0.5 * (np.log(s.s1) - np.log(k) + (k - 1) * np.log(2 * np.pi))
    else:
        value = value - 0.5 * k * np.log(2 * np.pi)
    return cast("Values", value)


def score_excess_of(m: Moments, restricted: bool) -> Slopes:
    """Return ``1 - tr(P) / y'PPy`` (for ML ``1 - sum(w) / y'PPy``) and its slope, from sums that are there already.

    Notes
    -----
    Twice the derivative of the log-likelihood, for REML ``y'PPy - tr(P)`` with ``P = W - W 1 1' W / sum(w)``
    (Viechtbauer 2005), divided by ``y'PPy``: the sign and the roots are the same, and it is a straight line where all
    variances are equal, so Newton's steps on it are few.
    """
    trace, fall = (m.tr_p, m.tr_pp) if restricted else (m.s1, m.s2)
    ratio = trace / m.q2
    return 1.0 - ratio, (fall - 2 * ratio * (m.q3 - m.l2**2 / m.s1)) / m.q2


def one_zero_at_most(a: Moments, b: Moments, restricted: bool) -> bool | npt.NDArray[np.bool_]:
    """Return whether the score cannot change its sign twice between two values of tau2, the first the smaller one.

    Parameters
    ----------
    a, b : Moments
        Sums at both ends, of third order too.
    restricted : bool
        Of the restricted likelihood.

    Notes
    -----
    With ``K`` an orthonormal basis of the contrasts and ``mu_j`` the eigenvalues of ``K'VK``, ``tr(P)`` is the sum of
    ``1 / (mu_j + t)`` and ``y'PPy`` that of ``z_j^2 / (mu_j + t)^2``. Both fall with t, and so do ``tr(PP) / tr(P)``
    and ``y'PPPy / y'PPy`` (by the inequality of Cauchy and Schwarz). Their values at the ends therefore bound, between
    them, the score ``y'PPy - tr(P)`` and the slope of ``log(tr(P) / y'PPy)``, which is
    ``2 y'PPPy / y'PPy - tr(PP) / tr(P)``: the score keeps its sign where ``y'PPy`` at b is above ``tr(P)`` at a, or
    that at a below that at b, and is zero once at most where the slope keeps its sign. For ML ``tr(P)`` becomes
    ``sum(w)`` and ``tr(PP)`` ``sum(w^2)``, and the argument is the same.
    """
    (trace_a, fall_a), (trace_b, fall_b) = ((m.tr_p, m.tr_pp) if restricted else (m.s1, m.s2) for m in (a, b))
    cubes_a, cubes_b = (m.q3 - m.l2 * m.l2 / m.s1 for m in (a, b))
    keeps_sign = (b.q2 > trace_a) | (a.q2 < trace_b)
    monotone = (2 * cubes_b * trace_a > fall_a * b.q2) | (2 * cubes_a * trace_b < fall_b * a.q2)
    return keeps_sign | monotone


def q_excess(y: Array, v: Array, t: Values, target: Values) -> Slopes:
    """Return ``1 - target / Q(t)`` and its slope: a root in t of ``Q(t) = target`` by nearly straight lines.

    ``Q`` is convex and falls like ``1 / t``, so ``1 / Q`` is close to linear in t and Newton's steps on it do not
    overshoot.
    """
    return q_excess_of(moments(y, v, t), target)


def q_excess_of(m: Moments, target: Values) -> Slopes:
    """Return :func:`q_excess` from sums that are there already."""
    ratio = target / m.q
    return 1.0 - ratio, -ratio * m.q2 / m.q


def newton(
    function: Callable[..., Slopes],
    y: Array,
    v: Array,
    *args: Array,
    low: Array,
    high: Array,
    start: Array,
) -> Array:
    """Return the root of a function that is positive at `low` and negative at `high`, one for each data set.

    Newton steps; a step that leaves the bracket is replaced by bisection (by doubling while `high` is infinite), so the
    iteration cannot diverge. Data sets that are done leave the work.

    Parameters
    ----------
    function : callable
        ``(y, v, t, *args) -> (value, slope)``, vectorised over data sets.
    y, v : numpy.ndarray
        Shape ``(batch, k)``, or ``(1, k)`` when all data sets share them.
    *args : numpy.ndarray
        Further arguments of the function, shape ``(batch,)``.
    low, high, start : numpy.ndarray
        Bracket and first guess, shape ``(batch,)``.

    Raises
    ------
    ConvergenceError
        No convergence after ``MAX_ITERATIONS`` steps; bracketing makes this a defect, not a property of the data.
    """
    result, t = start.copy(), start
    active = np.arange(t.size)
    for iteration in range(MAX_ITERATIONS):
        value, slope = (np.asarray(x) for x in function(y, v, t, *args))
        low, high = np.where(value > 0, t, low), np.where(value > 0, high, t)
        new, newtonian = _next(t, value, slope, low, high, bisect=iteration >= BISECT_AFTER)
        tolerance = np.where(newtonian, LAST_STEP, STEP_TOLERANCE)
        done = (np.abs(new - t) <= tolerance * new) | (value == 0)
        done |= high - low <= STEP_TOLERANCE * np.minimum(high, 2 * t)
        t = np.where(value == 0, t, new)
        result[active] = t
        if done.all():
            return result
        if done.sum() * 4 >= done.size:
            keep = ~done
            active, t, low, high = active[keep], t[keep], low[keep], high[keep]
            y, v, *args = (x[keep] if x.shape[0] == keep.size and keep.size > 1 else x for x in (y, v, *args))  # type: ignore[assignment]
    n = active.size
    raise ConvergenceError(f"{n} fits did not converge in {MAX_ITERATIONS} steps; please report this data set")


def _next(
    t: Array, value: Array, slope: Array, low: Array, high: Array, *, bisect: bool
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return Newton's next point, or the middle of the bracket when the step leaves it, and which of the two it is."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        step = t - value / slope
        middle = np.where(np.isfinite(high), 0.5 * (low + high), 2 * np.maximum(t, low))
    inside = (step > low) & (step < high) & (not bisect)
    return np.where(inside, step, middle), inside
