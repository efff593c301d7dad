"""The arithmetic of many fits, compiled: one data set after the other, from its studies to its sums.

This module needs numba (extra ``fast``) and is imported when a job is worth it. Every data set is fitted from its own
studies alone, so its numbers are the same bits whatever else is in the job. Formulas and safeguards are those of
:mod:`ipt_evidence.pooling.tau2` and :mod:`ipt_evidence.pooling.kernel`; effects enter centred at the most precise
study, so that sums of squared residuals can be read from powers without losing digits.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from ipt_evidence.pooling.certain_maxima import FACTOR, MAX_HALVINGS, MAX_STEPS
from ipt_evidence.pooling.kernel import BISECT_AFTER, LAST_STEP, MAX_ITERATIONS, STEP_TOLERANCE
from ipt_evidence.pooling.moments import DOMINATED
from ipt_evidence.pooling.tau2 import ABOVE_ROUNDING

EE, DL, HS, HSK, HE, SJ = range(6)
CLOSED_FORMS = {"EE": EE, "DL": DL, "HS": HS, "HSk": HSK, "HE": HE, "SJ": SJ}
LANES = 8
SUMS = 7
plain = numba.njit(cache=True, nogil=True, error_model="numpy")
summing = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
"""Sums may be taken in another order, so that the processor does several terms at once."""


@plain
def _prepare(y, v, n):  # type: ignore[no-untyped-def]
    """Centre the effects at the most precise study and fill the rest up with studies of weight zero."""
    at = 0
    for i in range(1, n):
        if v[i] < v[at]:
            at = i
    centre = y[at]
    for i in range(n):
        y[i] -= centre
    y[n:], v[n:] = 0.0, np.inf
    return centre


@summing
def _sums(y, v, w, t):  # type: ignore[no-untyped-def]
    """Write the weights at ``tau2 = t`` and return their sum, the mean, Q, and the sum of their squares."""
    s1, s2, y1 = 0.0, 0.0, 0.0
    for i in range(y.size):
        x = 1.0 / (v[i] + t)
        w[i] = x
        s1 += x
        s2 += x * x
        y1 += x * y[i]
    mean, q = y1 / s1, 0.0
    for i in range(y.size):
        r = y[i] - mean
        q += w[i] * r * r
    return s1, mean, q, s2


@plain
def _largest(w):  # type: ignore[no-untyped-def]
    at = 0
    for i in range(1, w.size):
        if w[i] > w[at]:
            at = i
    return at


@plain
def _trace(w, s1, s2):  # type: ignore[no-untyped-def]
    """Return tr(P) from the weights; where one dwarfs the others without cancellation (see ``exact_traces``)."""
    if s2 <= DOMINATED * s1 * s1:
        return s1 - s2 / s1
    at = _largest(w)
    others, total = 0.0, 0.0
    for i in range(w.size):
        others += w[i] if i != at else 0.0
    for i in range(w.size):
        total += w[i] * (others if i == at else s1 - w[i])
    return total / s1


@plain
def _trace_of_square(w, s1):  # type: ignore[no-untyped-def]
    """Return tr(PP) without cancellation (see ``exact_traces``)."""
    at = _largest(w)
    others, squares = 0.0, 0.0
    for i in range(w.size):
        if i != at:
            others += w[i]
            squares += w[i] * w[i]
    s2 = squares + w[at] * w[at]
    total = 0.0
    for i in range(w.size):
        p = w[i] * (others if i == at else s1 - w[i])
        total += p * p + w[i] * w[i] * (squares if i == at else s2 - w[i] * w[i])
    return total / (s1 * s1)


@summing
def _parts(y, v, w, t, restricted):  # type: ignore[no-untyped-def]
    """Return ``y'PPy``, ``tr(P)``, ``y'PPPy`` and ``tr(PP)`` at one tau2 (for ML ``sum(w)``, ``sum(w^2)``)."""
    s1, s2, s3, y1, y2, y3, z2, z3 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(y.size):
        x = 1.0 / (v[i] + t)
        xx, xy = x * x, x * y[i]
        xxy = x * xy
        s1 += x
        s2 += xx
        s3 += x * xx
        y1 += xy
        y2 += xxy
        y3 += x * xxy
        z2 += xy * xy
        z3 += xy * xxy
    mean = y1 / s1
    q2, q3 = z2 - mean * (2 * y2 - mean * s2), z3 - mean * (2 * y3 - mean * s3)
    l2 = y2 - mean * s2
    cubic = q3 - l2 * l2 / s1
    if not restricted:
        return q2, s1, cubic, s2
    tr_p, tr_pp = s1 - s2 / s1, s2 - 2 * s3 / s1 + (s2 / s1) ** 2
    if s2 > DOMINATED * s1 * s1:
        for i in range(y.size):
            w[i] = 1.0 / (v[i] + t)
        tr_p, tr_pp = _trace(w, s1, s2), _trace_of_square(w, s1)
    return q2, tr_p, cubic, tr_pp


@plain
def _one_zero_at_most(a, b):  # type: ignore[no-untyped-def]
    """Return whether the score cannot change its sign twice; see ``kernel.one_zero_at_most``."""
    (q_a, trace_a, cubic_a, fall_a), (q_b, trace_b, cubic_b, fall_b) = a, b
    keeps_sign = q_b > trace_a or q_a < trace_b
    return keeps_sign or 2 * cubic_b * trace_a > fall_a * q_b or 2 * cubic_a * trace_b < fall_b * q_a


@summing
def _q_excess(y, v, w, t, target):  # type: ignore[no-untyped-def]
    """Return ``1 - target / Q(t)`` and its slope, as :func:`ipt_evidence.pooling.kernel.q_excess`."""
    q = _sums(y, v, w, t)
    q2 = 0.0
    for i in range(y.size):
        wr = w[i] * (y[i] - q[1])
        q2 += wr * wr
    ratio = target / q[2]
    return 1.0 - ratio, -ratio * q2 / q[2]


@plain
def _step(t, value, slope, low, high, iteration):  # type: ignore[no-untyped-def]
    """Return Newton's next point, or the middle of the bracket when it leaves it, and whether that is the root."""
    new = t - value / slope if slope != 0 and iteration < BISECT_AFTER else low
    tolerance = LAST_STEP
    if not low < new < high:
        new = 0.5 * (low + high) if high < np.inf else 2 * max(t, low)
        tolerance = STEP_TOLERANCE
    return new, abs(new - t) <= tolerance * new or high - low <= STEP_TOLERANCE * min(high, 2 * t)


