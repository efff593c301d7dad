"""The innermost sums of every fit, in NumPy; batches large enough for compiled code do without (`batch_compiled`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Values = Array | float

DOMINATED = 0.98


class Moments(NamedTuple):
    """Sums at one tau2 per data set, with ``w = 1 / (v + tau2)`` and ``r = y - mean``.

    ``s1 s2``: sums of ``w``, ``w^2``; ``tr_p``: ``sum w - sum w^2 / sum w``; ``tr_pp``: the trace of the square of the
    same matrix; ``q q2 q3``: sums of ``w r^2``, ``w^2 r^2``, ``w^3 r^2``; ``l2``: sum of ``w^2 r``. `tr_pp`, `q3` and
    `l2` are NaN where they were not asked for.
    """

    s1: Values
    s2: Values
    tr_p: Values
    tr_pp: Values
    mean: Values
    q: Values
    q2: Values
    q3: Values
    l2: Values


def moments(y: Array, v: Array, t: Values, *, third: bool = False) -> Moments:
    """Return the weighted sums at ``tau2 = t``.

    Parameters
    ----------
    y, v : numpy.ndarray
        Shape ``(k,)`` with a number `t`, or ``(batch, k)`` (``(1, k)`` when shared) with `t` of shape ``(batch,)``.
    third : bool
        Also the sums that only slopes need.
    """
    w = v + (t[:, None] if isinstance(t, np.ndarray) and t.ndim else t)
    np.divide(1.0, w, out=w)
    if w.ndim == 1:
        return _one(y, w, third)
    s1 = w @ np.ones(w.shape[-1])
    mean = (w @ y[0] if y.shape[0] == 1 else np.einsum("bi,bi->b", w, y)) / s1
    r = y - mean[:, None]
    wr = w * r
    q = np.einsum("bi,bi->b", wr, r)
    s2, q2 = np.einsum("bi,bi->b", w, w), np.einsum("bi,bi->b", wr, wr)
    tr_p = s1 - s2 / s1
    dominated = s2 > DOMINATED * s1 * s1
    if not third:
        if dominated.any():
            tr_p[dominated] = exact_traces(w[dominated])[0]
        return Moments(s1, s2, tr_p, np.nan, mean, q, q2, np.nan, np.nan)
    l2 = np.einsum("bi,bi->b", w, wr)
    np.multiply(wr, wr, out=r)
    q3 = np.einsum("bi,bi->b", w, r)
    np.multiply(w, w, out=r)
    tr_pp = s2 - 2 * np.einsum("bi,bi->b", w, r) / s1 + (s2 / s1) ** 2
    if dominated.any():
        tr_p[dominated], tr_pp[dominated] = exact_traces(w[dominated])
    return Moments(s1, s2, tr_p, tr_pp, mean, q, q2, q3, l2)


def _one(y: Array, w: Array, third: bool) -> Moments:
    s1 = float(np.add.reduce(w))
    mean = float(w.dot(y)) / s1
    r = y - mean
    wr = w * r
    s2, q, q2 = float(w.dot(w)), float(wr.dot(r)), float(wr.dot(wr))
    tr_p, tr_pp, q3, l2 = s1 - s2 / s1, float("nan"), float("nan"), float("nan")
    dominated = s2 > DOMINATED * s1 * s1
    if third:
        w2r = w * wr
        tr_pp = s2 - 2 * float((w * w).dot(w)) / s1 + (s2 / s1) ** 2
        q3, l2 = float(w2r.dot(wr)), float(w.dot(wr))
    if dominated:
        exact = exact_traces(w[None])
        tr_p, tr_pp = float(exact[0][0]), float(exact[1][0]) if third else tr_pp
    return Moments(s1, s2, tr_p, tr_pp, mean, q, q2, q3, l2)


def exact_traces(w: Array) -> tuple[Array, Array]:
    """Return ``tr(P)`` and ``tr(PP)`` where one weight dwarfs the others and the short formulas lose their digits.

    Parameters
    ----------
    w : numpy.ndarray
        Weights, shape ``(batch, k)``.

    Notes
    -----
    With ``rest_i`` the sum of the other entries, never formed by subtracting from the total for the largest one:
    ``tr(P) = sum w rest(w) / s`` and ``tr(PP) = (sum (w rest(w))^2 + sum w^2 rest(w^2)) / s^2``, all terms positive.
    """
    s = w.sum(axis=-1)
    p = w * rest(w)
    square = w * w
    trace_pp = ((p * p).sum(axis=-1) + (square * rest(square)).sum(axis=-1)) / s**2
    return p.sum(axis=-1) / s, trace_pp


def rest(x: Array) -> Array:
    """Return for each entry the sum of the others along the last axis, free of cancellation for the largest."""
    at = np.argmax(x, axis=-1)[:, None]
    others = x.copy()
    np.put_along_axis(others, at, 0.0, axis=-1)
    result: Array = x.sum(axis=-1)[:, None] - x
    np.put_along_axis(result, at, others.sum(axis=-1)[:, None], axis=-1)
    return result