@plain
def _root_of_score(y, v, w, low, high, t, restricted):  # type: ignore[no-untyped-def]
    """Return where the score is zero, by bracketed Newton steps; NaN if they do not end.

    The steps are those of :func:`ipt_evidence.pooling.kernel.score_excess_of`, which is nearly a straight line.
    """
    for iteration in range(MAX_ITERATIONS):
        q, trace, cubic, fall = _parts(y, v, w, t, restricted)
        ratio = trace / q
        value, slope = 1 - ratio, (fall - 2 * ratio * cubic) / q
        if value == 0:
            return t
        if value > 0:
            low = t
        else:
            high = t
        t, done = _step(t, value, slope, low, high, iteration)
        if done:
            return t
    return np.nan


@plain
def _root_of_q(y, v, w, target):  # type: ignore[no-untyped-def]
    """Return where Q equals the target, zero where it never does; NaN if the steps do not end."""
    low, high, t = 0.0, np.inf, 0.0
    if not _sums(y, v, w, t)[2] > target:
        return 0.0
    for iteration in range(MAX_ITERATIONS):
        value, slope = _q_excess(y, v, w, t, target)
        if value == 0:
            return t
        if value > 0:
            low = t
        else:
            high = t
        t, done = _step(t, value, slope, low, high, iteration)
        if done:
            return t
    return np.nan


@plain
def _height(y, v, n, t, restricted):  # type: ignore[no-untyped-def]
    """Return twice the (restricted) log-likelihood without its constants."""
    s1, y1, logs = 0.0, 0.0, 0.0
    for i in range(n):
        x = v[i] + t
        s1 += 1.0 / x
        y1 += y[i] / x
        logs += math.log(x)
    mean, q = y1 / s1, 0.0
    for i in range(n):
        q += (y[i] - mean) ** 2 / (v[i] + t)
    return -logs - q - (math.log(s1) if restricted else 0.0)


@plain
def _higher(y, v, n, one, other, restricted):  # type: ignore[no-untyped-def]
    """Return whether the likelihood at one tau2 is above that at another (a missing one loses)."""
    return not _height(y, v, n, one, restricted) <= _height(y, v, n, other, restricted)


@plain
def _last_positive(y, v, n):  # type: ignore[no-untyped-def]
    """Return a tau2 above which the score is negative, and the smallest variance; see ``tau2.last_positive``."""
    low, high, mean, least, variance = y[0], y[0], 0.0, v[0], 0.0
    for i in range(n):
        low, high, mean = min(low, y[i]), max(high, y[i]), mean + y[i] / n
        least, variance = min(least, v[i]), variance + v[i] / n
    square = 0.0
    for i in range(n):
        square += (y[i] - mean) ** 2 / (n - 1)
    half = 0.5 * square - least
    inside = max(half * half + square * variance - least * least, 0.0)
    return min((high - low) ** 2 - least, half + math.sqrt(inside)) * ABOVE_ROUNDING, least


@plain
def _likelihood_maximum(y, v, w, n, restricted):  # type: ignore[no-untyped-def]
    """Return the tau2 of the highest (restricted) likelihood over tau2 >= 0.

    Values of tau2 from zero to the last at which the score can be positive part it into intervals; one in which the
    score might change its sign twice is halved, the upper halves waiting in `ends`, so that no maximum is missed.
    """
    top, least = _last_positive(y, v, n)
    growth = math.log1p(max(top, 0.0) / least)
    points = min(max(math.ceil(growth / FACTOR), 1), MAX_STEPS) if top > 0 else 0
    ends, sums = np.empty(MAX_HALVINGS + 1), np.empty((MAX_HALVINGS + 1, 4))
    low, a = 0.0, _parts(y, v, w, 0.0, restricted)
    best, found = 0.0, int(not a[0] > a[1])
    for point in range(1, points + 1):
        waiting = 0
        ends[0] = least * math.expm1(growth * point / points)
        sums[0] = _parts(y, v, w, ends[0], restricted)
        while waiting >= 0:
            high, b = ends[waiting], (sums[waiting, 0], sums[waiting, 1], sums[waiting, 2], sums[waiting, 3])
            if waiting < MAX_HALVINGS and not _one_zero_at_most(a, b):
                waiting += 1
                ends[waiting] = math.sqrt((least + low) * (least + high)) - least
                sums[waiting] = _parts(y, v, w, ends[waiting], restricted)
                continue
            if a[0] > a[1] and not b[0] > b[1]:
                share = (1 - a[1] / a[0]) / (b[1] / b[0] - a[1] / a[0])
                root = _root_of_score(y, v, w, low, high, low + share * (high - low), restricted)
                found += 1
                if found == 1 or _higher(y, v, n, root, best, restricted):
                    best = root
            low, a, waiting = high, b, waiting - 1
    if a[0] > a[1]:
        root = _root_of_score(y, v, w, low, np.inf, 2 * low, restricted)
        if found == 0 or _higher(y, v, n, root, best, restricted):
            best = root
    return best


@plain
def _from_equal_weights(y, v, w, n, method):  # type: ignore[no-untyped-def]
    """Return the estimators that begin with the plain variance of the effects."""
    mean, squares, variances = 0.0, 0.0, 0.0
    for i in range(n):
        mean += y[i] / n
    for i in range(n):
        squares += (y[i] - mean) ** 2
        variances += v[i]
    if method == HE:
        return max(0.0, squares / (n - 1) - variances / n)
    start = squares / n
    return start * _sums(y, v, w, start)[2] / (n - 1) if start > 0 else 0.0


@plain
def _closed_form(y, v, w, n, method):  # type: ignore[no-untyped-def]
    """Return the estimators that need no iteration."""
    if method == EE:
        return 0.0
    if method in (HE, SJ):
        return _from_equal_weights(y, v, w, n, method)
    s1, _, q, s2 = _sums(y, v, w, 0.0)
    if method == DL:
        return max(0.0, (q - (n - 1)) / _trace(w, s1, s2))
    correction = n / (n - 1) if method == HSK else 1.0
    return max(0.0, (correction * q - n) / s1)


@plain
def _padded(n):  # type: ignore[no-untyped-def]
    return (n + LANES - 1) // LANES * LANES


@plain
def _gather(y, v, mask, b, ys, vs):  # type: ignore[no-untyped-def]
    """Write the studies of data set `b` and return their number and the effect that is now zero."""
    b_y, b_v, b_m = min(b, y.shape[0] - 1), min(b, v.shape[0] - 1), min(b, mask.shape[0] - 1)
    n = 0
    for i in range(v.shape[1]):
        if mask[b_m, i] and not (math.isnan(y[b_y, i]) or math.isnan(v[b_v, i])):
            ys[n], vs[n] = y[b_y, i], v[b_v, i]
            n += 1
    centre = 0.0
    if n > 0:
        size = _padded(n)
        centre = _prepare(ys[:size], vs[:size], np.int64(n))
    return n, centre


@plain
def _write(y, v, w, n, centre, tau2, out, b):  # type: ignore[no-untyped-def]
    """Write the sums of a data set and return 1 if its iteration did not end."""
    out[:, b] = np.nan
    out[0, b] = n
    if n == 0:
        return 0
    s1, mean, q, _ = _sums(y, v, w, tau2)
    out[2, b], out[3, b], out[4, b] = s1, mean + centre, q
    s1, mean, q, s2 = _sums(y, v, w, 0.0)
    out[5, b], out[6, b] = q, _trace(w, s1, s2)
    if n > 1:
        out[1, b] = tau2
    return 1 if math.isnan(tau2) else 0


@plain
def fit_closed_forms(y, v, mask, method, out):  # type: ignore[no-untyped-def]
    """Fit every data set by an estimator that needs no iteration.

    Parameters
    ----------
    y, v, mask : numpy.ndarray
        Shape ``(batch, k)``, or ``(1, k)`` when shared; NaN marks a study without a result.
    method : int
        From ``CLOSED_FORMS``.
    out : numpy.ndarray
        Shape ``(7, batch)``: number of studies; tau2; sum of weights, mean and Q at tau2; Q and tr(P) at zero.

    Returns
    -------
    int
        Number of data sets whose iteration did not end (none: roots are bracketed).
    """
    ys, vs, w = np.empty(_padded(v.shape[1])), np.empty(_padded(v.shape[1])), np.empty(_padded(v.shape[1]))
    failed = 0
    for b in range(out.shape[1]):
        n, centre = _gather(y, v, mask, b, ys, vs)
        size = _padded(n)
        tau2 = _closed_form(ys[:size], vs[:size], w[:size], np.int64(n), method) if n > 1 else 0.0
        failed += _write(ys[:size], vs[:size], w[:size], np.int64(n), centre, tau2, out, b)
    return failed


@plain
def fit_roots(y, v, mask, targets, out):  # type: ignore[no-untyped-def]
    """Fit every data set by the tau2 at which Q is its target (by number of studies); as :func:`fit_closed_forms`."""
    ys, vs, w = np.empty(_padded(v.shape[1])), np.empty(_padded(v.shape[1])), np.empty(_padded(v.shape[1]))
    failed = 0
    for b in range(out.shape[1]):
        n, centre = _gather(y, v, mask, b, ys, vs)
        size = _padded(n)
        tau2 = _root_of_q(ys[:size], vs[:size], w[:size], targets[n]) if n > 1 else 0.0
        failed += _write(ys[:size], vs[:size], w[:size], np.int64(n), centre, tau2, out, b)
    return failed


@plain
def fit_likelihoods(y, v, mask, restricted, out):  # type: ignore[no-untyped-def]
    """Fit every data set by (restricted) maximum likelihood; as :func:`fit_closed_forms`."""
    ys, vs, w = np.empty(_padded(v.shape[1])), np.empty(_padded(v.shape[1])), np.empty(_padded(v.shape[1]))
    failed = 0
    for b in range(out.shape[1]):
        n, centre = _gather(y, v, mask, b, ys, vs)
        size = _padded(n)
        tau2 = _likelihood_maximum(ys[:size], vs[:size], w[:size], np.int64(n), restricted) if n > 1 else 0.0
        failed += _write(ys[:size], vs[:size], w[:size], np.int64(n), centre, tau2, out, b)
    return failed
